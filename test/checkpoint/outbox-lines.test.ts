import fc from 'fast-check'
import { expect, test } from 'vitest'
import { base64Bytes, base64Text } from '../../src/checkpoint/base64.ts'
import { decodeOutboxLines, encodeOutboxLines } from '../../src/checkpoint/outbox-lines.ts'

const bytes = fc.uint8Array({ maxLength: 40 })
const nullable = fc.option(bytes)
const message = fc.record({
  topic: fc.string(),
  key: nullable,
  value: nullable,
  headers: fc.array(fc.record({ key: fc.string({ unit: 'grapheme' }), value: nullable }), { maxLength: 4 }),
})

test('messages come back from their lines as they were, byte for byte, with null and empty told apart', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 3 }), (before) => {
      const body = encodeOutboxLines(before)
      expect(decodeOutboxLines(body, 'x.json')).toEqual(before)
      expect(new TextDecoder().decode(body).split('\n')).toHaveLength(before.length + 1)
    }),
  )
})

test('a line can be read without Millrace', () => {
  const body = encodeOutboxLines([
    { topic: 't', key: null, value: Buffer.from('v'), headers: [{ key: 'h', value: Buffer.from('w') }] },
  ])
  expect(JSON.parse(new TextDecoder().decode(body))).toEqual({
    topic: 't',
    key: null,
    value: 'dg==',
    headers: [['h', 'dw==']],
  })
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
  'null\n',
  '7\n',
  '{}\n',
  '{"topic":"t","key":null,"value":null}\n',
  '{"topic":"t","key":1,"value":null,"headers":[]}\n',
  '{"topic":"t","key":null,"value":"!","headers":[]}\n',
  '{"topic":"t","key":null,"value":null,"headers":[["a"]]}\n',
  '{"topic":"t","key":null,"value":null,"headers":[]}',
  'not JSON\n',
])('what is no message is refused with its place: %j', (text) => {
  const body = new TextEncoder().encode(text)
  expect(() => decodeOutboxLines(body, 'x.json')).toThrow('x.json does not hold staged messages')
})
