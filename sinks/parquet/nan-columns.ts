import { isValid } from '../../src/columns/column.ts'
import type { Column, StructColumn } from '../../src/columns/column.ts'
import { indexAt } from './row-choice.ts'
import type { RowChoice } from './row-choice.ts'

/**
 * The columns with a NaN among these rows. Their statistics would be wrong: parquet-rs leaves NaN out of the bounds,
 * while readers sort it above everything, so that `x > 100` would skip a file whose largest number is 50.
 * Lists and maps are not searched: no reader prunes by what is in them.
 */
export function nanColumns(columns: readonly Column[], rows: RowChoice): readonly Column[] {
  return columns.filter((column) => hasNaN(column, rows, []))
}

function hasNaN(column: Column, rows: RowChoice, parents: readonly StructColumn[]): boolean {
  if (column.storage === 'struct')
    return column.children.some((child) => hasNaN(child, rows, [...parents, column]))
  if (column.storage !== 'float32' && column.storage !== 'float64') return false
  const { values } = column
  if (allFinite(values, rows)) return false
  for (let position = 0; position < rows.count; position++) {
    const row = indexAt(rows, position)
    if (!Number.isNaN(values[row]!)) continue
    if (isValid(column, row) && parents.every((parent) => isValid(parent, row))) return true
  }
  return false
}

/** The difference of a number and itself is 0, or NaN for NaN and the infinities: no branch for each value. */
function allFinite(values: Float32Array | Float64Array, rows: RowChoice): boolean {
  let sum = 0
  if (rows.kind === 'range') {
    for (let row = rows.start; row < rows.start + rows.count; row++) sum += values[row]! - values[row]!
  } else {
    const { indices, start, count } = rows
    for (let position = start; position < start + count; position++) {
      const value = values[indices[position]!]!
      sum += value - value
    }
  }
  return sum === 0
}
