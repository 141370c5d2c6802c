import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ShortMd5 } from '../../../consumers/kinesis/md5.ts'

it('is the MD5 of OpenSSL, for every length up to some blocks, anywhere in the bytes', () => {
  const md5 = new ShortMd5()
  const equal = (bytes: Uint8Array, start: number, end: number): void => {
    const expected = createHash('md5').update(bytes.subarray(start, end)).digest('hex')
    expect(Buffer.from(md5.hash(bytes, start, end)).toString('hex')).toBe(expected)
  }
  for (let length = 0; length < 260; length++) equal(new Uint8Array(length).fill(0xc3), 0, length)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), fc.nat(), (bytes, one, other) => {
      const [start, end] = [one % (bytes.length + 1), other % (bytes.length + 1)]
      equal(bytes, Math.min(start, end), Math.max(start, end))
    }),
  )
})
