import type { Column } from '../../src/columns/column.ts'
import { unreachable } from '../../src/errors.ts'

/** The bytes that the rows of columns take in the Arrow layout, validity bits left out. */
export function batchBytes(columns: readonly Column[]): number {
  return columns.reduce((bytes, column) => bytes + columnBytes(column), 0)
}

function columnBytes(column: Column): number {
  const rows = column.length
  switch (column.storage) {
    case 'int32':
    case 'float32':
      return rows * 4
    case 'int64':
    case 'float64':
      return rows * 8
    case 'boolean':
      return rows / 8
    case 'binary':
      return rows * 4 + column.offsets[rows]!
    case 'fixed':
      return rows * column.width
    case 'list':
      return rows * 4 + columnBytes(column.element)
    case 'map':
      return rows * 4 + columnBytes(column.keys) + columnBytes(column.values)
    case 'struct':
      return batchBytes(column.children)
    default:
      return unreachable(column)
  }
}
