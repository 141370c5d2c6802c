import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c } from '../../src/kafka/crc32c.ts'

test('the examples of RFC 3720, appendix B.4', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a91_36aa)
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8_ab43)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd_794e)
  expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe306_9283)
})

test('a part of bytes is checked as the part alone', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), fc.nat(60), (bytes, a, b) => {
      const from = Math.min(a, b, bytes.length)
      const end = Math.min(Math.max(a, b), bytes.length)
      expect(crc32c(bytes, from, end)).toBe(crc32c(bytes.slice(from, end)))
    }),
  )
})
