import { EMPTY, TOO_PRECISE } from './wire.ts'

/** The four 32-bit words of 10^precision, least significant first: decimals are smaller in magnitude. */
export function decimalLimit(precision: number): Uint32Array {
  const limit = 10n ** BigInt(precision)
  return Uint32Array.from([0n, 32n, 64n, 96n], (shift) => Number((limit >> shift) & 0xffff_ffffn))
}

/**
 * Copies a big-endian two's complement number of any length to 16 little-endian bytes. Returns 0, or a negative code
 * where it does not fit the precision.
 */
export function copyDecimal(
  from: Uint8Array,
  p: number,
  length: number,
  to: Uint8Array,
  at: number,
  limit: Uint32Array,
): number {
  if (length === 0) return EMPTY
  const sign = from[p]! >= 0x80 ? 0xff : 0
  const last = p + length - 1
  // Beyond 16 bytes there may only be copies of the sign.
  for (let i = last - 16; i >= p; i--) if (from[i] !== sign) return TOO_PRECISE
  const bytes = length < 16 ? length : 16
  for (let i = 0; i < bytes; i++) to[at + i] = from[last - i]!
  for (let i = bytes; i < 16; i++) to[at + i] = sign
  return isBelow(to, at, sign, limit) ? 0 : TOO_PRECISE
}

/** True where the magnitude of the 16 bytes is below the limit. `sign` is their sign as a byte. */
export function isBelow(data: Uint8Array, at: number, sign: number, limit: Uint32Array): boolean {
  // The magnitude of a negative x is ~x + 1, so |x| < limit is ~x < limit - 1, that is ~x + 1 < limit word by word.
  let carry = sign === 0 ? 0 : 1
  let below = false
  for (let word = 0; word < 4; word++) {
    const k = at + word * 4
    let bits = (data[k]! | (data[k + 1]! << 8) | (data[k + 2]! << 16) | (data[k + 3]! << 24)) >>> 0
    if (sign !== 0) {
      bits = (~bits >>> 0) + carry
      carry = bits > 0xffff_ffff ? 1 : 0
      bits >>>= 0
    }
    // From the least significant word up: a higher word that differs decides.
    if (bits !== limit[word]) below = bits < limit[word]!
  }
  return below && (carry === 0 || sign === 0)
}
