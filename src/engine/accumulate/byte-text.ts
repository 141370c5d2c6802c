import type { BinaryColumn } from '../../columns/column.ts'

/**
 * Bytes as a string with one character of U+0000..U+00FF for each. V8 keeps such a string in its bytes and a small head, where a
 * Uint8Array of its own takes some 200 bytes more; strings of this kind compare as their bytes do; and they are JSON as they are,
 * exact also for bytes that are no text.
 */

/** A call takes only so many arguments. */
const PIECE_BYTES = 4096

/** data[start .. end) as text. */
export function byteText(data: Uint8Array, start: number, end: number): string {
  if (end - start <= PIECE_BYTES) return pieceText(data, start, end)
  let text = ''
  for (let at = start; at < end; at += PIECE_BYTES) {
    text += pieceText(data, at, Math.min(end, at + PIECE_BYTES))
  }
  return text
}

/** Below zero where data[start .. end) comes before the text, above where it comes after; zero where they are equal. */
export function compareBytes(data: Uint8Array, start: number, end: number, text: string): number {
  const length = end - start
  const common = Math.min(length, text.length)
  for (let i = 0; i < common; i++) {
    const difference = data[start + i]! - text.charCodeAt(i)
    if (difference !== 0) return difference
  }
  return length - text.length
}

export function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

/** Puts the bytes of the text behind the data of a column; its offsets are the caller's. */
export function putByteText(column: BinaryColumn, at: number, text: string): void {
  column.reserveData(at + text.length)
  const data = column.data
  for (let i = 0; i < text.length; i++) data[at + i] = text.charCodeAt(i)
}

/** The first six bytes as a number, zeros for those that are missing: texts of which these differ compare as they do. */
export function leadOfText(text: string): number {
  let lead = 0
  for (let i = 0; i < LEAD_BYTES; i++) lead = lead * 256 + (i < text.length ? text.charCodeAt(i) : 0)
  return lead
}

export function leadOfBytes(data: Uint8Array, start: number, end: number): number {
  let lead = 0
  for (let i = start; i < start + LEAD_BYTES; i++) lead = lead * 256 + (i < end ? data[i]! : 0)
  return lead
}

const LEAD_BYTES = 6

/** Through a plain array: for short texts a call with a part of a typed array takes twice as long. */
function pieceText(data: Uint8Array, start: number, end: number): string {
  // oxlint-disable-next-line unicorn/no-new-array -- the length is known
  const codes = new Array<number>(end - start)
  for (let i = start; i < end; i++) codes[i - start] = data[i]!
  return String.fromCharCode.apply(null, codes)
}
