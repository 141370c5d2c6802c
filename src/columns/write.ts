import { assert } from '../errors.ts'
import type { BinaryColumn, Column, Int32Column, Int64Column, ListColumn } from './column.ts'
import { setValid } from './column.ts'
import { utf8Length, writeUtf8 } from './utf8.ts'

/** Appends for the columns that Millrace itself adds to a table: one value at a time, types known. */

export function int32Column(column: Column): Int32Column {
  assert(column.storage === 'int32', `${column.field.name} is not int32`)
  return column
}

export function int64Column(column: Column): Int64Column {
  assert(column.storage === 'int64', `${column.field.name} is not int64`)
  return column
}

export function binaryColumn(column: Column): BinaryColumn {
  assert(column.storage === 'binary', `${column.field.name} is not binary`)
  return column
}

export function listColumn(column: Column): ListColumn {
  assert(column.storage === 'list', `${column.field.name} is not a list`)
  return column
}

export function appendInt32(column: Int32Column, value: number): void {
  column.reserve(column.length + 1)
  column.values[column.length++] = value
}

/** The value is an integer that a double holds exactly. */
export function appendInt64(column: Int64Column, value: number): void {
  column.reserve(column.length + 1)
  setInt64(column, column.length, value)
  column.length++
}

/** Writes a slot that is reserved. */
export function setInt64(column: Int64Column, row: number, value: number): void {
  const high = Math.floor(value / 4294967296)
  column.words[row * 2] = (value - high * 4294967296) | 0
  column.words[row * 2 + 1] = high
}

/** Bytes `[start, end)` of a source. */
export function appendBytes(column: BinaryColumn, source: Uint8Array, start: number, end: number): void {
  column.reserve(column.length + 1)
  const at = column.offsets[column.length]!
  const length = end - start
  column.reserveData(at + length)
  const data = column.data
  if (length > 64) data.set(source.subarray(start, end), at)
  else for (let i = 0; i < length; i++) data[at + i] = source[start + i]!
  column.offsets[++column.length] = at + length
}

/** Any string: a lone surrogate becomes U+FFFD. */
export function appendText(column: BinaryColumn, text: string): void {
  const wellFormed = text.toWellFormed()
  column.reserve(column.length + 1)
  const at = column.offsets[column.length]!
  column.reserveData(at + utf8Length(wellFormed))
  column.offsets[++column.length] = writeUtf8(wellFormed, column.data, at)
}

/** A null in a column of scalars or of bytes. */
export function appendNull(column: Column): void {
  column.reserve(column.length + 1)
  if (column.storage === 'binary') column.offsets[column.length + 1] = column.offsets[column.length]!
  column.length++
  setValid(column, column.length - 1, false)
}
