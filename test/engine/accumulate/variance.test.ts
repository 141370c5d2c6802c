import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ColumnType } from '../../../src/columns/column-type.ts'
import type { NamedAggregate } from '../../../src/topology/node.ts'
import { accumulated, bitsOf, fieldOf, resultOf } from './cells.ts'
import type { Cell } from './cells.ts'
import { Aggregation, resultOf as placedResultOf, scattered } from './rows.ts'
import { exactVariance, fractionOf, nearest, nearestRoot } from './rational.ts'
import type { Fraction } from './rational.ts'

const DOUBLE = { kind: 'float64' } as const
const LONG = { kind: 'int64' } as const
const MAX = Number.MAX_VALUE
const MIN = Number.MIN_VALUE

type Of = 'sample' | 'population'

function spread(kind: 'variance' | 'stddev', of: Of): NamedAggregate {
  return { name: 'result', spec: { kind, field: 'x', of } }
}

function variance(cells: readonly Cell[], type: ColumnType = DOUBLE, of: Of = 'sample'): Cell {
  return resultOf(accumulated(spread('variance', of), fieldOf(type), cells))
}

function stddev(cells: readonly Cell[], type: ColumnType = DOUBLE, of: Of = 'sample'): Cell {
  return resultOf(accumulated(spread('stddev', of), fieldOf(type), cells))
}

/** Both results, of samples and of populations, against the definition in exact fractions. */
function expectExact(cells: readonly Cell[], type: ColumnType, exact: readonly Fraction[]): void {
  for (const of of ['sample', 'population'] as const) {
    const wanted = exactVariance(exact, of)
    const [square, root] = wanted === null ? [null, null] : [nearest(wanted), nearestRoot(wanted)]
    expect(variance(cells, type, of)).toBe(square)
    expect(stddev(cells, type, of)).toBe(root)
  }
}

describe('variance', () => {
  test('of a sample divides by n - 1, of a population by n', () => {
    expect(variance([2, 4, 4, 4, 5, 5, 7, 9])).toBe(32 / 7)
    expect(variance([2, 4, 4, 4, 5, 5, 7, 9], DOUBLE, 'population')).toBe(4)
    expect(stddev([2, 4, 4, 4, 5, 5, 7, 9], DOUBLE, 'population')).toBe(2)
  })

  test('of too few rows is null, of one row of a population zero', () => {
    expect(variance([])).toBeNull()
    expect(variance([5])).toBeNull()
    expect(stddev([null, 5, null])).toBeNull()
    expect(variance([null], DOUBLE, 'population')).toBeNull()
    expect(variance([1e300, null], DOUBLE, 'population')).toBe(0)
    expect(bitsOf(Number(variance([-0, -0])))).toBe(bitsOf(0))
  })

  test('does not cancel where values are close together and far from zero', () => {
    expect(variance([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16])).toBe(30)
    expect(variance([2 ** 53, 2 ** 53 + 2], DOUBLE, 'population')).toBe(1)
    expect(variance([2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n], LONG)).toBe(1)
    expect(variance([2n ** 63n - 1n, 2n ** 63n - 3n], LONG, 'population')).toBe(1)
    expect(variance([1_700_000_000_000_000_000n, 1_700_000_000_000_000_004n], LONG)).toBe(8)
  })

  test('overflows only where the result does', () => {
    expect(variance([1e308, -1e308])).toBe(Infinity)
    expect(stddev([1e308, -1e308], DOUBLE, 'population')).toBe(1e308)
    expect(stddev([MAX, -MAX], DOUBLE, 'population')).toBe(MAX)
    expect(variance([1e308, 1e308, 1e308])).toBe(0)
    expect(stddev([MIN, -MIN], DOUBLE, 'population')).toBe(MIN)
    expect(variance([MIN, -MIN])).toBe(0)
  })

  test('is NaN where a value is not finite', () => {
    for (const odd of [Number.NaN, Infinity, -Infinity]) {
      expect(variance([1, odd, 2])).toBeNaN()
      expect(stddev([odd], DOUBLE, 'population')).toBeNaN()
      expect(variance([odd])).toBeNull()
    }
  })

  test('of decimals counts their scale', () => {
    const money = { kind: 'decimal', precision: 12, scale: 2 } as const
    expect(variance([100n, 300n], money)).toBe(2)
    expect(stddev([100n, 300n], money, 'population')).toBe(1)
    expect(variance([1n, 2n], money, 'population')).toBe(0.000025)
  })

  test('is the exact one, rounded once: doubles of all sizes', () => {
    const scaled = fc
      .tuple(fc.double({ min: -1, max: 1, noNaN: true }), fc.integer({ min: -1070, max: 1020 }))
      .map(([mantissa, exponent]) => mantissa * 2 ** exponent)
    const special = fc.constantFrom(MAX, -MAX, MIN, -MIN, 1e308, -1e308, 2 ** -480, 2 ** 500, 0, -0, 0.1)
    const values = fc.array(fc.oneof(scaled, special), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(values, (cells) => expectExact(cells, DOUBLE, cells.map(fractionOf))),
      { numRuns: 60 },
    )
  })

  test('is the exact one, rounded once: doubles of like size', () => {
    const like = fc.tuple(
      fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      fc.double({ min: 0, max: 1e-9, noNaN: true }),
    )
    fc.assert(
      fc.property(like, fc.array(fc.double({ min: -1, max: 1, noNaN: true })), ([far, near], offsets) => {
        const cells = offsets.map((offset) => far + offset * near)
        expectExact(cells, DOUBLE, cells.map(fractionOf))
      }),
      { numRuns: 100 },
    )
  })

  test('is the exact one, rounded once: whole numbers', () => {
    const longs = fc.oneof(
      fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
      fc.bigInt(2n ** 53n - 3n, 2n ** 53n + 3n),
      fc.bigInt(-9n, 9n),
    )
    const decimals = fc.oneof(longs, fc.bigInt(-(10n ** 38n) + 1n, 10n ** 38n - 1n))
    fc.assert(
      fc.property(fc.array(longs, { maxLength: 10 }), fc.array(decimals, { maxLength: 10 }), (a, b) => {
        expectExact(
          a,
          LONG,
          a.map((value) => ({ numerator: value, denominator: 1n })),
        )
        const type = { kind: 'decimal', precision: 38, scale: 7 } as const
        const exact = b.map((value) => ({ numerator: value, denominator: 10n ** 7n }))
        expectExact(b, type, exact)
        const ints = a.map((value) => Number(BigInt.asIntN(32, value)))
        expectExact(ints, { kind: 'int32' }, ints.map(fractionOf))
        expectExact(ints.map(Math.fround), { kind: 'float32' }, ints.map(Math.fround).map(fractionOf))
      }),
      { numRuns: 60 },
    )
  })

  test('of many rows stays exact', () => {
    const cells = Array.from({ length: 100_000 }, (_, i) => (i % 2 === 0 ? 1e8 + 0.1 : 1e8 - 0.1))
    const [high, low] = [fractionOf(1e8 + 0.1), fractionOf(1e8 - 0.1)]
    expect(variance(cells, DOUBLE, 'population')).toBe(nearest(exactVariance([high, low], 'population')!))
  })
})

describe('variance in any order', () => {
  const odd = fc.constantFrom(-0, 0, Number.NaN, Infinity, -Infinity, MAX, -MAX, MIN, -MIN, 1e160, 1e-160)
  const doubles = fc.oneof(
    { weight: 20, arbitrary: fc.double({ noNaN: true }) },
    { weight: 3, arbitrary: odd },
  )
  const near = fc.double({ min: 1e6, max: 1e6 + 1, noNaN: true })
  const longs = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-4n, 4n))
  const decimals = fc.bigInt(-(10n ** 38n) + 1n, 10n ** 38n - 1n).map((unscaled) => ({ unscaled, scale: 2 }))
  const cases: readonly [string, ColumnType, fc.Arbitrary<unknown>][] = [
    ['doubles of all kinds', DOUBLE, doubles],
    ['doubles near each other', DOUBLE, near],
    ['floats', { kind: 'float32' }, near.map(Math.fround)],
    ['ints', { kind: 'int32' }, fc.integer()],
    ['longs', LONG, longs],
    ['decimals', { kind: 'decimal', precision: 38, scale: 2 }, decimals],
  ]
  test.each(cases)('of %s is the same, however they are split and merged', (_name, type, value) => {
    const aggregation = new Aggregation({ kind: 'stddev', field: 'x', of: 'population' }, type)
    const rows = fc.array(fc.record({ x: fc.option(value, { freq: 8 }) }), { maxLength: 25 })
    fc.assert(
      fc.property(rows, fc.integer(), (cells, seed) => {
        const direct = aggregation.of(cells)
        const merged = scattered(aggregation, cells, seed)
        expect(placedResultOf(merged)).toStrictEqual(placedResultOf(direct))
        expect(JSON.stringify(merged.write(0))).toBe(JSON.stringify(direct.write(0)))
      }),
      { numRuns: 80 },
    )
  })
})

describe('state of a variance', () => {
  const written = (cells: readonly Cell[]): unknown =>
    accumulated(spread('variance', 'sample'), fieldOf(DOUBLE), cells).write(0)

  test('is the rows and both exact sums', () => {
    expect(written([])).toBeNull()
    expect(written([1.5, 2])).toEqual([2, 3.5, 6.25])
    expect(written([1, 2 ** -80])).toEqual([2, '100000000000000000001p-80', expect.stringMatching(/p-160$/)])
    expect(written([1e200])).toEqual([1, 1e200, expect.stringMatching(/^[0-9a-f]+p[0-9]+$/)])
    expect(written([1, Number.NaN])).toEqual([2])
  })

  test('refuses what it did not write', () => {
    const accumulator = accumulated(spread('variance', 'sample'), fieldOf(DOUBLE), [])
    for (const state of [1, [1, 2], [1, 'one', 2], ['1', 1, 1], [1.5, 1, 1], [1, null, 1]]) {
      expect(() => accumulator.read(0, state)).toThrow(/./)
    }
  })
})
