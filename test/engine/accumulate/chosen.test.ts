import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ColumnType } from '../../../src/columns/column-type.ts'
import type { AggregateSpec } from '../../../src/topology/node.ts'
import { Aggregation, resultOf, scattered, stateOf } from './rows.ts'
import type { TestRow } from './rows.ts'

const INT: ColumnType = { kind: 'int32' }
const STRING: ColumnType = { kind: 'string' }
const DOUBLE: ColumnType = { kind: 'float64' }
const FIRST: AggregateSpec = { kind: 'first', field: 'x' }
const LAST: AggregateSpec = { kind: 'last', field: 'x' }
const MIN_BY: AggregateSpec = { kind: 'min-by', field: 'x', by: 'by' }
const MAX_BY: AggregateSpec = { kind: 'max-by', field: 'x', by: 'by' }

function chosen(spec: AggregateSpec, rows: readonly TestRow[], type = INT, byType = DOUBLE): unknown {
  const [one, other] = [rows, rows.toReversed()].map((some) =>
    resultOf(new Aggregation(spec, type, byType).of(some)),
  )
  expect(other).toStrictEqual(one)
  return one
}

describe('first and last', () => {
  test('go by event time, also before 1970', () => {
    const rows = [
      { x: 1, timeMs: 5 },
      { x: 2, timeMs: -7 },
      { x: 3, timeMs: 0 },
    ]
    expect(chosen(FIRST, rows)).toBe(2)
    expect(chosen(LAST, rows)).toBe(1)
  })

  test('pass over nulls', () => {
    const rows = [
      { x: null, timeMs: 1 },
      { x: 7, timeMs: 2 },
      { x: null, timeMs: 3 },
    ]
    expect(chosen(FIRST, rows)).toBe(7)
    expect(chosen(LAST, rows)).toBe(7)
    expect(chosen(LAST, [{ x: null }])).toBeNull()
    expect(chosen(FIRST, [])).toBeNull()
  })

  test('break ties by task, then offset', () => {
    const rows = [
      { x: 1, task: 'b', offset: 1 },
      { x: 2, task: 'a', offset: 9 },
      { x: 3, task: 'b', offset: 10 },
      { x: 4, task: 'a', offset: 10 },
    ]
    expect(chosen(FIRST, rows)).toBe(2)
    expect(chosen(LAST, rows)).toBe(3)
  })

  test('break ties of results by the value, whatever their offsets', () => {
    const rows = [
      { x: 5, task: '', offset: 1 },
      { x: 3, task: '', offset: 2 },
      { x: 9, task: '', offset: 0 },
    ]
    expect(chosen(FIRST, rows)).toBe(3)
    expect(chosen(LAST, rows)).toBe(9)
  })
})

describe('min by and max by', () => {
  test('give the field of the row with the smallest and the greatest other', () => {
    const rows = [
      { x: 'low', by: -2.5 },
      { x: 'high', by: 1e300 },
      { x: 'middle', by: 0 },
    ]
    expect(chosen(MIN_BY, rows, STRING)).toBe('low')
    expect(chosen(MAX_BY, rows, STRING)).toBe('high')
  })

  test('pass over rows where either is null', () => {
    const rows = [
      { x: null, by: 1 },
      { x: 5, by: null },
      { x: 7, by: 2 },
      { x: null, by: 3 },
    ]
    expect(chosen(MIN_BY, rows)).toBe(7)
    expect(chosen(MAX_BY, rows)).toBe(7)
    expect(chosen(MIN_BY, [{ x: 1, by: null }])).toBeNull()
  })

  test('of equal rows both give the first by event time, task and offset', () => {
    const rows = [
      { x: 1, by: 4, timeMs: 2 },
      { x: 2, by: 4, timeMs: 1, task: 'b' },
      { x: 3, by: 4, timeMs: 1, task: 'a', offset: 3 },
      { x: 4, by: 4, timeMs: 1, task: 'a', offset: 2 },
    ]
    expect(chosen(MIN_BY, rows)).toBe(4)
    expect(chosen(MAX_BY, rows)).toBe(4)
    const results = rows.map(({ x }) => ({ x, by: 4, task: '', offset: x }))
    expect(chosen(MIN_BY, results)).toBe(1)
    expect(chosen(MAX_BY, results)).toBe(1)
  })

  test('take NaN for greater than every number, and -0 for smaller than 0', () => {
    const rows = [
      { x: 1, by: Infinity },
      { x: 2, by: Number.NaN },
      { x: 3, by: -Infinity },
    ]
    expect(chosen(MAX_BY, rows)).toBe(2)
    expect(chosen(MIN_BY, rows)).toBe(3)
    expect(chosen(MIN_BY, rows.slice(0, 2))).toBe(1)
    const zeros = [
      { x: 1, by: 0 },
      { x: 2, by: -0 },
    ]
    expect(chosen(MIN_BY, zeros)).toBe(2)
    expect(chosen(MAX_BY, zeros)).toBe(1)
  })

  test('tell apart what is the same as a double, or in its first bytes', () => {
    const pairs: readonly [ColumnType, unknown, unknown][] = [
      [{ kind: 'int64' }, 2n ** 60n, 2n ** 60n + 1n],
      [{ kind: 'int64' }, -(2n ** 60n) - 1n, -(2n ** 60n)],
      [
        { kind: 'decimal', precision: 38, scale: 0 },
        { unscaled: 10n ** 37n, scale: 0 },
        { unscaled: 10n ** 37n + 1n, scale: 0 },
      ],
      [STRING, 'station 1', 'station 2'],
      [STRING, 'station', 'station\u0000'],
      [STRING, '\u{ffff}', '\u{1f600}'],
      [{ kind: 'bytes' }, Uint8Array.of(0, 0), Uint8Array.of(0, 0, 0)],
    ]
    for (const [type, less, more] of pairs) {
      const rows = [
        { x: 1, by: more, timeMs: 0 },
        { x: 2, by: less, timeMs: 1 },
      ]
      expect(chosen(MIN_BY, rows, INT, type)).toBe(2)
      expect(chosen(MAX_BY, rows, INT, type)).toBe(1)
    }
  })
})

test('states are the place and the value, and `by`', () => {
  const rows = [{ x: 'ä', by: -0, timeMs: 7, task: 'trips-0', offset: 3 }]
  expect(stateOf(new Aggregation(LAST, STRING).of(rows))).toEqual([7, 'trips-0', 3, 'Ã¤'])
  expect(stateOf(new Aggregation(MIN_BY, STRING).of(rows))).toEqual(['-0', 7, 'trips-0', 3, 'Ã¤'])
  expect(stateOf(new Aggregation(FIRST, INT).of([]))).toBeNull()
  const first = new Aggregation(FIRST, INT).create()
  for (const state of [7, [7], [7, 'a', 3], [7, 1, 3, 4], [7, 'a', 3, 4.5]]) {
    expect(() => first.read(0, state)).toThrow(/./)
  }
})

/** Few values, so that there are ties. */
const types: readonly { type: ColumnType; value: fc.Arbitrary<unknown>; isOrdered: boolean }[] = [
  {
    type: DOUBLE,
    value: fc.oneof(
      fc.double(),
      fc.constantFrom(-0, 0, Number.NaN, Infinity, -Infinity, 1e308, -1e308, 5e-324, 1),
    ),
    isOrdered: true,
  },
  { type: { kind: 'float32' }, value: fc.constantFrom(-0, 0, Number.NaN, 1.5, -Infinity), isOrdered: true },
  { type: INT, value: fc.integer({ min: -2, max: 2 }), isOrdered: true },
  { type: { kind: 'date' }, value: fc.integer(), isOrdered: true },
  {
    type: { kind: 'int64' },
    value: fc.oneof(fc.bigInt(2n ** 62n, 2n ** 62n + 2n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)),
    isOrdered: true,
  },
  { type: { kind: 'timestamp', unit: 'micros', local: false }, value: fc.bigInt(-3n, 3n), isOrdered: true },
  {
    type: { kind: 'decimal', precision: 38, scale: 2 },
    value: fc
      .oneof(fc.bigInt(10n ** 36n, 10n ** 36n + 3n), fc.bigInt(-2n, 2n), fc.bigInt(-(2n ** 64n), 2n ** 64n))
      .map((unscaled) => ({ unscaled, scale: 2 })),
    isOrdered: true,
  },
  { type: STRING, value: fc.string({ unit: fc.constantFrom('a', 'ä', '\u{1f600}') }), isOrdered: true },
  { type: { kind: 'bytes' }, value: fc.uint8Array({ maxLength: 9, max: 1 }), isOrdered: true },
  { type: { kind: 'boolean' }, value: fc.boolean(), isOrdered: false },
  { type: { kind: 'enum', symbols: ['B', 'A'] }, value: fc.constantFrom('A', 'B'), isOrdered: false },
  {
    type: { kind: 'fixed', size: 2 },
    value: fc.uint8Array({ minLength: 2, maxLength: 2 }),
    isOrdered: false,
  },
]

const cases = types.flatMap(({ type, value, isOrdered }) => {
  const ofValue = [FIRST, LAST, MIN_BY, MAX_BY].map((spec) => ({ spec, type, value, byType: DOUBLE }))
  const by = { byType: type, value: types[2]!.value, type: INT, by: value }
  return isOrdered ? [...ofValue, { ...by, spec: MIN_BY }, { ...by, spec: MAX_BY }] : ofValue
})

describe.each(cases.map((one) => ({ ...one, kind: one.spec.kind, of: one.type.kind, at: one.byType.kind })))(
  '$kind of $of by $at',
  ({ spec, type, value, byType, ...rest }) => {
    test('does not depend on how rows were split and merged, and is what sorting finds', () => {
      const by = 'by' in rest ? rest.by : fc.constantFrom(-0, 0, 1, Number.NaN, Infinity, -Infinity)
      const row: fc.Arbitrary<TestRow> = fc.record({
        x: fc.option(value, { freq: 8 }),
        by: fc.option(by, { freq: 8 }),
        timeMs: fc.integer({ min: -1, max: 1 }),
        task: fc.constantFrom('a', 'b', ''),
        offset: fc.integer({ min: 0, max: 2 }),
      })
      const aggregation = new Aggregation(spec, type, byType)
      fc.assert(
        fc.property(fc.array(row, { maxLength: 16 }), fc.integer(), (rows, seed) => {
          const direct = aggregation.of(rows)
          const merged = scattered(aggregation, rows, seed)
          expect(resultOf(merged)).toStrictEqual(resultOf(direct))
          expect(JSON.stringify(merged.write(0))).toBe(JSON.stringify(direct.write(0)))
          expect(resultOf(direct)).toStrictEqual(sorted(spec.kind, rows))
        }),
        { numRuns: 60 },
      )
    })
  },
)

/** The naive reference: sorts the rows. */
function sorted(kind: AggregateSpec['kind'], rows: readonly TestRow[]): unknown {
  const isBy = kind === 'min-by' || kind === 'max-by'
  const inOrder = rows.filter(({ x, by }) => x !== null && !(isBy && by === null)).sort(byPlace)
  if (isBy) inOrder.sort((a, b) => compare(a.by, b.by) * (kind === 'min-by' ? 1 : -1))
  const row = kind === 'last' ? inOrder.at(-1) : inOrder[0]
  return row?.x ?? null
}

function byPlace(a: TestRow, b: TestRow): number {
  return (
    compare(a.timeMs, b.timeMs) ||
    compare(a.task, b.task) ||
    (a.task === '' ? 0 : compare(a.offset, b.offset)) ||
    compare(a.x, b.x)
  )
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
    if (a === 0 && b === 0) return Number(Object.is(b, -0)) - Number(Object.is(a, -0))
    return Math.sign(a - b) || (a < b ? -1 : a > b ? 1 : 0)
  }
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b)
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b))
  if (typeof a === 'object' && typeof b === 'object') return compare(unscaledOf(a), unscaledOf(b))
  const [left, right] = [a as bigint, b as bigint]
  return left < right ? -1 : left > right ? 1 : 0
}

function unscaledOf(decimal: unknown): bigint {
  return (decimal as { readonly unscaled: bigint }).unscaled
}
