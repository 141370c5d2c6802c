import { byteText } from './byte-text.ts'

/** Longer texts are seldom seen again, and would make the cache large. */
const BYTES_MAX = 64
const SLOTS = 4096

/**
 * Texts of bytes as `byteText` makes them, of which those seen lately are remembered: most columns that are counted or collected
 * repeat few values, and finding one takes a quarter of the time of making it. Strings that repeat share their memory, too.
 */
export class TextCache {
  readonly #texts: (string | undefined)[] = Array.from({ length: SLOTS })

  textOf(data: Uint8Array, start: number, end: number): string {
    const length = end - start
    if (length > BYTES_MAX) return byteText(data, start, end)
    // FNV-1a, 32 bit (Fowler, Noll, Vo), its high bits folded in.
    let hash = 0x811c9dc5
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ data[i]!, 0x01000193)
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
    const known = this.#texts[slot]
    if (known !== undefined && known.length === length && isText(data, start, known)) return known
    const text = byteText(data, start, end)
    this.#texts[slot] = text
    return text
  }
}

function isText(data: Uint8Array, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (data[start + i] !== text.charCodeAt(i)) return false
  return true
}
