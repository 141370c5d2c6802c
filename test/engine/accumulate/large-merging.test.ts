import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ColumnType } from '../../../src/columns/column-type.ts'
import type { AggregateSpec } from '../../../src/topology/node.ts'
import { Aggregation, resultOf, scattered } from './rows.ts'
import type { TestRow } from './rows.ts'

/**
 * As merging.test.ts, for states that are sketches, collections and values of the user: however rows are ordered, split, written,
 * read and merged, the result and the JSON of the state are the same.
 */
const floats = fc.oneof(
  fc.double(),
  fc.constantFrom(-0, 0, Number.NaN, Infinity, -Infinity, 1e308, -1e308, 5e-324, 0.1, 1),
)
const longs = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-4n, 4n))
const strings = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 6 }),
  fc.string({ unit: fc.constantFrom('a', 'ä', '\u{ffff}', '\u{1f600}'), maxLength: 2 }),
)
const bytes = fc.uint8Array({ maxLength: 3 })
const decimals = fc
  .oneof(fc.bigInt(-(10n ** 37n), 10n ** 37n), fc.bigInt(-5n, 5n))
  .map((unscaled) => ({ unscaled, scale: 2 }))
const numbers: readonly { type: ColumnType; value: fc.Arbitrary<unknown> }[] = [
  { type: { kind: 'float64' }, value: floats },
  { type: { kind: 'int32' }, value: fc.oneof(fc.integer(), fc.integer({ min: -3, max: 3 })) },
  { type: { kind: 'int64' }, value: longs },
  { type: { kind: 'decimal', precision: 38, scale: 2 }, value: decimals },
]
const scalars: typeof numbers = [
  ...numbers,
  { type: { kind: 'string' }, value: strings },
  { type: { kind: 'bytes' }, value: bytes },
  { type: { kind: 'boolean' }, value: fc.boolean() },
  { type: { kind: 'fixed', size: 2 }, value: fc.uint8Array({ minLength: 2, maxLength: 2 }) },
  { type: { kind: 'enum', symbols: ['B', 'A', 'C'] }, value: fc.constantFrom('A', 'B', 'C') },
  { type: { kind: 'timestamp', unit: 'millis', local: false }, value: fc.integer() },
]
const ofNumbers: readonly AggregateSpec[] = [
  { kind: 'quantile', field: 'x', q: 0.5, accuracy: 0.01 },
  { kind: 'quantiles', field: 'x', qs: [0, 0.25, 0.9, 1], accuracy: 0.02 },
]
const ofScalars: readonly AggregateSpec[] = [
  { kind: 'count-distinct', field: 'x', exactMax: 6 },
  { kind: 'top-k', field: 'x', by: 'by', k: 3 },
  { kind: 'most-frequent', field: 'x', k: 3, distinctMax: 100 },
  { kind: 'collect', field: 'x', max: 4 },
  {
    kind: 'custom',
    field: null,
    type: ['null', 'string'],
    init: () => ({ rows: 0, texts: [] }),
    add: (state: { rows: number; texts: string[] }, row: { x: unknown }) => ({
      texts: [...state.texts, JSON.stringify(row.x, shown)].sort(),
      rows: state.rows + 1,
    }),
    merge: (left: { rows: number; texts: string[] }, right: { rows: number; texts: string[] }) => ({
      rows: left.rows + right.rows,
      texts: [...left.texts, ...right.texts].sort(),
    }),
    result: (state: { rows: number }) => (state.rows === 0 ? null : JSON.stringify(state)),
  },
]
function shown(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' || typeof value === 'number' ? String(value) : value
}

const cases = [
  ...ofNumbers.flatMap((spec) => numbers.map((one) => ({ kind: spec.kind, spec, ...one }))),
  ...ofScalars.flatMap((spec) => scalars.map((one) => ({ kind: spec.kind, spec, ...one }))),
]

describe.each(cases)('$kind of $type.kind', ({ spec, type, value }) => {
  test('does not depend on how rows were split and merged', () => {
    const row: fc.Arbitrary<TestRow> = fc.record({
      x: fc.option(value, { freq: 8 }),
      by: fc.option(fc.oneof(floats, fc.constantFrom(1, 2)), { freq: 8 }),
      timeMs: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer()),
      task: fc.constantFrom('a', 'b', ''),
      offset: fc.integer({ min: 0, max: 3 }),
    })
    const aggregation = new Aggregation(spec, type)
    fc.assert(
      fc.property(fc.array(row, { maxLength: 20 }), fc.integer(), (rows, seed) => {
        const direct = aggregation.of(rows)
        const merged = scattered(aggregation, rows, seed)
        expect(resultOf(merged)).toStrictEqual(resultOf(direct))
        expect(JSON.stringify(merged.write(0))).toBe(JSON.stringify(direct.write(0)))
      }),
      { numRuns: 60 },
    )
  })
})
