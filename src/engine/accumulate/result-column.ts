import { setValid } from '../../columns/column.ts'
import type { Column } from '../../columns/column.ts'
import { assert } from '../../errors.ts'
import { putByteText } from './byte-text.ts'
import { WORD_BASE, setWords, wordsOf } from './words.ts'
import type { WordsPerValue } from './words.ts'

/** Appends to the columns of results. There is one call a pane, not a row, so they need not be fast. */

export function appendNull(column: Column): void {
  const row = appendedRow(column)
  setValid(column, row, false)
  if (column.storage === 'binary') column.offsets[row + 1] = column.offsets[row]!
}

/** A whole number within ±2^53 into an int64 column. */
export function appendWhole(column: Column, value: number): void {
  assert(column.storage === 'int64', 'a whole number goes to an int64 column')
  const row = appendedValue(column)
  const high = Math.floor(value / WORD_BASE)
  column.words[row * 2] = value - high * WORD_BASE
  column.words[row * 2 + 1] = high
}

/** A number that fits into a column of whole numbers with that many words a value. */
export function appendBigint(column: Column, value: bigint, words: WordsPerValue): void {
  const row = appendedValue(column)
  setWords(wordsOf(column), row * words, words, value)
}

/** state[at .. at + words) into a column of whole numbers with that many words a value. */
export function appendWords(column: Column, state: Int32Array, at: number, words: WordsPerValue): void {
  const row = appendedValue(column)
  wordsOf(column).set(state.subarray(at, at + words), row * words)
}

export function appendDouble(column: Column, value: number): void {
  assert(column.storage === 'float64' || column.storage === 'float32', 'a double goes to a float column')
  const row = appendedValue(column)
  // One NaN for all: its payload would otherwise tell which NaN came first.
  column.values[row] = Number.isNaN(value) ? Number.NaN : value
}

/** Bytes as `byteText` gives them, into a column of strings, bytes or fixed. */
export function appendByteText(column: Column, text: string): void {
  const row = appendedValue(column)
  if (column.storage === 'fixed') {
    for (let i = 0; i < text.length; i++) column.data[row * column.width + i] = text.charCodeAt(i)
    return
  }
  assert(column.storage === 'binary', 'bytes go to a column of strings, bytes or fixed')
  const start = column.offsets[row]!
  putByteText(column, start, text)
  column.offsets[row + 1] = start + text.length
}

export function appendBoolean(column: Column, value: boolean): void {
  assert(column.storage === 'boolean', 'a boolean goes to a boolean column')
  const row = appendedValue(column)
  if (value) column.bits[row >> 3]! |= 1 << (row & 7)
  else column.bits[row >> 3]! &= ~(1 << (row & 7))
}

function appendedValue(column: Column): number {
  const row = appendedRow(column)
  if (column.validity !== null) setValid(column, row, true)
  return row
}

function appendedRow(column: Column): number {
  const row = column.length
  column.reserve(row + 1)
  column.length = row + 1
  return row
}
