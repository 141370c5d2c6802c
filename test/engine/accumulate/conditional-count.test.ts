import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AggregateSpec } from '../../../src/topology/node.ts'
import { Aggregation, resultOf, scattered } from './rows.ts'

const LARGE: AggregateSpec = {
  kind: 'count-if',
  field: null,
  predicate: (row: { readonly x: number | null; readonly by: number | null }) => {
    if (row.x === 13) throw new RangeError('an unlucky row')
    return row.x !== null && row.x > 5
  },
}
const ofInts = new Aggregation(LARGE, { kind: 'int32' })

describe('count if', () => {
  test('counts the rows for which the function is true, and is never null', () => {
    const rows = [3, 6, null, 9, 5].map((x) => ({ x }))
    expect(resultOf(ofInts.of(rows))).toBe(2n)
    expect(resultOf(ofInts.of([]))).toBe(0n)
    expect(ofInts.create().resultField.nullable).toBe(false)
  })

  test('refuses the rows for which the function throws, before anything is added', () => {
    const accumulator = ofInts.create(2)
    const rows = [7, 13, 8, 2].map((x) => ({ x }))
    const about = ofInts.about('task', rows)
    const refused: unknown[] = []
    accumulator.prepare!(Int32Array.of(0, 1, 2, 3), 4, about, (row, error) => refused.push([row, error]))
    expect(refused).toEqual([[1, new RangeError('an unlucky row')]])
    expect(resultOf(accumulator)).toBe(0n)
    // Another aggregate refused row 2; row 0 is in two windows.
    accumulator.addRows(null, Int32Array.of(0, 0, 3), Int32Array.of(0, 1, 0), 3, about)
    expect([resultOf(accumulator, 0), resultOf(accumulator, 1)]).toEqual([1n, 1n])
  })

  test('sees the rows of a range in the middle of a frame', () => {
    const accumulator = ofInts.create()
    const rows = Array.from({ length: 3000 }, (_, x) => ({ x: x % 10 }))
    const about = { ...ofInts.about('task', rows), base: 1000 }
    const indices = Int32Array.from({ length: 2000 }, (_, i) => 1000 + i)
    accumulator.prepare!(indices, 2000, about, () => {})
    accumulator.addRows(null, indices, new Int32Array(2000), 2000, about)
    expect(resultOf(accumulator)).toBe(800n)
  })

  test('does not depend on how rows were split and merged', () => {
    const row = fc.record({ x: fc.option(fc.integer({ min: 0, max: 12 })), task: fc.constantFrom('a', 'b') })
    fc.assert(
      fc.property(fc.array(row, { maxLength: 30 }), fc.integer(), (rows, seed) => {
        const merged = scattered(ofInts, rows, seed)
        expect(resultOf(merged)).toBe(BigInt(rows.filter(({ x }) => x !== null && x > 5).length))
        expect(merged.write(0)).toEqual(ofInts.of(rows).write(0))
      }),
      { numRuns: 100 },
    )
  })
})
