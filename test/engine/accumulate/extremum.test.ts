import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { accumulated, aggregateOf, aggregated, bitsOf, fieldOf } from './cells.ts'

const DOUBLE = { kind: 'float64' } as const
const LONG = { kind: 'int64' } as const
const STRING = { kind: 'string' } as const
const INFINITY = Number.POSITIVE_INFINITY

describe('least and greatest double', () => {
  test('NaN is larger than every number', () => {
    expect(aggregated('max', DOUBLE, [1, Number.NaN, INFINITY])).toBeNaN()
    expect(aggregated('min', DOUBLE, [Number.NaN, INFINITY])).toBe(INFINITY)
    expect(aggregated('min', DOUBLE, [Number.NaN, null])).toBeNaN()
    expect(aggregated('max', DOUBLE, [-INFINITY])).toBe(-INFINITY)
    expect(aggregated('max', DOUBLE, [null])).toBeNull()
  })

  test('-0 is smaller than +0', () => {
    expect(bitsOf(Number(aggregated('min', DOUBLE, [0, -0, 0])))).toBe(bitsOf(-0))
    expect(bitsOf(Number(aggregated('max', DOUBLE, [-0, 0, -0])))).toBe(bitsOf(0))
  })

  test('states tell special values apart', () => {
    expect(written('max', [null])).toBeNull()
    expect(written('max', [-INFINITY])).toBe('-Infinity')
    expect(written('min', [INFINITY])).toBe('Infinity')
    expect(written('min', [Number.NaN])).toBe('NaN')
    expect(written('max', [-0])).toBe('-0')
    expect(written('max', [0.1])).toBe(0.1)
  })

  test('of floats stay floats', () => {
    expect(aggregated('max', { kind: 'float32' }, [0.1, -1])).toBe(Math.fround(0.1))
  })
})

describe('least and greatest whole number', () => {
  test('compares all words, with their signs', () => {
    const longs = fc.oneof(
      fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
      fc.constantFrom(-1n, 0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, -(2n ** 31n), -(2n ** 32n)),
    )
    fc.assert(
      fc.property(fc.array(longs, { minLength: 1, maxLength: 10 }), (cells) => {
        const least = cells.reduce((a, b) => (a < b ? a : b))
        const greatest = cells.reduce((a, b) => (a > b ? a : b))
        const wide = { kind: 'decimal', precision: 38, scale: 0 } as const
        expect(aggregated('min', LONG, cells)).toBe(least)
        expect(aggregated('max', LONG, cells)).toBe(greatest)
        const far = 2n ** 62n
        expect(
          aggregated(
            'min',
            wide,
            cells.map((cell) => cell * far),
          ),
        ).toBe(least * far)
        expect(
          aggregated(
            'max',
            wide,
            cells.map((cell) => cell * far),
          ),
        ).toBe(greatest * far)
        const low = cells.map((cell) => Number(BigInt.asIntN(32, cell)))
        expect(aggregated('max', { kind: 'date' }, low)).toBe(Math.max(...low))
        expect(aggregated('min', { kind: 'int32' }, low)).toBe(Math.min(...low))
      }),
      { numRuns: 500 },
    )
  })

  test('zero is a value', () => {
    expect(aggregated('max', LONG, [null, -5n])).toBe(-5n)
    expect(aggregated('min', LONG, [5n, null])).toBe(5n)
  })
})

describe('least and greatest string', () => {
  test('compares the bytes of UTF-8, which is the order of code points', () => {
    // In UTF-16, as JavaScript compares, the emoji would come first.
    expect(aggregated('max', STRING, ['\u{ffff}', '\u{1f600}'])).toBe('\u{1f600}')
    expect(aggregated('min', STRING, ['b', 'ab', 'abc', null])).toBe('ab')
    expect(aggregated('max', STRING, ['ab', 'abc', ''])).toBe('abc')
    expect(aggregated('min', STRING, ['a', ''])).toBe('')
    expect(aggregated('min', STRING, [null])).toBeNull()
  })
})

function written(kind: 'min' | 'max', cells: readonly (number | null)[]): unknown {
  return accumulated(aggregateOf(kind), fieldOf(DOUBLE), cells).write(0)
}
