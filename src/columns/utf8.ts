/**
 * UTF-8 by hand: the pure folders have no TextDecoder. Well-formed means Unicode's table 3-7: no overlong forms, no
 * surrogates, nothing above U+10FFFF.
 */

/** True where `data[from .. to)` is well-formed UTF-8. */
export function isUtf8(data: Uint8Array, from: number, to: number): boolean {
  let i = from
  while (i < to) {
    const lead = data[i]!
    if (lead < 0x80) {
      i++
      continue
    }
    // A lead byte tells the length, and for a few of them the second byte is narrower than 80..BF.
    let length = 2
    let low = 0x80
    let high = 0xbf
    if (lead < 0xc2 || lead > 0xf4) return false
    if (lead >= 0xf0) {
      length = 4
      if (lead === 0xf0) low = 0x90
      if (lead === 0xf4) high = 0x8f
    } else if (lead >= 0xe0) {
      length = 3
      if (lead === 0xe0) low = 0xa0
      if (lead === 0xed) high = 0x9f
    }
    if (i + length > to) return false
    const second = data[i + 1]!
    if (second < low || second > high) return false
    for (let k = 2; k < length; k++) if ((data[i + k]! & 0xc0) !== 0x80) return false
    i += length
  }
  return true
}

/** The string in `data[from .. to)`, which is well-formed. */
export function decodeUtf8(data: Uint8Array, from = 0, to: number = data.length): string {
  // Pieces, because a call takes only so many arguments.
  if (to - from <= PIECE) return decodePiece(data, from, to)
  let text = ''
  let start = from
  while (start < to) {
    let end = Math.min(start + PIECE, to)
    while (end < to && (data[end]! & 0xc0) === 0x80) end--
    text += decodePiece(data, start, end)
    start = end
  }
  return text
}

const PIECE = 1024

function decodePiece(data: Uint8Array, from: number, to: number): string {
  // A fresh plain array: applying a typed array to a function takes three times as long.
  // oxlint-disable-next-line unicorn/no-new-array -- the length is known
  const units = new Array<number>(to - from)
  let length = 0
  for (let i = from; i < to; ) {
    const lead = data[i]!
    if (lead < 0x80) {
      units[length++] = lead
      i++
    } else if (lead < 0xe0) {
      units[length++] = ((lead & 0x1f) << 6) | (data[i + 1]! & 0x3f)
      i += 2
    } else if (lead < 0xf0) {
      units[length++] = ((lead & 0x0f) << 12) | ((data[i + 1]! & 0x3f) << 6) | (data[i + 2]! & 0x3f)
      i += 3
    } else {
      const point =
        ((lead & 0x07) << 18) |
        ((data[i + 1]! & 0x3f) << 12) |
        ((data[i + 2]! & 0x3f) << 6) |
        (data[i + 3]! & 0x3f)
      units[length++] = 0xd7c0 + (point >> 10)
      units[length++] = 0xdc00 | (point & 0x3ff)
      i += 4
    }
  }
  units.length = length
  return String.fromCharCode.apply(null, units)
}

/** Bytes that the string takes, or -1 where it has a lone surrogate, which UTF-8 cannot say. */
export function utf8Length(text: string): number {
  let length = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) length++
    else if (unit < 0x800) length += 2
    else if (unit < 0xd800 || unit > 0xdfff) length += 3
    else {
      const low = text.charCodeAt(i + 1)
      if (unit > 0xdbff || !(low >= 0xdc00 && low <= 0xdfff)) return -1
      length += 4
      i++
    }
  }
  return length
}

/** The bytes of any string; a lone surrogate becomes U+FFFD, as with a TextEncoder. */
export function encodeUtf8(text: string): Uint8Array {
  const wellFormed = text.toWellFormed()
  const data = new Uint8Array(utf8Length(wellFormed))
  writeUtf8(wellFormed, data, 0)
  return data
}

/** Writes a string without lone surrogates, and returns the end. There is room for it. */
export function writeUtf8(text: string, data: Uint8Array, at: number): number {
  let end = at
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) data[end++] = unit
    else if (unit < 0x800) {
      data[end++] = 0xc0 | (unit >> 6)
      data[end++] = 0x80 | (unit & 0x3f)
    } else if (unit < 0xd800 || unit > 0xdfff) {
      data[end++] = 0xe0 | (unit >> 12)
      data[end++] = 0x80 | ((unit >> 6) & 0x3f)
      data[end++] = 0x80 | (unit & 0x3f)
    } else {
      const point = 0x10000 + ((unit & 0x3ff) << 10) + (text.charCodeAt(++i) & 0x3ff)
      data[end++] = 0xf0 | (point >> 18)
      data[end++] = 0x80 | ((point >> 12) & 0x3f)
      data[end++] = 0x80 | ((point >> 6) & 0x3f)
      data[end++] = 0x80 | (point & 0x3f)
    }
  }
  return end
}
