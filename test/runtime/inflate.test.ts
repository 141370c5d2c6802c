import { deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { inflate, INFLATED_BYTES_MAX } from '../../src/runtime/inflate.ts'

describe('a compressed body', () => {
  it('comes to what it was', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        expect(Buffer.from(inflate(deflateSync(bytes)) as Uint8Array)).toEqual(Buffer.from(bytes))
      }),
    )
  })

  it('that is cut, longer, or of another format is damaged', () => {
    const whole = deflateSync(new TextEncoder().encode('a body'))
    for (let end = 0; end < whole.length; end++)
      expect(inflate(whole.subarray(0, end))).toContain('is damaged')
    expect(inflate(Uint8Array.of(...whole, 1, 2))).toBe('2 bytes follow the end of the compressed body')
    expect(inflate(gzipSync(new Uint8Array(9)))).toContain('is damaged')
  })

  it('is never more, or something else, for a byte that is another one', () => {
    const body = new TextEncoder().encode('a body, a body, and another body')
    const whole = deflateSync(body)
    for (let at = 0; at < whole.length; at++) {
      const changed = Uint8Array.from(whole)
      changed[at]! ^= 0x10
      const got = inflate(changed)
      if (typeof got !== 'string') expect([...got]).toEqual([...body])
    }
  })

  it('that is a bomb goes off at the limit', () => {
    const bomb = deflateSync(new Uint8Array(INFLATED_BYTES_MAX + 1))
    expect(bomb.length).toBeLessThan(100_000)
    expect(inflate(bomb)).toBe(`the compressed body comes to more than ${INFLATED_BYTES_MAX} bytes`)
    expect(inflate(deflateSync(new Uint8Array(INFLATED_BYTES_MAX))).length).toBe(INFLATED_BYTES_MAX)
  })
})
