import { assert } from '../../src/errors.ts'

/** Which hash keys are a shard's: both ends belong to it. 16 bytes each, the highest first, so that they compare as numbers do. */
export interface HashRange {
  readonly first: Uint8Array
  readonly last: Uint8Array
}

const KEY_BYTES = 16
const KEY_DIGITS_MAX = 39

/** Of a shard, as Kinesis says it, in decimal. Null where every key is in it. */
export function hashRange(first: string, last: string): HashRange | null {
  const range = { first: decimalKey(first), last: decimalKey(last) }
  assert(range.first !== null && range.last !== null, `${first} to ${last} is no range of hash keys`)
  const isAll = range.first.every((byte) => byte === 0) && range.last.every((byte) => byte === 0xff)
  return isAll ? null : { first: range.first, last: range.last }
}

/** An explicit hash key. Null where the text is none. */
export function decimalKey(text: string): Uint8Array | null {
  if (!/^\d+$/.test(text) || text.length > KEY_DIGITS_MAX) return null
  const bytes = new Uint8Array(KEY_BYTES)
  let rest = BigInt(text)
  for (let at = KEY_BYTES - 1; at >= 0; at--) {
    bytes[at] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return rest === 0n ? bytes : null
}

export function isInRange(key: Uint8Array, { first, last }: HashRange): boolean {
  return compareKeys(key, first) >= 0 && compareKeys(key, last) <= 0
}

function compareKeys(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < KEY_BYTES; at++) {
    const difference = a[at]! - b[at]!
    if (difference !== 0) return difference
  }
  return 0
}
