import type { Column } from '../../columns/column.ts'
import type { ColumnType } from '../../columns/column-type.ts'
import { assert, unreachable } from '../../errors.ts'

/**
 * Whole numbers as 32-bit words, low word first, the highest one signed: int, date and time-millis have one, long,
 * timestamp and time-micros two, decimal four. One loop over words serves them all, and needs no BigInt.
 */
export type WordsPerValue = 1 | 2 | 4

export const WORD_BASE = 2 ** 32

/** Words of a value of the type, or 0 where its values are not whole numbers. */
export function wordsPerValue(type: ColumnType): WordsPerValue | 0 {
  switch (type.kind) {
    case 'int32':
    case 'date':
      return 1
    case 'time':
      return type.unit === 'millis' ? 1 : 2
    case 'int64':
    case 'timestamp':
      return 2
    case 'decimal':
      return 4
    case 'boolean':
    case 'float32':
    case 'float64':
    case 'string':
    case 'bytes':
    case 'fixed':
    case 'enum':
    case 'list':
    case 'map':
    case 'struct':
      return 0
    default:
      return unreachable(type)
  }
}

/** The words of a column: row i has `words[i * n .. (i + 1) * n)`. */
export function wordsOf(column: Column): Int32Array {
  if (column.storage === 'int32') return column.values
  if (column.storage === 'int64') return column.words
  assert(column.storage === 'fixed', `column ${column.field.name} has no words but ${column.storage}`)
  // Arrow's buffers are little-endian, as are the machines whose typed arrays fill them.
  return new Int32Array(column.data.buffer, column.data.byteOffset, column.data.byteLength >> 2)
}

/** The number that words[at .. at + count) hold. */
export function bigintOfWords(words: Int32Array, at: number, count: WordsPerValue): bigint {
  let value = BigInt(words[at + count - 1]!)
  for (let k = count - 2; k >= 0; k--) value = (value << 32n) | BigInt(words[at + k]! >>> 0)
  return value
}

/** Puts a number that fits into words[at .. at + count). */
export function setWords(words: Int32Array, at: number, count: WordsPerValue, value: bigint): void {
  let rest = value
  for (let k = 0; k < count; k++) {
    words[at + k] = Number(BigInt.asIntN(32, rest))
    rest >>= 32n
  }
}
