import { isUtf8 } from '../columns/utf8.ts'

/**
 * Readers of Avro's binary encoding that the generated decoders call. Each reads at `p` in `data`, never at or beyond
 * `end`, and returns the position after what it read, or a negative code. Varints may be longer than they need to be (the
 * specification does not forbid it), up to the 5 or 10 bytes that their type can fill.
 */

/** The record ends inside the value. */
export const ENDS = -1
/** A varint of more than 5 or 10 bytes. */
export const TOO_LONG = -2
/** Beyond the range of the type. */
export const OUT_OF_RANGE = -3
/** A length or a size below zero. */
export const NEGATIVE = -4
export const NOT_UTF8 = -5
/** A decimal of no bytes. */
export const EMPTY = -6
/** A decimal with more digits than its precision. */
export const TOO_PRECISE = -7
/** A byte other than 0 and 1. */
export const NOT_BOOLEAN = -8
/** A branch or symbol index that the schema does not have. */
export const NO_SUCH_INDEX = -9
/** More items than the bytes that are left could hold. */
export const TOO_MANY_ITEMS = -10
/** More items that take no bytes than WIDTHLESS_ITEMS_MAX. */
export const TOO_MANY_WIDTHLESS = -11
/** A block that is not as long as its size says. */
export const BLOCK_SIZE = -12
/** A skipped value is nested deeper than SKIP_DEPTH_MAX. */
export const TOO_DEEP = -13
/** The reader's schema has nothing for this branch or symbol. */
export const MISMATCH = -14
/** Bytes after the last field. */
export const LEFT_OVER = -15
/** The bytes that `skip` leaves out are not there. */
export const NO_BODY = -16
/** A length that is longer than the record. */
export const BEYOND_END = -17

/** Items without bytes (array of an empty record) in one record: a count of 2^60 of them takes 10 bytes. */
export const WIDTHLESS_ITEMS_MAX = 65_536

/** An int at `p` goes to `to[k]`. */
export function readInt(data: Uint8Array, p: number, end: number, to: Int32Array, k: number): number {
  let at = p
  let bits = 0
  for (let shift = 0; shift < 28; shift += 7) {
    if (at >= end) return ENDS
    const byte = data[at++]!
    bits |= (byte & 0x7f) << shift
    if (byte < 0x80) {
      to[k] = (bits >>> 1) ^ -(bits & 1)
      return at
    }
  }
  if (at >= end) return ENDS
  const last = data[at++]!
  if (last >= 0x80) return TOO_LONG
  if (last > 0x0f) return OUT_OF_RANGE
  bits |= last << 28
  to[k] = (bits >>> 1) ^ -(bits & 1)
  return at
}

/** A long at `p` goes to `to[k]` (low word) and `to[k + 1]`. */
export function readLong(data: Uint8Array, p: number, end: number, to: Int32Array, k: number): number {
  let at = p
  let low = 0
  let high = 0
  let byte = 0x80
  for (let shift = 0; shift < 28; shift += 7) {
    if (at >= end) return ENDS
    byte = data[at++]!
    low |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  if (byte >= 0x80) {
    if (at >= end) return ENDS
    byte = data[at++]!
    low |= byte << 28
    high = (byte & 0x7f) >> 4
    for (let shift = 3; byte >= 0x80 && shift < 31; shift += 7) {
      if (at >= end) return ENDS
      byte = data[at++]!
      high |= (byte & 0x7f) << shift
    }
    if (byte >= 0x80) {
      if (at >= end) return ENDS
      byte = data[at++]!
      if (byte >= 0x80) return TOO_LONG
      if (byte > 1) return OUT_OF_RANGE
      high |= byte << 31
    }
  }
  const sign = -(low & 1)
  to[k] = ((low >>> 1) | (high << 31)) ^ sign
  to[k + 1] = (high >>> 1) ^ sign
  return at
}

/** Milliseconds that a table can hold as microseconds: 2^63 / 1000, less a fraction. */
const MILLIS_MAX_LOW = 0xa5e353f7
const MILLIS_MAX_HIGH = 0x20c49b

/** As `readLong`, of a timestamp in milliseconds whose microseconds fit a long too. */
export function readMillis(data: Uint8Array, p: number, end: number, to: Int32Array, k: number): number {
  const at = readLong(data, p, end, to, k)
  const high = to[k + 1]!
  if (high < MILLIS_MAX_HIGH && high > -MILLIS_MAX_HIGH) return at
  return at < 0 || isMicrosRange(to[k]! >>> 0, high) ? at : OUT_OF_RANGE
}

/** True where the milliseconds of the two words are within int64 as microseconds. */
export function isMicrosRange(low: number, high: number): boolean {
  if (high >= 0) return high < MILLIS_MAX_HIGH || (high === MILLIS_MAX_HIGH && low >>> 0 <= MILLIS_MAX_LOW)
  // -9223372036854775 = ~(…775 - 1): the bounds are the same on both sides.
  const magnitudeHigh = ~high
  return (
    magnitudeHigh < MILLIS_MAX_HIGH || (magnitudeHigh === MILLIS_MAX_HIGH && ~low >>> 0 <= MILLIS_MAX_LOW - 1)
  )
}

/** A length of bytes, as an int32 of at most what is left, goes to `to[0]`. */
export function readLength(data: Uint8Array, p: number, end: number, to: Int32Array): number {
  const at = readLong(data, p, end, to, 0)
  if (at < 0) return at
  if (to[1]! < 0) return NEGATIVE
  return to[1] !== 0 || to[0]! < 0 || to[0]! > end - at ? BEYOND_END : at
}

/**
 * The count of a block goes to `to[0]`, and the position where the block ends to `to[1]`, or -1 where it does not say.
 * `width` is the fewest bytes that an item takes; `to[2]` counts the items of a record that take none.
 */
export function readBlock(data: Uint8Array, p: number, end: number, to: Int32Array, width: number): number {
  let at = readLong(data, p, end, to, 0)
  if (at < 0) return at
  let count = to[1]! * 4294967296 + (to[0]! >>> 0)
  let blockEnd = -1
  if (count < 0) {
    count = -count
    at = readLength(data, at, end, to)
    if (at < 0) return BLOCK_SIZE
    blockEnd = at + to[0]!
  }
  if (count * width > end - at) return TOO_MANY_ITEMS
  if (width === 0) {
    if (count > WIDTHLESS_ITEMS_MAX - to[2]!) return TOO_MANY_WIDTHLESS
    to[2]! += count
  }
  to[0] = count
  to[1] = blockEnd
  return at
}

export function copyBytes(from: Uint8Array, p: number, length: number, to: Uint8Array, at: number): void {
  if (length > 64) to.set(from.subarray(p, p + length), at)
  else for (let i = 0; i < length; i++) to[at + i] = from[p + i]!
}

/** In every byte the bit that ASCII does not have. */
const NOT_ASCII = 0x80808080

/**
 * Copies `length` bytes between arrays, given with a view of each, and returns 0 where all are ASCII. Words are three
 * times as fast as bytes, and calling `set` pays only for long values.
 */
export function copyText(
  from: Uint8Array,
  fromView: DataView,
  p: number,
  length: number,
  to: Uint8Array,
  toView: DataView,
  at: number,
): number {
  if (length > 256) {
    to.set(from.subarray(p, p + length), at)
    return textBits(fromView, p, length)
  }
  let bits = 0
  if (length < 8) {
    for (let i = 0; i < length; i++) {
      const byte = from[p + i]!
      to[at + i] = byte
      bits |= byte
    }
    return bits & NOT_ASCII
  }
  // The last eight bytes may overlap the eight before: they are copied twice.
  const last = length - 8
  for (let i = 0; i < last; i += 8) {
    const low = fromView.getInt32(p + i, true)
    const high = fromView.getInt32(p + i + 4, true)
    toView.setInt32(at + i, low, true)
    toView.setInt32(at + i + 4, high, true)
    bits |= low | high
  }
  const low = fromView.getInt32(p + last, true)
  const high = fromView.getInt32(p + last + 4, true)
  toView.setInt32(at + last, low, true)
  toView.setInt32(at + last + 4, high, true)
  return (bits | low | high) & NOT_ASCII
}

function textBits(view: DataView, p: number, length: number): number {
  let bits = 0
  const last = p + length - 4
  for (let i = p; i < last; i += 4) bits |= view.getInt32(i, true)
  return (bits | view.getInt32(last, true)) & NOT_ASCII
}

export function isText(data: Uint8Array, p: number, length: number): boolean {
  return isUtf8(data, p, p + length)
}

/** 16 bytes as the 36 characters of a UUID (RFC 9562). */
export function writeUuid(data: Uint8Array, p: number, to: Uint8Array, at: number): void {
  let end = at
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) to[end++] = 0x2d
    const byte = data[p + i]!
    to[end++] = hexDigit(byte >> 4)
    to[end++] = hexDigit(byte & 15)
  }
}

function hexDigit(value: number): number {
  return value < 10 ? 0x30 + value : 0x57 + value
}

/** The nearest float of a long: by way of a double it would be rounded twice. */
export function longAsFloat(low: number, high: number): number {
  if (high > -0x200000 && high < 0x1fffff) return Math.fround(high * 4294967296 + (low >>> 0))
  // Round to odd: the lowest bit that a double keeps remembers whether anything below it was lost.
  const kept = (low & 0x7ff) === 0 ? low : (low & ~0x7ff) | 0x800
  return Math.fround(high * 4294967296 + (kept >>> 0))
}
