/**
 * Exact numbers and the doubles nearest to them, ties to even. An exact sum of doubles is a whole number of units
 * of 2^-1074, the smallest positive double, of which every finite double is a multiple.
 */
const UNIT_EXPONENT = -1074
const FRACTION_BITS = 52n
const FRACTION_MASK = (1n << FRACTION_BITS) - 1n
const EXPONENT_MASK = 0x7ffn
/** Of a whole number to be rounded: more than a double's 53 and a rounding bit, whatever is below being one sticky bit. */
const LEADING_BITS = 66
const SIGNIFICANT_BITS = 53

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

/** A finite double as mantissa × 2^exponent. */
export function partsOf(value: number): { readonly mantissa: bigint; readonly exponent: number } {
  scratch.setFloat64(0, value)
  const bits = scratch.getBigUint64(0)
  const biased = Number((bits >> FRACTION_BITS) & EXPONENT_MASK)
  const fraction = bits & FRACTION_MASK
  const mantissa = biased === 0 ? fraction : fraction | (1n << FRACTION_BITS)
  return {
    mantissa: value < 0 ? -mantissa : mantissa,
    exponent: UNIT_EXPONENT + Math.max(0, biased - 1),
  }
}

/** The double nearest to a number of units of 2^-1074; infinite where that is beyond the largest double. */
export function doubleOfUnits(units: bigint): number {
  return nearestDouble(units, UNIT_EXPONENT)
}

/** The double nearest to a / b × 2^exponent, b > 0. */
export function quotient(a: bigint, b: bigint, exponent = 0): number {
  const rounded = Number(a)
  const divisor = Number(b)
  // Both are exact then, and so a single division rounds once.
  if (exponent === 0 && Number.isSafeInteger(rounded) && Number.isSafeInteger(divisor)) {
    return rounded / divisor
  }
  const magnitude = a < 0n ? -a : a
  const shift = Math.max(0, LEADING_BITS + bitLength(b) - bitLength(magnitude))
  const nearest = nearestDouble(divided(magnitude << BigInt(shift), b), exponent - shift)
  return a < 0n ? -nearest : nearest
}

/** The double nearest to the square root of a / b × 2^exponent, a >= 0, b > 0. */
export function rootOfQuotient(a: bigint, b: bigint, exponent: number): number {
  if (a === 0n) return 0
  // The quotient takes twice as many bits as its root, and an even exponent.
  const missing = Math.max(0, 2 * LEADING_BITS + 2 + bitLength(b) - bitLength(a))
  const shift = missing + ((((exponent - missing) % 2) + 2) % 2)
  const dividend = a << BigInt(shift)
  const whole = dividend / b
  // With two more bits, of which the last is sticky: no square is 4n + 2 or 4n + 3, so the root is still the right one.
  const square = (whole << 2n) | (whole * b === dividend ? 0n : 1n)
  let root = wholeRoot(square)
  if (root * root !== square) root |= 1n
  return nearestDouble(root, (exponent - shift) / 2 - 1)
}

/**
 * The double nearest to value × 2^exponent, ties to even. The lowest bit of a value that has more than 54 may be a
 * sticky one, standing for all that is below it.
 */
export function nearestDouble(value: bigint, exponent: number): number {
  if (value < 0n) return -nearestDouble(-value, exponent)
  if (value === 0n) return 0
  // The exponent of the last bit that the double has.
  const last = Math.max(bitLength(value) + exponent - SIGNIFICANT_BITS, UNIT_EXPONENT)
  const dropped = last - exponent
  // Each product is exact, or overflows where the rounded number does.
  if (dropped <= 0) return Number(value << BigInt(exponent - last)) * powerOfTwo(last)
  const kept = value >> BigInt(dropped)
  const rest = value - (kept << BigInt(dropped))
  const half = 1n << BigInt(dropped - 1)
  const isUp = rest > half || (rest === half && (kept & 1n) === 1n)
  return Number(isUp ? kept + 1n : kept) * powerOfTwo(last)
}

/** a / b as a whole number, with a sticky last bit. */
function divided(a: bigint, b: bigint): bigint {
  const whole = a / b
  return whole * b === a ? whole : whole | 1n
}

/** Newton's method, from above, so that it goes down to the root and then stops. */
function wholeRoot(square: bigint): bigint {
  const estimate = Math.sqrt(Number(square))
  let root = Number.isFinite(estimate)
    ? BigInt(Math.ceil(estimate * (1 + 2 ** -50)))
    : 1n << BigInt((bitLength(square) + 1) >> 1)
  for (;;) {
    const next = (root + square / root) >> 1n
    if (next >= root) return root
    root = next
  }
}

export function bitLength(magnitude: bigint): number {
  const hex = magnitude.toString(16)
  return hex.length * 4 - Math.clz32(Number.parseInt(hex.charAt(0), 16)) + 28
}

/** Exact, unlike `2 ** k`, which the language leaves to the implementation. For k >= -1074. */
function powerOfTwo(k: number): number {
  if (k > 1023) return Number.POSITIVE_INFINITY
  scratch.setBigUint64(0, k >= -1022 ? BigInt(k + 1023) << FRACTION_BITS : 1n << BigInt(k - UNIT_EXPONENT))
  return scratch.getFloat64(0)
}
