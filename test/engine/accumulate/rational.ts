/**
 * The naive reference: exact fractions of BigInts, and the double nearest to one found by bisection over the bit
 * patterns of doubles. It shares neither code nor method with the engine.
 */
export interface Fraction {
  readonly numerator: bigint
  /** Positive. */
  readonly denominator: bigint
}

export function fractionOf(value: number): Fraction {
  let denominator = 1n
  let scaled = value
  // Doubling is exact, also from the smallest subnormal on.
  while (!Number.isInteger(scaled)) {
    scaled *= 2
    denominator *= 2n
  }
  return { numerator: BigInt(scaled), denominator }
}

export function plus(a: Fraction, b: Fraction): Fraction {
  return {
    numerator: a.numerator * b.denominator + b.numerator * a.denominator,
    denominator: a.denominator * b.denominator,
  }
}

/** Ties go to the even bit pattern; beyond the largest double, by its rule, to infinity. */
export function nearest(exact: Fraction): number {
  if (exact.numerator < 0n) return -nearest({ ...exact, numerator: -exact.numerator })
  // The greatest double <= exact is at `low`; the next pattern after the largest double is infinity, as 2^1024.
  let low = 0n
  let high = 0x7ff0_0000_0000_0000n
  while (high - low > 1n) {
    const middle = (low + high) / 2n
    if (compare(magnitudeOf(middle), exact) <= 0) low = middle
    else high = middle
  }
  const below = magnitudeOf(low)
  const above = magnitudeOf(high)
  const half = { numerator: exact.numerator * 2n, denominator: exact.denominator }
  const side = compare(half, plus(below, above))
  const pattern = side < 0 || (side === 0 && low % 2n === 0n) ? low : high
  return new Float64Array(new BigUint64Array([pattern]).buffer)[0]!
}

export function times(a: Fraction, b: Fraction): Fraction {
  return { numerator: a.numerator * b.numerator, denominator: a.denominator * b.denominator }
}

/** The double nearest to the square root, found as `nearest` does, by the squares of doubles. */
export function nearestRoot(exact: Fraction): number {
  let low = 0n
  let high = 0x7ff0_0000_0000_0000n
  const squared = (value: Fraction): Fraction => times(value, value)
  while (high - low > 1n) {
    const middle = (low + high) / 2n
    if (compare(squared(magnitudeOf(middle)), exact) <= 0) low = middle
    else high = middle
  }
  const quadruple = { numerator: exact.numerator * 4n, denominator: exact.denominator }
  const side = compare(quadruple, squared(plus(magnitudeOf(low), magnitudeOf(high))))
  const pattern = side < 0 || (side === 0 && low % 2n === 0n) ? low : high
  return new Float64Array(new BigUint64Array([pattern]).buffer)[0]!
}

/**
 * By the definition: the mean of the squares of the distances from the mean. Null where there is none. Of the values' denominators the
 * greatest is a multiple of each.
 */
export function exactVariance(values: readonly Fraction[], of: 'sample' | 'population'): Fraction | null {
  const divisor = of === 'sample' ? values.length - 1 : values.length
  if (divisor <= 0) return null
  const unit = values.reduce(
    (greatest, value) => (value.denominator > greatest ? value.denominator : greatest),
    1n,
  )
  const units = values.map((value) => value.numerator * (unit / value.denominator))
  const count = BigInt(values.length)
  const sum = units.reduce((a, b) => a + b)
  // Distances, and the mean, are in units of unit × count.
  const squares = units.map((value) => (value * count - sum) ** 2n).reduce((a, b) => a + b)
  return { numerator: squares, denominator: (unit * count) ** 2n * BigInt(divisor) }
}

/** What Python's math.fsum would give if nothing overflowed, with the rules for special values. */
export function exactSum(values: readonly number[]): number {
  const special = values.filter((value) => !Number.isFinite(value))
  if (special.length > 0) return special.reduce((a, b) => a + b)
  return nearest(values.map(fractionOf).reduce(plusUnits, { numerator: 0n, denominator: 1n }))
}

function plusUnits(a: Fraction, b: Fraction): Fraction {
  // All denominators are powers of two, so the larger one serves both.
  const denominator = a.denominator > b.denominator ? a.denominator : b.denominator
  const numerator = a.numerator * (denominator / a.denominator) + b.numerator * (denominator / b.denominator)
  return { numerator, denominator }
}

function compare(a: Fraction, b: Fraction): number {
  const difference = a.numerator * b.denominator - b.numerator * a.denominator
  if (difference === 0n) return 0
  return difference < 0n ? -1 : 1
}

function magnitudeOf(pattern: bigint): Fraction {
  if (pattern === 0x7ff0_0000_0000_0000n) return { numerator: 2n ** 1024n, denominator: 1n }
  return fractionOf(new Float64Array(new BigUint64Array([pattern]).buffer)[0]!)
}
