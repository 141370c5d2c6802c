import type { Column } from '../../columns/column.ts'
import type { ColumnType } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import { leadOfBytes, leadOfText } from './byte-text.ts'
import type { HeldValue } from './held-value.ts'
import { WORD_BASE, bigintOfWords, wordsOf, wordsPerValue } from './words.ts'

/**
 * A number for each value of an ordered type, such that of two values with different leads the one with the smaller lead is smaller. So
 * most comparisons are of two doubles, whatever the type; where leads are equal, or NaN, the values have to be asked.
 */

/** True where equal leads that are neither zero nor NaN mean equal values, so that the lead is the value. */
export function isLeadExact(type: ColumnType): boolean {
  return wordsPerValue(type) === 1 || type.kind === 'float32' || type.kind === 'float64'
}

export function leadOf(value: HeldValue): number {
  return typeof value === 'string' ? leadOfText(value) : Number(value)
}

/** out[i] becomes the lead of row rows[i], of any number for a null. */
export function readLeads(column: Column, rows: Int32Array, count: number, out: Float64Array): void {
  if (column.storage === 'binary') {
    const { data, offsets } = column
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      out[i] = leadOfBytes(data, offsets[row]!, offsets[row + 1]!)
    }
  } else if (column.storage === 'int64') {
    const words = column.words
    for (let i = 0; i < count; i++) {
      const at = rows[i]! * 2
      // The product is exact, so the sum rounds once: the order of longs stays.
      out[i] = words[at + 1]! * WORD_BASE + (words[at]! >>> 0)
    }
  } else if (column.storage === 'fixed') {
    const words = wordsOf(column)
    for (let i = 0; i < count; i++) out[i] = decimalLead(words, rows[i]! * 4)
  } else {
    assert(
      column.storage === 'int32' || column.storage === 'float64' || column.storage === 'float32',
      `column ${column.field.name} has no order`,
    )
    const values = column.values
    for (let i = 0; i < count; i++) out[i] = values[rows[i]!]!
  }
}

/** Adding four words would round three times and might turn two decimals around. */
function decimalLead(words: Int32Array, at: number): number {
  const high = words[at + 1]!
  const isLong = words[at + 2] === high >> 31 && words[at + 3] === high >> 31
  return isLong ? high * WORD_BASE + (words[at]! >>> 0) : Number(bigintOfWords(words, at, 4))
}
