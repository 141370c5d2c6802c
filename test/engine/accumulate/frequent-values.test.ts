import { describe, expect, test } from 'vitest'
import type { ColumnType } from '../../../src/columns/column-type.ts'
import { PipelineError } from '../../../src/errors.ts'
import type { AggregateSpec } from '../../../src/topology/node.ts'
import { Aggregation, resultOf, resultOfValues, stateOf } from './rows.ts'

const STRING: ColumnType = { kind: 'string' }

function mostFrequent(k: number, distinctMax = 100): AggregateSpec {
  return { kind: 'most-frequent', field: 'x', k, distinctMax }
}

describe('most frequent', () => {
  test('gives the values that most rows have, most frequent first', () => {
    const values = ['b', 'a', 'c', 'b', null, 'c', 'b']
    expect(resultOfValues(mostFrequent(2), STRING, values)).toEqual(['b', 'c'])
    expect(resultOfValues(mostFrequent(9), STRING, values)).toEqual(['b', 'c', 'a'])
    expect(resultOfValues(mostFrequent(9), STRING, [null])).toBeNull()
  })

  test('gives the smaller value first where two have as many rows', () => {
    expect(resultOfValues(mostFrequent(2), { kind: 'int64' }, [10n, 9n, 2n ** 60n])).toEqual([9n, 10n])
    expect(resultOfValues(mostFrequent(2), STRING, ['\u{1f600}', '\u{ffff}', 'é'])).toEqual(['é', '\u{ffff}'])
    expect(resultOfValues(mostFrequent(3), { kind: 'float64' }, [Number.NaN, Infinity, 1])).toEqual([
      1,
      Infinity,
      Number.NaN,
    ])
    expect(resultOfValues(mostFrequent(1), { kind: 'float64' }, [-0, 1, 0])).toStrictEqual([0])
  })

  test('is exact where one value hides among many', () => {
    const values = Array.from({ length: 3_000 }, (_, i) => (i % 1_000 === 999 ? 'hidden' : `v${i % 1_000}`))
    const accumulator = new Aggregation(mostFrequent(1, 2_000), STRING).of(
      [...values, 'hidden'].map((x) => ({ x })),
    )
    expect(resultOf(accumulator)).toEqual(['hidden'])
  })

  test('stops the pipeline at more different values than it may count', () => {
    const aggregation = new Aggregation(mostFrequent(1, 3), STRING)
    const rows = ['a', 'b', 'c', 'a'].map((x) => ({ x }))
    const accumulator = aggregation.of(rows)
    expect(stateOf(accumulator)).toEqual(['a', 2, 'b', 1, 'c', 1])
    const failure = expect.objectContaining({ code: 'AGGREGATE_LIMIT', retryable: false })
    expect(() => aggregation.add(accumulator, [{ x: 'd' }])).toThrow(failure)
    expect(() => aggregation.add(aggregation.of(rows), [{ x: 'd' }])).toThrow(PipelineError)
    // Two partials that are within the limit may be beyond it together.
    expect(() => aggregation.of(rows).mergePane(aggregation.of([{ x: 'e' }]), 0, 0)).toThrow(failure)
    expect(() => aggregation.of(rows).mergePane(aggregation.of([{ x: 'c' }]), 0, 0)).not.toThrow()
  })
})
