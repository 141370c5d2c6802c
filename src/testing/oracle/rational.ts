/** Sums of doubles the long way round: as whole numbers of 2^-1074, of which every finite double is a multiple. */
const SCALE_BITS = 1074n

/** A finite double as numerator over 2^1074. */
export function numeratorOf(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, Math.abs(value))
  const high = view.getUint32(0)
  const exponent = high >>> 20
  const fraction = (BigInt(high & 0xfffff) << 32n) + BigInt(view.getUint32(4))
  const numerator = exponent === 0 ? fraction : (fraction + 0x10_0000_0000_0000n) * 2n ** BigInt(exponent - 1)
  return value < 0 ? -numerator : numerator
}

/** The double nearest to numerator / 2^1074, ties to even. */
export function doubleOf(numerator: bigint): number {
  return nearestDouble(numerator, 1n << SCALE_BITS)
}

/** The double nearest to a / b, ties to even; b > 0. */
export function nearestDouble(a: bigint, b: bigint): number {
  if (a === 0n) return 0
  if (a < 0n) return -nearestDouble(-a, b)
  // exponent: that of the last of 53 bits, found by trying; never below the smallest subnormal.
  let exponent = a.toString(2).length - b.toString(2).length - 53
  const scaled = (e: number): [bigint, bigint] => (e >= 0 ? [a, b << BigInt(e)] : [a << BigInt(-e), b])
  const fits = (e: number): boolean => {
    const [p, q] = scaled(e)
    return p / q < 2n ** 53n
  }
  while (!fits(exponent)) exponent++
  exponent = Math.max(exponent, -1074)
  const [p, q] = scaled(exponent)
  let whole = p / q
  const twice = 2n * (p - whole * q)
  if (twice > q || (twice === q && whole % 2n === 1n)) whole++
  return Number(whole) * 2 ** exponent
}

/** A fraction; null where values are not all finite. */
export interface Fraction {
  readonly numerator: bigint
  readonly denominator: bigint
}

/** The variance of numerators / denominator: (n Σx² − (Σx)²) / n², or / n (n − 1) of a sample. Null of a sample of one. */
export function varianceOf(
  numerators: readonly bigint[],
  denominator: bigint,
  isSample: boolean,
): Fraction | null {
  const n = BigInt(numerators.length)
  const divisor = isSample ? n * (n - 1n) : n * n
  if (divisor === 0n) return null
  const sum = numerators.reduce((total, value) => total + value, 0n)
  const squares = numerators.reduce((total, value) => total + value * value, 0n)
  return { numerator: n * squares - sum * sum, denominator: divisor * denominator * denominator }
}

/** The double nearest to the square root of a fraction that is not below zero. */
export function nearestRoot({ numerator, denominator }: Fraction): number {
  // Enough bits behind the point for the least double; whether anything is left decides ties.
  const bits = 1200n
  const scaled = (numerator << (2n * bits)) / denominator
  const root = wholeRoot(scaled)
  const isExact = root * root * denominator === numerator << (2n * bits)
  return nearestDouble(2n * root + (isExact ? 0n : 1n), 1n << (bits + 1n))
}

/** The greatest whole number of which the square is not above. */
function wholeRoot(square: bigint): bigint {
  if (square < 2n) return square
  let root = 1n << BigInt((square.toString(2).length + 1) >> 1)
  for (;;) {
    const next = (root + square / root) >> 1n
    if (next >= root) return root
    root = next
  }
}
