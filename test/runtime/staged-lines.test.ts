import { expect, it } from 'vitest'
import { decodeLine, decodeLines, encodeLines, encodeParts } from '../../src/runtime/staged-lines.ts'

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

it('reads one line of several', () => {
  const body = encodeLines([{ slice: 0 }, null, { slice: 2 }])
  expect([0, 1, 2, 3].map((index) => decodeLine(body, index))).toEqual([
    { slice: 0 },
    null,
    { slice: 2 },
    undefined,
  ])
  expect(decodeLine(encodeLines([{ only: 1 }]), 0)).toEqual({ only: 1 })
})

it('makes parts of whole lines, one at a time, and at least one', () => {
  let made = 0
  function* values(): Generator<number> {
    for (; made < 10; made++) yield made
  }
  const parts = encodeParts(values(), 6)
  expect([...decodeLines(parts.next().value as Uint8Array)]).toEqual([0, 1, 2])
  expect(made).toBeLessThan(5)
  expect([...parts].flatMap((body) => [...decodeLines(body)])).toEqual([3, 4, 5, 6, 7, 8, 9])
  expect([...encodeParts([], 6)].map((body) => body.length)).toEqual([0])
})
