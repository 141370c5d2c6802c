import { describe, expect, test } from 'vitest'
import { createColumn } from '../../../src/columns/column.ts'
import type { ColumnType } from '../../../src/columns/column-type.ts'
import { createAccumulator, resultFieldOf } from '../../../src/engine/accumulate/accumulator.ts'
import {
  accumulated,
  addAll,
  aggregateOf,
  aggregated,
  columnOf,
  fieldOf,
  inputOf,
  resultOf,
  unplaced,
} from './cells.ts'
import type { PlainKind } from './cells.ts'

const INT: ColumnType = { kind: 'int32' }
const TIMESTAMP: ColumnType = { kind: 'timestamp', unit: 'micros', local: true }

describe('result fields', () => {
  test.each<[PlainKind, ColumnType, ColumnType]>([
    ['sum', INT, { kind: 'int64' }],
    ['sum', { kind: 'float32' }, { kind: 'float64' }],
    ['avg', { kind: 'int64' }, { kind: 'float64' }],
    ['avg', { kind: 'decimal', precision: 9, scale: 3 }, { kind: 'float64' }],
    ['min', INT, INT],
    ['max', TIMESTAMP, TIMESTAMP],
    ['min', { kind: 'string' }, { kind: 'string' }],
    ['max', { kind: 'bytes' }, { kind: 'bytes' }],
  ])('%s of %j is nullable %j', (kind, input, output) => {
    const field = resultFieldOf(aggregateOf(kind), inputOf(fieldOf(input, false)))
    expect(field).toEqual({ name: 'result', type: output, nullable: true })
  })

  test.each<[PlainKind, ColumnType]>([
    ['sum', TIMESTAMP],
    ['sum', { kind: 'string' }],
    ['avg', { kind: 'date' }],
    ['max', { kind: 'enum', symbols: ['B', 'A'] }],
    ['min', { kind: 'boolean' }],
    ['min', { kind: 'fixed', size: 4 }],
    ['max', { kind: 'list', element: fieldOf(INT) }],
  ])('%s of %j is refused with advice', (kind, input) => {
    expect(() => createAccumulator(aggregateOf(kind), inputOf(fieldOf(input)))).toThrow(
      expect.objectContaining({
        code: 'AGGREGATE_TYPE',
        message: expect.stringContaining('field x'),
        advice: expect.any(String),
      }),
    )
  })
})

describe('count', () => {
  test('of rows needs no column, and is never null', () => {
    const accumulator = createAccumulator(aggregateOf('count', null), inputOf(null))
    expect(accumulator.resultField).toEqual({ name: 'result', type: { kind: 'int64' }, nullable: false })
    accumulator.reserve(2)
    accumulator.addRows(null, Int32Array.of(7, 8, 9), Int32Array.of(1, 1, 0), 2, unplaced(null))
    expect([resultOf(accumulator, 0), resultOf(accumulator, 1)]).toEqual([0n, 2n])
  })

  test('of a field leaves out nulls, whatever its type', () => {
    expect(aggregated('count', { kind: 'string' }, ['a', null, ''])).toBe(2n)
    const field = fieldOf(INT, false)
    expect(resultOf(accumulated(aggregateOf('count'), field, [0, 0]))).toBe(2n)
  })
})

test.each<PlainKind>(['sum', 'avg', 'min', 'max', 'first', 'last'])(
  '%s gives one NaN for all NaNs',
  (kind) => {
    const field = fieldOf({ kind: 'float64' }, false)
    for (const pattern of [0x7ff8_0000_0000_0000n, 0xfff8_0000_0000_0123n, 0x7ff4_0000_0000_0001n]) {
      const column = columnOf(field, [0])
      if (column.storage !== 'float64') throw new Error('a double has a float64 column')
      new BigUint64Array(column.values.buffer)[0] = pattern
      const accumulator = createAccumulator(aggregateOf(kind), inputOf(field))
      accumulator.reserve(1)
      accumulator.addRows(column, Int32Array.of(0), Int32Array.of(0), 1, unplaced(column))
      const results = createColumn(accumulator.resultField)
      accumulator.appendResult(0, results)
      if (results.storage !== 'float64') throw new Error('the result is a double')
      expect(new BigUint64Array(results.values.buffer)[0]).toBe(0x7ff8_0000_0000_0000n)
    }
  },
)

describe.each<PlainKind>(['count', 'sum', 'avg', 'min', 'max', 'first', 'last'])('panes of %s', (kind) => {
  test('are empty when new, also after growth and reset', () => {
    const field = fieldOf({ kind: 'float64' })
    const accumulator = createAccumulator(aggregateOf(kind), inputOf(field))
    const empty = kind === 'count' ? 0n : null
    accumulator.reserve(1)
    const column = columnOf(field, [2, 1e300, 1e-300])
    accumulator.addRows(column, Int32Array.of(0, 1, 2), Int32Array.of(0, 0, 0), 3, unplaced(column))
    const full = resultOf(accumulator)
    accumulator.reserve(1000)
    expect(resultOf(accumulator)).toEqual(full)
    expect(resultOf(accumulator, 999)).toBe(empty)
    accumulator.movePane(0, 5)
    accumulator.reset(0)
    expect(resultOf(accumulator)).toBe(empty)
    expect(resultOf(accumulator, 5)).toEqual(full)
    accumulator.movePane(0, 5)
    expect(resultOf(accumulator, 5)).toBe(empty)
    expect(accumulator.write(5)).toBeNull()
  })

  test('keep what they have when there are millions, and those between are empty', () => {
    const field = fieldOf({ kind: 'float64' })
    const accumulator = accumulated(aggregateOf(kind), field, [0.1, 1e300, 1e-300])
    const full = accumulator.write(0)
    for (const panes of [2 ** 20, 2 ** 21 + 1, 2 ** 22]) {
      accumulator.reserve(panes)
      addAll(accumulator, panes - 1, field, [7])
      expect(accumulator.write(0)).toEqual(full)
      expect([1, panes >> 2, panes - 2].map((pane) => accumulator.write(pane))).toEqual([null, null, null])
    }
    expect([2 ** 20, 2 ** 21 + 1].map((panes) => resultOf(accumulator, panes - 1))).toEqual(
      kind === 'count' ? [1n, 1n] : [7, 7],
    )
  })
})
