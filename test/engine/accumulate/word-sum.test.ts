import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createColumn } from '../../../src/columns/column.ts'
import { PipelineError } from '../../../src/errors.ts'
import { createAccumulator } from '../../../src/engine/accumulate/accumulator.ts'
import {
  accumulated,
  aggregateOf,
  aggregated,
  bitsOf,
  columnOf,
  fieldOf,
  inputOf,
  resultOf,
  unplaced,
} from './cells.ts'
import { nearest } from './rational.ts'

const INT = { kind: 'int32' } as const
const LONG = { kind: 'int64' } as const
const MONEY = { kind: 'decimal', precision: 12, scale: 2 } as const
const LONG_MAX = 2n ** 63n - 1n
const LONG_MIN = -(2n ** 63n)

describe('sum of whole numbers', () => {
  test('of ints is a long, and does not wrap at 32 bits', () => {
    expect(aggregated('sum', INT, [2 ** 31 - 1, 2 ** 31 - 1, null])).toBe(2n ** 32n - 2n)
    expect(aggregated('sum', INT, [-(2 ** 31), -1])).toBe(-(2n ** 31n) - 1n)
  })

  test('of longs is exact beyond 2^53', () => {
    expect(aggregated('sum', LONG, [2n ** 53n, 1n])).toBe(2n ** 53n + 1n)
    expect(aggregated('sum', LONG, [LONG_MIN, LONG_MAX])).toBe(-1n)
  })

  test('may leave 64 bits on the way, but not at the end', () => {
    expect(aggregated('sum', LONG, [LONG_MAX, LONG_MAX, 5n, LONG_MIN, LONG_MIN])).toBe(3n)
    expect(aggregated('sum', LONG, [LONG_MAX - 1n, 1n])).toBe(LONG_MAX)
    expect(aggregated('sum', LONG, [LONG_MIN + 1n, -1n])).toBe(LONG_MIN)
    for (const cells of [
      [LONG_MAX, 1n],
      [LONG_MIN, -1n],
    ]) {
      expect(() => aggregated('sum', LONG, cells)).toThrow(
        expect.objectContaining({
          code: 'AGGREGATE_OVERFLOW',
          message: expect.stringContaining('aggregate result'),
          advice: expect.any(String),
        }),
      )
    }
  })

  test('of decimals has 38 digits and the same scale', () => {
    const accumulator = createAccumulator(aggregateOf('sum'), inputOf(fieldOf(MONEY)))
    expect(accumulator.resultField).toEqual({
      name: 'result',
      type: { kind: 'decimal', precision: 38, scale: 2 },
      nullable: true,
    })
    expect(aggregated('sum', MONEY, [1235n, -1n, null])).toBe(1234n)
    const largest = 10n ** 38n - 1n
    expect(aggregated('sum', MONEY, [largest, largest, -largest])).toBe(largest)
    expect(() => aggregated('sum', MONEY, [largest, 1n])).toThrow(PipelineError)
    expect(() => aggregated('sum', MONEY, [-largest, -1n])).toThrow(PipelineError)
  })

  test('of nothing but nulls is null', () => {
    expect(aggregated('sum', LONG, [null, null])).toBeNull()
    expect(aggregated('avg', INT, [])).toBeNull()
    expect(aggregated('sum', INT, [0])).toBe(0n)
  })

  test('stays exact over more rows than limbs hold without a carry', () => {
    const batch = 400_000
    const count = 8 * batch
    const values = [LONG_MAX, LONG_MIN, -1n]
    const column = columnOf(fieldOf(LONG, false), values)
    const panes = new Int32Array(batch).fill(1)
    for (const [row, value] of values.entries()) {
      const accumulator = createAccumulator(aggregateOf('avg'), inputOf(fieldOf(LONG, false)))
      accumulator.reserve(2)
      const rows = new Int32Array(batch).fill(row)
      for (let i = 0; i < 8; i++) accumulator.addRows(column, rows, panes, batch, unplaced(column))
      expect(accumulator.write(1)).toEqual([
        count,
        value === -1n ? -count : (value * BigInt(count)).toString(),
      ])
    }
  })

  test('is written as a number, or as digits where a double does not hold it', () => {
    const written = (cells: readonly bigint[]): unknown =>
      accumulated(aggregateOf('sum'), fieldOf(LONG), cells).write(0)
    expect(written([])).toBeNull()
    expect(written([40n, 2n])).toEqual([2, 42])
    expect(written([2n ** 53n])).toEqual([1, '9007199254740992'])
    const accumulator = accumulated(aggregateOf('sum'), fieldOf(LONG), [])
    for (const state of [42, [42], [1, 'x'], [1, 0.5], [null, 1]]) {
      expect(() => accumulator.read(0, state)).toThrow(/./)
    }
  })
})

describe('average of whole numbers', () => {
  test('is the exact quotient, rounded once', () => {
    const longs = fc.oneof(
      fc.bigInt(LONG_MIN, LONG_MAX),
      fc.bigInt(-100n, 100n),
      fc.bigInt(2n ** 53n, 2n ** 54n),
    )
    fc.assert(
      fc.property(
        fc.array(longs, { minLength: 1, maxLength: 20 }),
        fc.constantFrom(0, 1, 9, 38),
        (cells, scale) => {
          const total = cells.reduce((a, b) => a + b)
          const rows = BigInt(cells.length)
          const ofLongs = nearest({ numerator: total, denominator: rows })
          expect(bitsOf(Number(aggregated('avg', LONG, cells)))).toBe(bitsOf(ofLongs))
          const ofDecimals = nearest({ numerator: total, denominator: rows * 10n ** BigInt(scale) })
          const type = { kind: 'decimal', precision: 38, scale } as const
          expect(bitsOf(Number(aggregated('avg', type, cells)))).toBe(bitsOf(ofDecimals))
        },
      ),
      { numRuns: 400 },
    )
  })

  test('is no tie where it is beside one by less than a long can tell', () => {
    const type = { kind: 'decimal', precision: 38, scale: 20 } as const
    const tie = (2n ** 53n + 1n) * 10n ** 20n
    expect(aggregated('avg', type, [tie])).toBe(2 ** 53)
    expect(aggregated('avg', type, [tie + 1n])).toBe(2 ** 53 + 2)
    expect(aggregated('avg', type, [-tie - 1n])).toBe(-(2 ** 53) - 2)
  })

  test('does not overflow where the sum would', () => {
    expect(aggregated('avg', LONG, [LONG_MAX, LONG_MAX])).toBe(2 ** 63)
    expect(aggregated('avg', INT, [1, 2, null])).toBe(1.5)
    expect(aggregated('avg', MONEY, [10n, 20n])).toBe(0.15)
  })
})

describe('panes', () => {
  test('are added to row by row, in any selection and order of rows', () => {
    const field = fieldOf(LONG)
    const accumulator = createAccumulator(aggregateOf('sum'), inputOf(field))
    accumulator.reserve(3)
    const column = columnOf(field, [1n, 10n, null, 1000n])
    accumulator.addRows(
      column,
      Int32Array.of(3, 2, 0, 1, 9),
      Int32Array.of(2, 2, 0, 2, 9),
      4,
      unplaced(column),
    )
    expect([0, 1, 2].map((pane) => resultOf(accumulator, pane))).toEqual([1n, null, 1010n])
    accumulator.reset(2)
    expect(resultOf(accumulator, 2)).toBeNull()
  })

  test('results are appended below each other', () => {
    const accumulator = createAccumulator(aggregateOf('sum'), inputOf(fieldOf(INT)))
    accumulator.reserve(100)
    const column = createColumn(accumulator.resultField)
    for (let pane = 0; pane < 100; pane++) {
      accumulator.read(pane, pane % 2 === 0 ? null : [1, pane])
      accumulator.appendResult(pane, column)
    }
    expect(column.length).toBe(100)
  })
})
