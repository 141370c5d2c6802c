import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ColumnType } from '../../../src/columns/column-type.ts'
import { addHash, createRegisters, estimateOf } from '../../../src/engine/accumulate/hyperloglog.ts'
import { hash64 } from '../../../src/engine/accumulate/murmur3.ts'
import type { AggregateSpec } from '../../../src/topology/node.ts'
import { Aggregation, resultOf, resultOfValues, stateOf } from './rows.ts'

const LONG: ColumnType = { kind: 'int64' }
const DOUBLE: ColumnType = { kind: 'float64' }
const STRING: ColumnType = { kind: 'string' }

function distinct(exactMax: number): AggregateSpec {
  return { kind: 'count-distinct', field: 'x', exactMax }
}

describe('exact up to a limit', () => {
  test('counts values, not rows and not nulls', () => {
    expect(resultOfValues(distinct(10), STRING, ['a', 'b', 'a', null, 'ä', ''])).toBe(4n)
    expect(resultOfValues(distinct(10), LONG, [2n ** 60n, 2n ** 60n + 1n, 2n ** 60n, 1n])).toBe(3n)
    expect(resultOfValues(distinct(10), STRING, [null])).toBe(0n)
    expect(resultOfValues(distinct(10), STRING, [])).toBe(0n)
  })

  test('takes -0 for 0 and NaN for one value, in both ways of counting', () => {
    const values = [0, -0, Number.NaN, Number.NaN, 1, -1]
    expect(resultOfValues(distinct(4), DOUBLE, values)).toBe(4n)
    expect(resultOfValues(distinct(3), DOUBLE, values)).toBe(4n)
    const aggregation = new Aggregation(distinct(0), DOUBLE)
    expect(aggregation.of([{ x: 1 }, { x: -0 }]).write(0)).toBe(aggregation.of([{ x: 1 }, { x: 0 }]).write(0))
  })

  test('is exact if and only if there are no more than exactMax values', () => {
    const aggregation = new Aggregation(distinct(100), LONG)
    const values = Array.from({ length: 100 }, (_, i) => ({ x: BigInt(i) }))
    const accumulator = aggregation.of([...values, ...values])
    expect(Array.isArray(accumulator.write(0))).toBe(true)
    expect(resultOf(accumulator)).toBe(100n)
    aggregation.add(accumulator, [{ x: 100n }])
    expect(accumulator.write(0)).toHaveLength(16_384)
    expect(Number(resultOf(accumulator))).toBeGreaterThan(100)
  })

  test('keeps values as JSON in their order', () => {
    const long = new Aggregation(distinct(10), LONG).of([{ x: 2n ** 53n }, { x: 7n }, { x: -1n }])
    expect(stateOf(long)).toEqual([-1, 7, '9007199254740992'])
    const flag = new Aggregation(distinct(10), { kind: 'boolean' }).of([{ x: true }, { x: false }])
    expect(stateOf(flag)).toEqual([false, true])
    const symbol = new Aggregation(distinct(10), { kind: 'enum', symbols: ['Z', 'A'] }).of([
      { x: 'Z' },
      { x: 'A' },
    ])
    expect(stateOf(symbol)).toEqual(['A', 'Z'])
  })
})

describe('estimated beyond', () => {
  // The standard error of 2^14 registers is 0.81 %. Hashes are fixed, so these are not chances: with 20 counts, 3.5 standard errors are room enough.
  const sets: readonly { name: string; type: ColumnType; valueOf: (i: number) => unknown }[] = [
    { name: 'longs one after the other', type: LONG, valueOf: (i) => BigInt(i) },
    { name: 'longs far apart', type: LONG, valueOf: (i) => BigInt(i) << 40n },
    { name: 'doubles', type: DOUBLE, valueOf: (i) => i / 3 },
    { name: 'strings that end alike', type: STRING, valueOf: (i) => `${i}@example.org` },
    { name: 'strings that begin alike', type: STRING, valueOf: (i) => `device-0000-0000-${i}` },
  ]
  test.each(sets)('$name', ({ type, valueOf }) => {
    const aggregation = new Aggregation(distinct(50), type)
    const accumulator = aggregation.create()
    let added = 0
    for (const count of [60, 1_000, 10_000, 40_000]) {
      const rows = Array.from({ length: count - added }, (_, i) => ({ x: valueOf(added + i) }))
      aggregation.add(accumulator, rows)
      added = count
      expect(Math.abs(Number(resultOf(accumulator)) / count - 1)).toBeLessThan(3.5 * 0.0081)
    }
  })

  test('rows that repeat change nothing', () => {
    const aggregation = new Aggregation(distinct(50), LONG)
    const rows = Array.from({ length: 500 }, (_, i) => ({ x: BigInt(i) }))
    const accumulator = aggregation.of(rows)
    const once = accumulator.write(0)
    aggregation.add(accumulator, rows)
    expect(accumulator.write(0)).toBe(once)
  })

  test('has no bias from a hundred to three hundred million', () => {
    const random = words(7)
    for (const count of [100, 3_000, 40_000, 200_000]) {
      const errors = Array.from({ length: count > 40_000 ? 4 : 20 }, () => {
        const registers = createRegisters()
        const hash = new Int32Array(2)
        for (let i = 0; i < count; i++) {
          hash[0] = random()
          hash[1] = random()
          addHash(registers, hash)
        }
        return estimateOf(registers) / count - 1
      })
      const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length
      expect(Math.abs(mean)).toBeLessThan((3.5 * 0.0081) / Math.sqrt(errors.length))
    }
    // 2^28 hashes are too many for a test. As many leave in each register the greatest of 2^14 ranks, which can be drawn directly.
    const registers = createRegisters()
    for (let i = 0; i < registers.length; i++) {
      const share = ((random() >>> 0) + 0.5) / 2 ** 32
      registers[i] = Math.max(0, Math.min(51, Math.ceil(14 - Math.log2(-Math.log(share)))))
    }
    expect(Math.abs(estimateOf(registers) / 2 ** 28 - 1)).toBeLessThan(3.5 * 0.0081)
  })
})

describe('the hash', () => {
  // From mmh3 5.3.1 for Python, hash_bytes(…, x64arch=False): the first 8 bytes.
  test.each([
    ['', '0000000000000000'],
    ['a', '3c9394a71bb05655'],
    ['ab', 'df5184151030be25'],
    ['hello', 'a044242bf7de91db'],
    ['abcdefgh', '3611f4ae8714b1ad'],
    ['The quick brown fox jumps over the lazy dog', 'c383152f672ceeec'],
    ['\0\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f', '25c8256cee809155'],
    ['\0\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e', '599c7b75cae4a662'],
  ])('of %j is that of MurmurHash3_x86_128', (text, expected) => {
    expect(hashOf(Uint8Array.from(text, (character) => character.charCodeAt(0)))).toBe(expected)
  })

  test('does not depend on where the bytes lie', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(5), (data, before) => {
        const moved = new Uint8Array(data.length + before + 3).fill(0xa5)
        moved.set(data, before)
        const hash = new Int32Array(2)
        hash64(moved, before, before + data.length, hash)
        expect(hex(hash)).toBe(hashOf(data))
      }),
    )
  })
})

function hashOf(data: Uint8Array): string {
  const hash = new Int32Array(2)
  hash64(data, 0, data.length, hash)
  return hex(hash)
}

function hex(hash: Int32Array): string {
  return Buffer.from(hash.buffer).toString('hex')
}

/** Words by xorshift128 (Marsaglia). */
function words(seed: number): () => number {
  let [x, y, z, w] = [seed, 362436069, 521288629, 88675123]
  return () => {
    const t = x ^ (x << 11)
    x = y
    y = z
    z = w
    w = w ^ (w >>> 19) ^ t ^ (t >>> 8)
    return w
  }
}
