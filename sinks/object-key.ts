import { PipelineError } from '../src/errors.ts'

/** Below S3's limit of 1024, with room for a prefix that a store puts in front. */
export const KEY_BYTES_MAX = 900

/**
 * Refuses a key that could leave the store or that some store cannot hold: empty, absolute, '.' or '..' as a
 * segment, an empty segment, a NUL or a lone surrogate.
 */
export function checkKey(key: string): void {
  const problem = problemOf(key)
  if (problem === null) return
  throw new PipelineError('STORE_BAD_KEY', `The object key ${JSON.stringify(key)} ${problem}.`, {
    advice: "Keys are relative paths of named segments joined by '/'.",
  })
}

function problemOf(key: string): string | null {
  if (key === '') return 'is empty'
  if (key.includes('\0')) return 'contains a NUL character'
  if (!key.isWellFormed()) return 'is not valid Unicode'
  if (key.length * 3 > KEY_BYTES_MAX && Buffer.byteLength(key) > KEY_BYTES_MAX) {
    return `is longer than ${KEY_BYTES_MAX} bytes`
  }
  for (const segment of key.split('/')) {
    if (segment === '') return "has an empty segment: it starts or ends with '/' or contains '//'"
    if (segment === '.' || segment === '..') return `has the segment '${segment}'`
  }
  return null
}

/**
 * Orders keys by their UTF-8 bytes, as S3 lists them. That is the order of code points; JavaScript's own `<`
 * compares UTF-16 units, which puts surrogate pairs below U+E000–U+FFFF.
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) return rank(left) - rank(right)
  }
  return a.length - b.length
}

/** Moves surrogates above the rest of the basic plane. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x1_0000 : unit
}
