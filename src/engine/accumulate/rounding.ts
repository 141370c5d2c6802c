/**
 * Exact numbers and the doubles nearest to them, ties to even. An exact sum of doubles is a whole number of units
 * of 2^-1074, the smallest positive double, of which every finite double is a multiple.
 */
const UNIT_EXPONENT = -1074
const FRACTION_BITS = 52n
const FRACTION_MASK = (1n << FRACTION_BITS) - 1n
const EXPONENT_MASK = 0x7ffn
/** More than a double's 53 bits and a rounding bit; whatever is below only tells a tie from more than a tie. */
const ROUNDED_BITS = 64

const scratch = new DataView(new ArrayBuffer(8))

/** A finite double in units of 2^-1074. */
export function unitsOf(value: number): bigint {
  scratch.setFloat64(0, value)
  const bits = scratch.getBigUint64(0)
  const exponent = (bits >> FRACTION_BITS) & EXPONENT_MASK
  const fraction = bits & FRACTION_MASK
  const units = exponent === 0n ? fraction : (fraction | (1n << FRACTION_BITS)) << (exponent - 1n)
  return value < 0 ? -units : units
}

/** The double nearest to a number of units of 2^-1074; infinite where that is beyond the largest double. */
export function doubleOfUnits(units: bigint): number {
  return nearestDouble(units, UNIT_EXPONENT)
}

/** The double nearest to a / b, b > 0, for quotients that are zero or between 2^-1000 and 2^1000. */
export function quotient(a: bigint, b: bigint): number {
  const rounded = Number(a)
  const divisor = Number(b)
  // Both are exact then, and so a single division rounds once.
  if (Number.isSafeInteger(rounded) && Number.isSafeInteger(divisor)) return rounded / divisor
  const magnitude = a < 0n ? -a : a
  const shift = Math.max(0, ROUNDED_BITS + bitLength(b) - bitLength(magnitude))
  const dividend = magnitude << BigInt(shift)
  let whole = dividend / b
  if (whole * b !== dividend) whole |= 1n
  const nearest = nearestDouble(whole, -shift)
  return a < 0n ? -nearest : nearest
}

/** value × 2^exponent, where exponent >= -1074. */
function nearestDouble(value: bigint, exponent: number): number {
  const magnitude = value < 0n ? -value : value
  const shift = Math.max(0, bitLength(magnitude) - ROUNDED_BITS)
  let leading = magnitude >> BigInt(shift)
  if (leading << BigInt(shift) !== magnitude) leading |= 1n
  // Number() rounds half to even; the product is exact, or overflows where the rounded number does.
  const nearest = Number(leading) * powerOfTwo(shift + exponent)
  return value < 0n ? -nearest : nearest
}

function bitLength(magnitude: bigint): number {
  const hex = magnitude.toString(16)
  return hex.length * 4 - Math.clz32(Number.parseInt(hex.charAt(0), 16)) + 28
}

/** Exact, unlike `2 ** k`, which the language leaves to the implementation. For k >= -1074. */
function powerOfTwo(k: number): number {
  if (k > 1023) return Number.POSITIVE_INFINITY
  scratch.setBigUint64(0, k >= -1022 ? BigInt(k + 1023) << FRACTION_BITS : 1n << BigInt(k - UNIT_EXPONENT))
  return scratch.getFloat64(0)
}
