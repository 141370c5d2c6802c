import { expect, it } from 'vitest'
import { decodeLines, encodeLines } from '../../src/runtime/staged-lines.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

it.each([[[]], [[{ a: 'ä\n"\u2028' }]], [[{ a: 1 }, null, ['x', 'y']]]])(
  'lines come back as they were: %j',
  (values) => {
    const body = encodeLines(values)
    expect([...decodeLines(body)]).toEqual(values)
    expect(new TextDecoder().decode(body).split('\n')).toHaveLength(values.length + 1)
  },
)

it('takes one object without a line feed at its end too', () => {
  expect([...decodeLines(bytes('{"a":1}'))]).toEqual([{ a: 1 }])
})
