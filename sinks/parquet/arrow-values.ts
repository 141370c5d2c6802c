import { isValid } from '../../src/columns/column.ts'
import type { Int64Column, StructColumn } from '../../src/columns/column.ts'
import { PipelineError } from '../../src/errors.ts'
import { forEachRun, indexAt } from './row-choice.ts'
import type { RowChoice } from './row-choice.ts'

/** Up to here a loop is faster than `set`, which makes a view. */
const LOOP_BYTES_MAX = 64
const LOOP_WORDS_MAX = 32

/** Copies values of `width` words of 32 bits. */
export function copyWords(from: Int32Array, width: number, rows: RowChoice, to: Int32Array): void {
  let written = 0
  forEachRun(rows, (start, end) => {
    const count = (end - start) * width
    if (count > LOOP_WORDS_MAX) to.set(from.subarray(start * width, end * width), written)
    else for (let index = 0; index < count; index++) to[written + index] = from[start * width + index]!
    written += count
  })
}

/** Copies values of `width` bytes. */
export function copyFixed(from: Uint8Array, width: number, rows: RowChoice, to: Uint8Array): void {
  let written = 0
  forEachRun(rows, (start, end) => {
    written = copyBytes(from, start * width, end * width, to, written)
  })
}

/** Copies the values of a string or binary column, one after the other. */
export function copyRanges(from: Uint8Array, offsets: Int32Array, rows: RowChoice, to: Uint8Array): void {
  let written = 0
  forEachRun(rows, (start, end) => {
    written = copyBytes(from, offsets[start]!, offsets[end]!, to, written)
  })
}

function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number {
  if (end - start > LOOP_BYTES_MAX) {
    to.set(from.subarray(start, end), at)
    return at + end - start
  }
  let next = at
  for (let index = start; index < end; index++) to[next++] = from[index]!
  return next
}

export function fillWordsFromInt32(values: Int32Array, rows: RowChoice, to: Int32Array): void {
  for (let row = 0; row < rows.count; row++) {
    const value = values[indexAt(rows, row)]!
    to[row * 2] = value
    to[row * 2 + 1] = value >> 31
  }
}

/**
 * Times 1000, in two words: the product of the low word stays exact in a double. Throws where the microseconds of a
 * value do not fit into 64 bits (beyond the year 294,000).
 */
export function fillWordsAsMicros(
  column: Int64Column,
  rows: RowChoice,
  parents: readonly StructColumn[],
  to: Int32Array,
): void {
  const { words } = column
  for (let row = 0; row < rows.count; row++) {
    const index = indexAt(rows, row)
    const low = (words[index * 2]! >>> 0) * 1000
    const high = words[index * 2 + 1]! * 1000 + Math.floor(low / 0x1_0000_0000)
    to[row * 2] = low
    to[row * 2 + 1] = high
    if (high !== (high | 0)) checkAbsent(column, index, parents)
  }
}

/** The slot of a null row may hold any bits. */
function checkAbsent(column: Int64Column, row: number, parents: readonly StructColumn[]): void {
  if (!isValid(column, row) || parents.some((parent) => !isValid(parent, row))) return
  throw new PipelineError(
    'TIMESTAMP_OUT_OF_RANGE',
    `Row ${row} of column ${column.field.name} is a timestamp that a table cannot hold: its microseconds exceed 64 bits.`,
    { advice: 'Drop such rows with an expectation before they reach the table.' },
  )
}
