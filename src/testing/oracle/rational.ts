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

/**
 * The variance of numerators / denominator, rounded once: (n Σx² − (Σx)²) / n², or / n (n − 1) of a sample. NaN where values are not
 * all finite (null), null of a sample of one.
 */
export function varianceOf(
  values: { readonly numerators: readonly bigint[]; readonly denominator: bigint } | null,
  isSample: boolean,
): number | null {
  if (values === null) return Number.NaN
  const { numerators, denominator } = values
  const n = BigInt(numerators.length)
  const divisor = isSample ? n * (n - 1n) : n * n
  if (divisor === 0n) return null
  const sum = numerators.reduce((total, value) => total + value, 0n)
  const squares = numerators.reduce((total, value) => total + value * value, 0n)
  return nearestDouble(n * squares - sum * sum, divisor * denominator * denominator)
}
