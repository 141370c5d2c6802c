/**
 * Exact sums as expansions: a number is the sum of a few doubles, each of which is about the rounding error of those above it
 * (J. R. Shewchuk, Adaptive Precision Floating-Point Arithmetic, 1997; D. E. Knuth, The Art of Computer Programming 4.2.2,
 * theorem B for the error of a sum; T. J. Dekker, A floating-point technique for extending the available precision, 1971,
 * for that of a product).
 */

/** What `sum`, the rounded a + b, lacks of the exact one (TwoSum). NaN where something overflowed. */
export function roundingError(a: number, b: number, sum: number): number {
  const bRounded = sum - a
  return a - (sum - bRounded) + (b - bRounded)
}

/**
 * What `product`, the rounded a × b, lacks of the exact one. Exact where the factors are below 2^500 and the product is zero
 * or above 2^-960.
 */
export function productError(a: number, b: number, product: number): number {
  const aScaled = SPLITTER * a
  const aHigh = aScaled - (aScaled - a)
  const aLow = a - aHigh
  const bScaled = SPLITTER * b
  const bHigh = bScaled - (bScaled - b)
  const bLow = b - bHigh
  return aHigh * bHigh - product + aHigh * bLow + aLow * bHigh + aLow * bLow
}

/** 2^27 + 1 halves the 53 bits of a double. */
const SPLITTER = 134_217_729

const scratch = new Float64Array(8)

/**
 * Adds a finite value to the parts state[at .. at + count), count <= 8. Returns what they cannot hold, almost always zero; NaN where
 * something overflowed, and then the parts are as they were.
 */
export function addToParts(state: Float64Array, at: number, count: number, value: number): number {
  // Down the parts, each taking what the one above it rounded away.
  let rest = value
  for (let k = 0; k < count; k++) {
    const part = state[at + k]!
    const sum = part + rest
    rest = roundingError(part, rest, sum)
    scratch[k] = sum
  }
  // Up and down again, so that parts overlap less and those below have room.
  for (let k = count - 2; k >= 0; k--) settle(k)
  for (let k = 1; k < count - 1; k++) settle(k)
  let isFinite = Number.isFinite(rest)
  for (let k = 0; k < count; k++) isFinite &&= Number.isFinite(scratch[k]!)
  if (!isFinite) return Number.NaN
  for (let k = 0; k < count; k++) state[at + k] = scratch[k]!
  return rest
}

/** Makes a part of the scratch the rounding error of the sum of itself and the one above, which takes the sum. */
function settle(k: number): void {
  const upper = scratch[k]!
  const lower = scratch[k + 1]!
  const sum = upper + lower
  scratch[k + 1] = roundingError(upper, lower, sum)
  scratch[k] = sum
}
