import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeUtf8, encodeUtf8, isUtf8, utf8Length, writeUtf8 } from '../../src/columns/utf8.ts'

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function isStrict(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes)
    return true
  } catch {
    return false
  }
}

describe('UTF-8', () => {
  it('is valid where the decoder of the platform says so', () => {
    const nearly = fc
      .array(
        fc.constantFrom(
          0x00,
          0x41,
          0x7f,
          0x80,
          0x8f,
          0x90,
          0x9f,
          0xa0,
          0xbf,
          0xc0,
          0xc1,
          0xc2,
          0xdf,
          0xe0,
          0xed,
          0xef,
          0xf0,
          0xf4,
          0xf5,
          0xff,
        ),
        {
          maxLength: 6,
        },
      )
      .map((bytes) => Uint8Array.from(bytes))
    fc.assert(
      fc.property(nearly, (bytes) => {
        expect(isUtf8(bytes, 0, bytes.length)).toBe(isStrict(bytes))
      }),
      { numRuns: 20_000 },
    )
  })

  it('reads and writes every string that is well-formed', () => {
    const long = fc.string({ unit: 'binary', minLength: 900, maxLength: 2_500 })
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), long), (text) => {
        const bytes = new TextEncoder().encode(text)
        expect(utf8Length(text)).toBe(bytes.length)
        const written = new Uint8Array(bytes.length + 2)
        expect(writeUtf8(text, written, 1)).toBe(bytes.length + 1)
        expect(written.subarray(1, -1)).toEqual(bytes)
        expect(decodeUtf8(written, 1, bytes.length + 1)).toBe(text)
      }),
      { numRuns: 300 },
    )
  })

  it('does not hold half a surrogate pair: it is found, or replaced', () => {
    for (const text of ['\ud800', 'a\udc00b', '\ud800\ud800\udc00']) {
      expect(utf8Length(text)).toBe(-1)
      expect(encodeUtf8(text)).toEqual(new TextEncoder().encode(text))
    }
  })
})
