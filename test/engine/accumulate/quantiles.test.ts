import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ColumnType } from '../../../src/columns/column-type.ts'
import { BinMapping } from '../../../src/engine/accumulate/quantile-sketch.ts'
import type { AggregateSpec } from '../../../src/topology/node.ts'
import { Aggregation, numbersBelow, resultOf, resultOfValues, stateOf } from './rows.ts'

const DOUBLE: ColumnType = { kind: 'float64' }
const QS = [0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1]
/** Of a logarithm, beside the error that was asked for. */
const ROUNDING = 1e-12

function quantiles(qs: readonly number[], accuracy = 0.01): AggregateSpec {
  return { kind: 'quantiles', field: 'x', qs, accuracy }
}

function quantile(q: number, accuracy = 0.01): AggregateSpec {
  return { kind: 'quantile', field: 'x', q, accuracy }
}

/** The value of rank floor(q (n − 1)), NaN being the largest. */
function exact(values: readonly number[], q: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.floor(q * (sorted.length - 1))]!
}

describe('the error', () => {
  const below = numbersBelow(42)
  const uniform = (): number => (below(2 ** 31) + 0.5) / 2 ** 31
  const normal = (): number => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
  const gamma = 1.01 / 0.99
  const distributions: Readonly<Record<string, (i: number) => number>> = {
    uniform: uniform,
    'normal, on both sides of zero': normal,
    'log-normal': () => Math.exp(3 * normal()),
    exponential: () => -Math.log(uniform()),
    'Pareto, without a mean': () => uniform() ** (-1 / 0.8),
    Zipf: () => Math.floor(1 / uniform()),
    'two peaks far apart': (i) => (i % 2 === 0 ? 1e-6 : 1e9) * (1 + uniform()),
    'all the same': () => 12.5,
    ascending: (i) => i,
    'descending, negative': (i) => -(i + 1) * 1e-9,
    'each in a bin of its own': (i) => gamma ** (i % 30_000) * 1e-250,
    'at the ends of bins': (i) => gamma ** ((i % 100) - 50),
    'over all exponents': (i) => (i % 2 === 0 ? 1 : -1) * 10 ** (i % 308) * uniform(),
  }
  test.each(Object.entries(distributions))('%s', (_name, draw) => {
    const values = Array.from({ length: 20_000 }, (_, i) => draw(i))
    for (const accuracy of [0.01, 0.05]) {
      const results = resultOfValues(quantiles(QS, accuracy), DOUBLE, values) as number[]
      for (const [i, q] of QS.entries()) {
        const expected = exact(values, q)
        const error = Math.abs(results[i]! - expected)
        expect(error).toBeLessThanOrEqual(Math.abs(expected) * (accuracy + ROUNDING))
      }
      expect(results[0]).toBe(exact(values, 0))
      expect(results.at(-1)).toBe(exact(values, 1))
    }
  })

  test('is kept for any doubles', () => {
    const normalDoubles = fc.double().map((value) => (Math.abs(value) < 2.3e-308 ? 0 : value))
    fc.assert(
      fc.property(
        fc.array(normalDoubles, { minLength: 1, maxLength: 20 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, q) => {
          const result = resultOfValues(quantile(q), DOUBLE, values) as number
          const expected = exact(values, q)
          if (!Number.isFinite(expected)) expect(result).toBe(expected)
          else expect(Math.abs(result - expected)).toBeLessThanOrEqual(Math.abs(expected) * (0.01 + ROUNDING))
        },
      ),
    )
  })

  test('of the smallest and largest doubles', () => {
    for (const value of [Number.MAX_VALUE, 1.79e308, 2.2250738585072014e-308, 1]) {
      const mapping = new BinMapping(0.01)
      expect(Math.abs(mapping.valueOf(mapping.keyOf(value)) / value - 1)).toBeLessThanOrEqual(0.01 + ROUNDING)
      expect(mapping.valueOf(mapping.keyOf(-value))).toBe(-mapping.valueOf(mapping.keyOf(value)))
    }
    expect(resultOfValues(quantile(0.5), DOUBLE, [-1, 5e-324, 1])).toBe(0)
    expect(resultOfValues(quantile(0.5), DOUBLE, [5e-324])).toBe(5e-324)
  })
})

describe('values that are no ordinary numbers', () => {
  test('infinities are at the ends, and NaN is larger than they are', () => {
    const values = [Number.NaN, Infinity, 3, -Infinity, 7]
    expect(resultOfValues(quantiles([0, 0.25, 0.5, 0.75, 1]), DOUBLE, values)).toEqual([
      -Infinity,
      3,
      7,
      Infinity,
      Number.NaN,
    ])
    expect(resultOfValues(quantile(0.5), DOUBLE, [Number.NaN, null])).toBeNaN()
    expect(resultOfValues(quantile(0), DOUBLE, [Infinity, Infinity])).toBe(Infinity)
  })

  test('-0 is 0', () => {
    for (const values of [[-0], [-0, 0], [-0, -0, -0]]) {
      expect(resultOfValues(quantiles([0, 0.5, 1]), DOUBLE, values)).toStrictEqual([0, 0, 0])
    }
  })

  test('nulls are passed over, and of nothing else the result is null', () => {
    expect(resultOfValues(quantile(0.5), DOUBLE, [null, 4, null])).toBe(4)
    expect(resultOfValues(quantile(0.5), DOUBLE, [null])).toBeNull()
    expect(resultOfValues(quantiles([0.5, 0.9]), DOUBLE, [])).toBeNull()
  })
})

describe('numbers of other types', () => {
  test('are taken as the nearest double', () => {
    expect(resultOfValues(quantile(1), { kind: 'int32' }, [1, -5, 3])).toBe(3)
    expect(resultOfValues(quantile(0), { kind: 'int64' }, [2n ** 62n + 1n])).toBe(2 ** 62)
    const decimal: ColumnType = { kind: 'decimal', precision: 38, scale: 2 }
    expect(resultOfValues(quantile(0), decimal, [{ unscaled: 110n, scale: 2 }])).toBe(1.1)
    expect(resultOfValues(quantile(0), decimal, [{ unscaled: 10n ** 30n + 1n, scale: 2 }])).toBe(1e28)
    const fine: ColumnType = { kind: 'decimal', precision: 38, scale: 30 }
    expect(resultOfValues(quantile(0), fine, [{ unscaled: -3n * 10n ** 29n, scale: 30 }])).toBe(-0.3)
    expect(resultOfValues(quantile(0), { kind: 'float32' }, [0.1])).toBe(Math.fround(0.1))
  })
})

describe('memory', () => {
  test('is bounded by the range of doubles', () => {
    const mapping = new BinMapping(0.01)
    const bins = mapping.keyOf(Number.MAX_VALUE) - mapping.keyOf(-Number.MAX_VALUE) + 1
    expect(bins).toBe(141_815)
    expect(mapping.keyOf(2.2250738585072014e-308)).toBe(1)
    expect(mapping.keyOf(2.225073858507201e-308)).toBe(0)
  })

  test('grows with the range of the values, not with their number', () => {
    const values = Array.from({ length: 20_000 }, (_, i) => 1 + (i % 1_000))
    const accumulator = new Aggregation(quantile(0.5), DOUBLE).of(values.map((x) => ({ x })))
    const [bins] = stateOf(accumulator) as [number[]]
    expect(bins.length / 2).toBeLessThanOrEqual(Math.ceil(Math.log(1_000) / Math.log(1.01 / 0.99)) + 1)
    expect(resultOf(accumulator)).toBeCloseTo(500, -1)
  })
})
