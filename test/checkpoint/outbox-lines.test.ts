import fc from 'fast-check'
import { expect, test } from 'vitest'
import { base64Bytes, base64Text } from '../../src/checkpoint/base64.ts'
import { outboxLine, outboxMessage } from '../../src/checkpoint/outbox-lines.ts'

const bytes = fc.uint8Array({ maxLength: 40 })
const nullable = fc.option(bytes)
const message = fc.record({
  topic: fc.string(),
  key: nullable,
  value: nullable,
  headers: fc.array(fc.record({ key: fc.string({ unit: 'grapheme' }), value: nullable }), { maxLength: 4 }),
})

test('a message comes back from its line as it was, byte for byte, with null and empty told apart', () => {
  fc.assert(
    fc.property(message, (before) => {
      const text = JSON.stringify(outboxLine(before))
      expect(outboxMessage(JSON.parse(text), 'a line')).toEqual(before)
      expect(text).not.toContain('\n')
    }),
  )
})

test('base64 is that of everybody, for every length, and across the pieces it is made in', () => {
  fc.assert(
    fc.property(bytes, (before) => {
      expect(base64Text(before)).toBe(Buffer.from(before).toString('base64'))
    }),
  )
  const long = Uint8Array.from({ length: 10_001 }, (_, i) => (i * 7) & 0xff)
  expect(base64Text(long)).toBe(Buffer.from(long).toString('base64'))
  expect(base64Bytes(base64Text(long))).toEqual(long)
})

test.each(['a', 'ab=', '====', 'a=b=', 'ab%=', 'abc€'])('%s is not base64', (text) => {
  expect(base64Bytes(text)).toBeNull()
})

test.each([
  null,
  7,
  {},
  { topic: 't', key: null, value: null },
  { topic: 't', key: 1, value: null, headers: [] },
  { topic: 't', key: null, value: '!', headers: [] },
  { topic: 't', key: null, value: null, headers: [['a']] },
])('a line that is no message is refused with its place: %j', (line) => {
  expect(() => outboxMessage(line, 'line 3 of x.json')).toThrow('line 3 of x.json is not a staged message')
})
