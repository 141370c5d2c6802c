import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createColumn } from '../../../src/columns/column.ts'
import type { ColumnType } from '../../../src/columns/column-type.ts'
import { valueAt } from '../../../src/columns/row.ts'
import { offer } from '../../../src/engine/accumulate/bounded-heap.ts'
import type { AggregateSpec } from '../../../src/topology/node.ts'
import { Aggregation, resultOf, stateOf } from './rows.ts'
import type { TestRow } from './rows.ts'

const STRING: ColumnType = { kind: 'string' }
const DOUBLE: ColumnType = { kind: 'float64' }
const topK = (k: number): AggregateSpec => ({ kind: 'top-k', field: 'x', by: 'by', k })
const collect = (max: number): AggregateSpec => ({ kind: 'collect', field: 'x', max })

function result(spec: AggregateSpec, rows: readonly TestRow[], type = STRING, byType = DOUBLE): unknown {
  return resultOf(new Aggregation(spec, type, byType).of(rows))
}

describe('top-k', () => {
  test('gives the values of the rows with the greatest by, greatest first', () => {
    const rows = [
      { x: 'c', by: 3 },
      { x: 'a', by: 9 },
      { x: 'b', by: -1 },
      { x: 'a', by: 5 },
    ]
    expect(result(topK(3), rows)).toEqual(['a', 'a', 'c'])
    expect(result(topK(10), rows)).toEqual(['a', 'a', 'c', 'b'])
  })

  test('passes over rows without a value or without a by', () => {
    const rows = [
      { x: null, by: 9 },
      { x: 'a', by: null },
      { x: 'b', by: 1 },
    ]
    expect(result(topK(3), rows)).toEqual(['b'])
    expect(result(topK(3), rows.slice(0, 2))).toBeNull()
  })

  test('breaks ties by event time, task and offset, then by the value', () => {
    const rows = [
      { x: 'second task', by: 1, timeMs: 5, task: 'b', offset: 0 },
      { x: 'late', by: 1, timeMs: 6, task: 'a', offset: 0 },
      { x: 'second', by: 1, timeMs: 5, task: 'a', offset: 10 },
      { x: 'first', by: 1, timeMs: 5, task: 'a', offset: 9 },
    ]
    expect(result(topK(4), rows)).toEqual(['first', 'second', 'second task', 'late'])
    // Rows that are results have no place; that of the frame is of no meaning.
    const results = ['b', 'a', 'c'].map((x, offset) => ({ x, by: 1, task: '', offset }))
    expect(result(topK(2), results)).toEqual(['a', 'b'])
  })

  test('ranks by numbers with NaN on top, by longs beyond 2^53, by text bytewise', () => {
    const floats = [Infinity, Number.NaN, -0, 0].map((by) => ({ x: String(1 / by), by }))
    expect(result(topK(4), floats)).toEqual(['NaN', '0', 'Infinity', '-Infinity'])
    const longs = [2n ** 53n, 2n ** 53n + 1n, 5n].map((by) => ({ x: `${by}`, by }))
    expect(result(topK(2), longs, STRING, { kind: 'int64' })).toEqual([
      '9007199254740993',
      '9007199254740992',
    ])
    const texts = ['\u{ffff}', '\u{1f600}', 'z'].map((by) => ({ x: by, by }))
    expect(result(topK(2), texts, STRING, STRING)).toEqual(['\u{1f600}', '\u{ffff}'])
  })
})

describe('collect', () => {
  test('gives the first values by event time, task and offset', () => {
    const rows = [
      { x: 'd', timeMs: 9, task: 'a', offset: 0 },
      { x: 'b', timeMs: 3, task: 'a', offset: 7 },
      { x: null, timeMs: 1, task: 'a', offset: 2 },
      { x: 'c', timeMs: 3, task: 'b', offset: 1 },
      { x: 'a', timeMs: -4, task: 'b', offset: 2 },
    ]
    expect(result(collect(3), rows)).toEqual(['a', 'b', 'c'])
    expect(result(collect(9), rows)).toEqual(['a', 'b', 'c', 'd'])
    expect(result(collect(3), rows.slice(2, 3))).toBeNull()
  })

  test('of every scalar type', () => {
    const cases: readonly [ColumnType, readonly unknown[]][] = [
      [{ kind: 'int32' }, [3, -1]],
      [{ kind: 'int64' }, [2n ** 63n - 1n, -(2n ** 63n), 0n]],
      [{ kind: 'float32' }, [0.5, -0, Number.NaN]],
      [DOUBLE, [0.1, -0, Infinity]],
      [{ kind: 'boolean' }, [true, false, true]],
      [STRING, ['', 'ä\u{1f600}', 'a'.repeat(5_000)]],
      [{ kind: 'bytes' }, [Uint8Array.of(0, 255, 128), new Uint8Array(0)]],
      [{ kind: 'fixed', size: 2 }, [Uint8Array.of(1, 254), Uint8Array.of(0, 0)]],
      [{ kind: 'enum', symbols: ['UP', 'DOWN'] }, ['DOWN', 'UP']],
      [{ kind: 'date' }, [20_000, -1]],
      [{ kind: 'time', unit: 'millis' }, [1]],
      [{ kind: 'time', unit: 'micros' }, [5n]],
      [{ kind: 'timestamp', unit: 'millis', local: false }, [-1, 1.7e12]],
      [{ kind: 'timestamp', unit: 'micros', local: true }, [-1n]],
      [
        { kind: 'decimal', precision: 38, scale: 3 },
        [-(10n ** 37n), 5n, -1n].map((unscaled) => ({ unscaled, scale: 3 })),
      ],
    ]
    for (const [type, values] of cases) {
      const aggregation = new Aggregation(collect(10), type)
      const accumulator = aggregation.of(values.map((x, offset) => ({ x, offset })))
      const copy = aggregation.create()
      copy.read(0, stateOf(accumulator))
      expect(resultOf(copy)).toStrictEqual(values)
    }
  })

  test('appends one list behind the other', () => {
    const accumulator = new Aggregation(collect(2), STRING).create(3)
    new Aggregation(collect(2), STRING).add(accumulator, [{ x: 'a' }, { x: 'b' }], 0)
    new Aggregation(collect(2), STRING).add(accumulator, [{ x: 'c' }], 2)
    const column = createColumn(accumulator.resultField)
    for (const pane of [0, 1, 2]) accumulator.appendResult(pane, column)
    expect([0, 1, 2].map((row) => valueAt(column, row))).toEqual([['a', 'b'], null, ['c']])
  })
})

describe('a bounded heap', () => {
  test('keeps the first items of any order', () => {
    const compare = (left: number, right: number): number => left - right
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 })), fc.integer({ min: 1, max: 8 }), (items, max) => {
        const heap: number[] = []
        for (const item of items) offer(heap, max, compare, item)
        const first = [...items].sort(compare).slice(0, max)
        expect([...heap].sort(compare)).toEqual(first)
        if (first.length > 0) expect(heap[0]).toBe(first.at(-1))
      }),
    )
  })
})
