import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { accumulated, aggregateOf, aggregated, bitsOf, doubleOf, fieldOf, resultOf } from './cells.ts'
import { exactSum } from './rational.ts'

const DOUBLE = { kind: 'float64' } as const
const FLOAT = { kind: 'float32' } as const
const MAX = Number.MAX_VALUE
const MIN = Number.MIN_VALUE

interface Vector {
  readonly name: string
  readonly values: string
  readonly fsum: string | null
  readonly exact: string
}

const corpus = JSON.parse(readFileSync(new URL('../fixtures/fsum.json', import.meta.url), 'utf8')) as {
  vectors: Vector[]
}

function sum(values: readonly number[]): number {
  return Number(aggregated('sum', DOUBLE, values))
}

describe('sum of doubles', () => {
  test.each(corpus.vectors.filter(({ values }) => values !== ''))('as math.fsum: $name', (vector) => {
    const values = vector.values.split(' ').map(doubleOf)
    expect(bitsOf(sum(values))).toBe(vector.fsum ?? vector.exact)
    expect(bitsOf(sum(values.toReversed()))).toBe(vector.fsum ?? vector.exact)
  })

  test('equals the exact rational sum, rounded once', () => {
    fc.assert(
      fc.property(fc.array(anyDouble(), { minLength: 1, maxLength: 40 }), (values) => {
        expect(bitsOf(sum(values))).toBe(bitsOf(exactSum(values)))
      }),
      { numRuns: 1500 },
    )
  })

  test('an overflow on the way is no overflow', () => {
    expect(sum([1e308, 1e308, -1e308])).toBe(1e308)
    expect(sum([-MAX, -MAX, MAX, MAX, 1])).toBe(1)
    expect(sum([MAX, 2 ** 970, -MIN])).toBe(MAX)
  })

  test('a sum beyond the largest double is infinite', () => {
    expect(sum([MAX, MAX])).toBe(Number.POSITIVE_INFINITY)
    expect(sum([-MAX, -(2 ** 970)])).toBe(Number.NEGATIVE_INFINITY)
  })

  test('NaN and infinities of both signs give NaN, infinities of one sign that one', () => {
    const inf = Number.POSITIVE_INFINITY
    expect(sum([1, Number.NaN, inf])).toBeNaN()
    expect(sum([inf, 1, -inf])).toBeNaN()
    expect(sum([MAX, inf, MAX, 1])).toBe(inf)
    expect(sum([MAX, MAX, -inf])).toBe(-inf)
  })

  test('zero is +0', () => {
    expect(bitsOf(sum([-0, -0]))).toBe(bitsOf(0))
    expect(bitsOf(sum([-0.1, 0.1]))).toBe(bitsOf(0))
  })

  test('half a million tenths are fifty thousand', () => {
    const tenths = Array.from({ length: 500_000 }, () => 0.1)
    expect(sum(tenths)).toBe(50_000)
  })

  test('floats are summed as doubles', () => {
    expect(aggregated('sum', FLOAT, [0.1, 0.2])).toBe(Math.fround(0.1) + Math.fround(0.2))
  })

  test('the average is the rounded sum divided by the number of values that are present', () => {
    expect(aggregated('avg', DOUBLE, [0.1, null, 0.2, 0.3])).toBe(0.6 / 3)
    expect(aggregated('avg', DOUBLE, [null])).toBeNull()
  })
})

describe('state of a sum of doubles', () => {
  test('is the rounded sum, and what it lacks', () => {
    expect(written([])).toBeNull()
    expect(written([1.5, 2])).toEqual([2, 3.5])
    expect(written([1, 2 ** -80])).toEqual([2, 1, 2 ** -80])
    expect(written([Number.NaN, 1])).toEqual([2, 'NaN'])
  })

  test('is in units of the smallest double where two doubles do not hold it', () => {
    expect(written([1, 2 ** -300, 2 ** -600])).toEqual([3, expect.stringMatching(/^[0-9a-f]+p[0-9]+$/)])
    expect(written([MAX, MAX])).toEqual([2, expect.stringMatching(/^[0-9a-f]+p[0-9]+$/)])
  })

  test('goes on exactly after it was read', () => {
    const accumulator = accumulated(aggregateOf('sum'), fieldOf(DOUBLE), [5])
    accumulator.read(0, JSON.parse(JSON.stringify(written([MAX, MAX, 1, MIN, -MAX]))))
    const rest = accumulated(aggregateOf('sum'), fieldOf(DOUBLE), [-MAX, -1])
    accumulator.mergePane(rest, 0, 0)
    expect(resultOf(accumulator)).toBe(MIN)
  })

  test('refuses what it did not write', () => {
    const accumulator = accumulated(aggregateOf('sum'), fieldOf(DOUBLE), [])
    for (const state of [1, [1], [1, 'one'], ['1', 1], [1.5, 1]]) {
      expect(() => accumulator.read(0, state)).toThrow(/./)
    }
  })
})

function written(values: readonly number[]): unknown {
  return accumulated(aggregateOf('sum'), fieldOf(DOUBLE), values).write(0)
}

function anyDouble(): fc.Arbitrary<number> {
  const scaled = fc
    .tuple(fc.double({ min: -1, max: 1, noNaN: true }), fc.integer({ min: -1000, max: 1023 }))
    .map(([mantissa, exponent]) => mantissa * 2 ** exponent)
  return fc.oneof(
    { weight: 4, arbitrary: scaled },
    { weight: 2, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(MAX, -MAX, 2 ** 970, -(2 ** 970), MIN, -MIN, -0, 1, -1, 2 ** -53, 1e16),
    },
    { weight: 1, arbitrary: fc.double({ min: -100, max: 100, noNaN: true }) },
  )
}
