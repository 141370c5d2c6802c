/** Base64 (RFC 4648, section 4, with padding) without the help of a platform. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const CODES = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0))
const PAD = '='.charCodeAt(0)
/** By character code; 64 is no digit. */
const DIGITS = new Uint8Array(256).fill(64)
for (const [digit, code] of CODES.entries()) DIGITS[code] = digit

/** Bytes that are turned into text in one go: a call takes only so many arguments. A multiple of 3. */
const PIECE_BYTES = 3 * 1024

export function base64Text(bytes: Uint8Array): string {
  let text = ''
  for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
    text += pieceText(bytes, start, Math.min(start + PIECE_BYTES, bytes.length))
  }
  return text
}

function pieceText(bytes: Uint8Array, start: number, end: number): string {
  // A plain array: applying a typed array to a function takes three times as long.
  // oxlint-disable-next-line unicorn/no-new-array -- the length is known
  const codes = new Array<number>(Math.ceil((end - start) / 3) * 4)
  let length = 0
  for (let at = start; at < end; at += 3) {
    const second = at + 1 < end ? bytes[at + 1]! : 0
    const third = at + 2 < end ? bytes[at + 2]! : 0
    const bits = (bytes[at]! << 16) | (second << 8) | third
    codes[length++] = CODES[bits >> 18]!
    codes[length++] = CODES[(bits >> 12) & 63]!
    codes[length++] = at + 1 < end ? CODES[(bits >> 6) & 63]! : PAD
    codes[length++] = at + 2 < end ? CODES[bits & 63]! : PAD
  }
  return String.fromCharCode.apply(null, codes)
}

/** Null where the text is not base64 with its padding. */
export function base64Bytes(text: string): Uint8Array | null {
  if (text.length % 4 !== 0) return null
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const bytes = new Uint8Array((text.length / 4) * 3 - padding)
  const digits = text.length - padding
  let length = 0
  for (let at = 0; at < text.length; at += 4) {
    let bits = 0
    for (let k = at; k < at + 4; k++) {
      const code = text.charCodeAt(k)
      const digit = k >= digits ? 0 : code < 256 ? DIGITS[code]! : 64
      if (digit === 64) return null
      bits = (bits << 6) | digit
    }
    bytes[length++] = bits >> 16
    // Beyond the end a write to a typed array does nothing: the padding falls away.
    bytes[length++] = (bits >> 8) & 0xff
    bytes[length++] = bits & 0xff
  }
  return bytes
}
