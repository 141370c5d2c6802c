/**
 * MurmurHash3_x86_128 (Austin Appleby, public domain, in SMHasher), seed 0: the first 64 of its 128 bits. The variant of
 * 32-bit words, because JavaScript multiplies those without BigInts. Counts of distinct values at rest depend on it: it may never change.
 */

const C1 = 0x239b961b
const C2 = 0xab0e9789
const C3 = 0x38b34ae5
const C4 = 0xa1e38b93

/** Of data[start .. end), as two words in `hash`. */
export function hash64(data: Uint8Array, start: number, end: number, hash: Int32Array): void {
  const length = end - start
  const blocksEnd = start + (length & ~15)
  let h1 = 0
  let h2 = 0
  let h3 = 0
  let h4 = 0
  for (let at = start; at < blocksEnd; at += 16) {
    h1 ^= scrambled(wordAt(data, at), C1, 15, C2)
    h1 = (Math.imul(rotated(h1, 19) + h2, 5) + 0x561ccd1b) | 0
    h2 ^= scrambled(wordAt(data, at + 4), C2, 16, C3)
    h2 = (Math.imul(rotated(h2, 17) + h3, 5) + 0x0bcaa747) | 0
    h3 ^= scrambled(wordAt(data, at + 8), C3, 17, C4)
    h3 = (Math.imul(rotated(h3, 15) + h4, 5) + 0x96cd1c35) | 0
    h4 ^= scrambled(wordAt(data, at + 12), C4, 18, C1)
    h4 = (Math.imul(rotated(h4, 13) + h1, 5) + 0x32ac3b17) | 0
  }
  const rest = length & 15
  if (rest > 0) h1 ^= scrambled(tailAt(data, blocksEnd, end), C1, 15, C2)
  if (rest > 4) h2 ^= scrambled(tailAt(data, blocksEnd + 4, end), C2, 16, C3)
  if (rest > 8) h3 ^= scrambled(tailAt(data, blocksEnd + 8, end), C3, 17, C4)
  if (rest > 12) h4 ^= scrambled(tailAt(data, blocksEnd + 12, end), C4, 18, C1)

  h2 ^= length
  h3 ^= length
  h4 ^= length
  h1 = ((h1 ^ length) + h2 + h3 + h4) | 0
  const mixed1 = mixed(h1)
  const mixed2 = mixed((h2 + h1) | 0)
  const sum = (mixed1 + mixed2 + mixed((h3 + h1) | 0) + mixed((h4 + h1) | 0)) | 0
  hash[0] = sum
  hash[1] = (mixed2 + sum) | 0
}

function scrambled(word: number, first: number, bits: number, second: number): number {
  return Math.imul(rotated(Math.imul(word, first), bits), second)
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}

function mixed(word: number): number {
  let h = word
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

function wordAt(data: Uint8Array, at: number): number {
  return data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24)
}

/** The word of what is left of the data, at most four bytes. */
function tailAt(data: Uint8Array, at: number, end: number): number {
  const last = Math.min(at + 4, end) - 1
  let word = 0
  for (let i = last; i >= at; i--) word = (word << 8) | data[i]!
  return word
}
