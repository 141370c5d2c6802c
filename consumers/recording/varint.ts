/**
 * Avro's zig-zag varints (Avro specification 1.12, "Binary encoding"), as doubles: exact up to 2^53, which is more
 * than offsets, times and lengths ever are.
 */

const BYTES_MAX = 10

/** Appends `value` at `at` and returns the end. Room for 10 bytes is the caller's. */
export function writeLong(bytes: Uint8Array, at: number, value: number): number {
  // Zig-zag without 32-bit operators: 2v, or -2v - 1 below zero. Exact for |v| < 2^52, else through BigInt.
  if (value > 0xf_ffff_ffff_ffff || value < -0xf_ffff_ffff_ffff) return writeBigLong(bytes, at, BigInt(value))
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  while (rest >= 0x80) {
    bytes[at++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  bytes[at++] = rest
  return at
}

function writeBigLong(bytes: Uint8Array, at: number, value: bigint): number {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  while (rest >= 0x80n) {
    bytes[at++] = Number(rest & 0x7fn) | 0x80
    rest >>= 7n
  }
  bytes[at++] = Number(rest)
  return at
}

/**
 * A place in bytes from which longs are read. After `long()`, `at` is behind the number; `ok` is false where the
 * bytes ended, the number was longer than a long, or it was beyond 2^53. `ok` stays false: check it once a record.
 */
export class VarintReader {
  bytes: Uint8Array
  at: number
  end: number
  ok = true

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  long(): number {
    const at = this.at
    if (at >= this.end) return this.#fail()
    const byte = this.bytes[at]!
    // Most are one byte long. Kept small, so that it is inlined.
    if (byte >= 0x80) return this.#longer()
    this.at = at + 1
    return (byte >>> 1) ^ -(byte & 1)
  }

  #longer(): number {
    const bytes = this.bytes
    const end = this.end
    let at = this.at
    let byte = bytes[at++]!
    let low = byte & 0x7f
    let shift = 7
    // Up to 28 bits fit 32-bit operators.
    while (byte >= 0x80 && shift < 28) {
      if (at >= end) return this.#fail()
      byte = bytes[at++]!
      low |= (byte & 0x7f) << shift
      shift += 7
    }
    if (byte < 0x80) {
      this.at = at
      return (low >>> 1) ^ -(low & 1)
    }
    let value = low
    let factor = 0x1000_0000
    const start = this.at
    while (byte >= 0x80) {
      if (at >= end || at >= start + BYTES_MAX) return this.#fail()
      byte = bytes[at++]!
      value += (byte & 0x7f) * factor
      factor *= 0x80
    }
    this.at = at
    // Zig-zag doubles, so beyond 2^53 the last bit, which is the sign, may be gone.
    if (value > Number.MAX_SAFE_INTEGER) return this.#bigLong(start, at)
    return low & 1 ? -(value + 1) / 2 : value / 2
  }

  #bigLong(start: number, end: number): number {
    let value = 0n
    for (let at = end - 1; at >= start; at -= 1) value = (value << 7n) | BigInt(this.bytes[at]! & 0x7f)
    const number = Number((value >> 1n) ^ -(value & 1n))
    return Number.isSafeInteger(number) ? number : this.#fail()
  }

  #fail(): number {
    this.ok = false
    this.at = this.end
    return 0
  }
}
