import * as fc from 'fast-check'
import { decimal } from 'millrace'
import { describe, expect, test } from 'vitest'

const decimals = fc.record({
  unscaled: fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }),
  scale: fc.nat(38),
})

describe('a decimal', () => {
  test.each([
    ['12.50', { unscaled: 1250n, scale: 2 }],
    ['-0.007', { unscaled: -7n, scale: 3 }],
    ['0', { unscaled: 0n, scale: 0 }],
    ['-3', { unscaled: -3n, scale: 0 }],
  ])('is written as %s with all digits of its scale, and read back', (text, value) => {
    expect(decimal.toString(value)).toBe(text)
    expect(decimal.fromString(text)).toEqual(value)
  })

  test('survives being written and read', () => {
    fc.assert(
      fc.property(decimals, (value) => {
        expect(decimal.fromString(decimal.toString(value), value.scale)).toEqual(value)
      }),
    )
  })

  test('takes the scale that is asked for, and never loses a digit', () => {
    expect(decimal.fromString('12.5', 4)).toEqual({ unscaled: 125_000n, scale: 4 })
    expect(decimal.fromString('12.500', 1)).toEqual({ unscaled: 125n, scale: 1 })
    expect(() => decimal.fromString('12.55', 1)).toThrow(expect.objectContaining({ code: 'INVALID_DECIMAL' }))
  })

  test.each(['', '.5', '5.', '1e3', '1,000', ' 1', 'NaN', '--1'])('is not read from %j', (text) => {
    expect(() => decimal.fromString(text)).toThrow(expect.objectContaining({ code: 'INVALID_DECIMAL' }))
  })

  test('becomes the nearest double', () => {
    expect(decimal.toNumber({ unscaled: 1n, scale: 1 })).toBe(0.1)
    expect(decimal.toNumber({ unscaled: 123_456_789_012_345_678_901n, scale: 20 })).toBe(1.2345678901234567)
  })

  test('compares exactly with decimals, bigints, and numbers as they are printed', () => {
    const tenth = { unscaled: 10n, scale: 2 }
    expect(decimal.compare(tenth, 0.1)).toBe(0)
    expect(decimal.compare(tenth, { unscaled: 1n, scale: 1 })).toBe(0)
    expect(decimal.compare(tenth, 0n)).toBe(1)
    expect(decimal.compare(tenth, 1e21)).toBe(-1)
    expect(decimal.compare(tenth, 1e-21)).toBe(1)
    expect(decimal.compare(tenth, -1.5e-7)).toBe(1)
    expect(decimal.compare(tenth, Number.POSITIVE_INFINITY)).toBeLessThan(0)
    expect(decimal.compare(tenth, Number.NEGATIVE_INFINITY)).toBeGreaterThan(0)
    expect(decimal.compare(tenth, Number.NaN)).toBeNaN()
  })

  test('has one order, whatever the scales', () => {
    fc.assert(
      fc.property(decimals, decimals, (left, right) => {
        const exact = left.unscaled * 10n ** BigInt(right.scale) - right.unscaled * 10n ** BigInt(left.scale)
        expect(Math.sign(decimal.compare(left, right))).toBe(exact < 0n ? -1 : exact > 0n ? 1 : 0)
      }),
    )
  })
})
