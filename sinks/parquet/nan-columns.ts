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
  for (let position = 0; position < rows.count; position++) {
    const row = indexAt(rows, position)
    const value = values[row]!
    if (value !== value && isValid(column, row) && parents.every((parent) => isValid(parent, row)))
      return true
  }
  return false
}
