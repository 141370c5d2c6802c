import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { decompress as decompressZstdInJs } from 'fzstd'
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import { decompressBatch } from '../../src/kafka/codec.ts'
import { decompressLz4 } from '../../src/kafka/lz4.ts'
import { decompressSnappy } from '../../src/kafka/snappy.ts'
import { lz4Frame, snappyBlock, xerialFrame } from './compressors.ts'

/** One text with repetitions, noise and a run of 40,000 letters, as the compressors of Kafka 4.3.1's own Java client wrote it. */
const compressed = JSON.parse(readFileSync(new URL('compressed.json', import.meta.url), 'utf8')) as Record<
  'gzip' | 'snappy' | 'snappyRaw' | 'lz4' | 'zstd',
  string
>
const bytesOf = (name: keyof typeof compressed): Uint8Array =>
  new Uint8Array(Buffer.from(compressed[name], 'base64'))
const original = new Uint8Array(gunzipSync(bytesOf('gzip')))

describe('what the Java client compressed', () => {
  it.each([
    ['gzip', 1],
    ['snappy', 2],
    ['snappyRaw', 2],
    ['lz4', 3],
    ['zstd', 4],
  ] as const)('is read: %s', (name, codec) => {
    expect(Buffer.compare(decompressBatch(codec, bytesOf(name), 'trips-0'), original)).toBe(0)
  })

  it('is read where Node has no zstd of its own', () => {
    expect(Buffer.compare(decompressZstdInJs(bytesOf('zstd')), original)).toBe(0)
  })
})

describe('LZ4 and Snappy', () => {
  const text = fc
    .array(
      fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(new TextEncoder().encode('again and again '))),
    )
    .map((parts) => new Uint8Array(Buffer.concat(parts)))

  it('give back what was compressed', () => {
    fc.assert(
      fc.property(text, fc.boolean(), (bytes, hasChecksums) => {
        expect(Buffer.compare(decompressLz4(lz4Frame(bytes, hasChecksums), 1e6), bytes)).toBe(0)
        expect(Buffer.compare(decompressSnappy(snappyBlock(bytes), 1e6), bytes)).toBe(0)
        expect(Buffer.compare(decompressSnappy(xerialFrame(bytes), 1e6), bytes)).toBe(0)
      }),
    )
  })

  it('never do anything worse with broken input than throw a RangeError', () => {
    const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
    fc.assert(
      fc.property(text, place, fc.integer({ min: 0, max: 255 }), fc.boolean(), (bytes, at, byte, isCut) => {
        for (const [frame, decompress] of [
          [lz4Frame(bytes, false), decompressLz4],
          [snappyBlock(bytes), decompressSnappy],
          [xerialFrame(bytes), decompressSnappy],
        ] as const) {
          const index = Math.floor(frame.length * at)
          frame[index] = byte
          try {
            expect(decompress(isCut ? frame.subarray(0, index) : frame, 1e5).length).toBeLessThanOrEqual(1e5)
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError)
          }
        }
      }),
    )
  })

  it('stop at the limit', () => {
    const letters = new Uint8Array(100_000).fill(97)
    expect(() => decompressLz4(lz4Frame(letters, false), 50_000)).toThrow(/more than 50000 bytes/)
    expect(() => decompressSnappy(snappyBlock(letters), 50_000)).toThrow(/more than 50000 bytes/)
  })
})

describe('a batch that cannot be decompressed', () => {
  const codeOf = (codec: number, bytes: Uint8Array, bytesMax = 1e6): string => {
    try {
      decompressBatch(codec, bytes, 'trips-0', bytesMax)
    } catch (error) {
      if (error instanceof PipelineError) return `${error.code}: ${error.message}`
    }
    return 'nothing'
  }

  it('says where it is, and what was the matter', () => {
    for (const codec of [1, 2, 3, 4]) {
      expect(codeOf(codec, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))).toMatch(/^KAFKA_BATCH_CORRUPT: trips-0/)
    }
    expect(codeOf(6, new Uint8Array(8))).toMatch(/compression type 6/)
  })

  it('is not unfolded without limit', () => {
    const names = ['gzip', 'snappy', 'lz4', 'zstd'] as const
    const codes = names.map((name, index) => codeOf(index + 1, bytesOf(name), original.length - 1))
    expect(codes).toEqual(
      names.map(() => `KAFKA_BATCH_TOO_LARGE: trips-0: a batch of more than ${original.length - 1} bytes`),
    )
  })
})
