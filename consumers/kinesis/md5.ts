/**
 * MD5 of short texts: each record in an aggregate has a key, and a call to OpenSSL for each costs more than all else that is done with the record. For the bytes
 * of a whole aggregate OpenSSL is the quicker one.
 *
 * Source: RFC 1321.
 */
export class ShortMd5 {
  /** Of the last text: 16 bytes, overwritten by the next. */
  readonly digest = new Uint8Array(16)
  readonly #words = new Int32Array(16)
  #a = 0
  #b = 0
  #c = 0
  #d = 0

  hash(bytes: Uint8Array, start: number, end: number): Uint8Array {
    this.#a = 0x67452301
    this.#b = 0xefcdab89 | 0
    this.#c = 0x98badcfe | 0
    this.#d = 0x10325476
    const length = end - start
    // A bit that is set, then zeros up to the last 8 bytes of a block, which are the number of bits.
    const blocks = ((length + 8) >> 6) + 1
    const words = this.#words
    for (let block = 0; block < blocks; block++) {
      words.fill(0)
      const from = block * BLOCK_BYTES
      const to = Math.min(length, from + BLOCK_BYTES)
      for (let at = from; at < to; at++) words[(at - from) >> 2]! |= bytes[start + at]! << ((at & 3) * 8)
      if (length >= from && length < from + BLOCK_BYTES)
        words[(length - from) >> 2]! |= 0x80 << ((length & 3) * 8)
      if (block === blocks - 1) {
        words[14] = length << 3
        words[15] = length >>> 29
      }
      this.#add(words)
    }
    this.#put(0, this.#a)
    this.#put(4, this.#b)
    this.#put(8, this.#c)
    this.#put(12, this.#d)
    return this.digest
  }

  #add(words: Int32Array): void {
    let a = this.#a
    let b = this.#b
    let c = this.#c
    let d = this.#d
    for (let step = 0; step < 64; step++) {
      const round = step >> 4
      let mixed: number
      let word: number
      if (round === 0) {
        mixed = (b & c) | (~b & d)
        word = step
      } else if (round === 1) {
        mixed = (d & b) | (~d & c)
        word = (5 * step + 1) & 15
      } else if (round === 2) {
        mixed = b ^ c ^ d
        word = (3 * step + 5) & 15
      } else {
        mixed = c ^ (b | ~d)
        word = (7 * step) & 15
      }
      const sum = (a + mixed + SINES[step]! + words[word]!) | 0
      const shift = SHIFTS[round * 4 + (step & 3)]!
      a = d
      d = c
      c = b
      b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0
    }
    this.#a = (this.#a + a) | 0
    this.#b = (this.#b + b) | 0
    this.#c = (this.#c + c) | 0
    this.#d = (this.#d + d) | 0
  }

  #put(at: number, word: number): void {
    for (let byte = 0; byte < 4; byte++) this.digest[at + byte] = (word >>> (byte * 8)) & 0xff
  }
}

const BLOCK_BYTES = 64
const SINES = Int32Array.from(
  { length: 64 },
  (_, step) => Math.floor(Math.abs(Math.sin(step + 1)) * 2 ** 32) | 0,
)
/** By round, and by the step's place among four. */
const SHIFTS = Uint8Array.of(7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21)
