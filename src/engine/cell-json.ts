import { appendNull } from '../columns/append.ts'
import { type Column, isValid, setValid } from '../columns/column.ts'
import { assert, unreachable } from '../errors.ts'
import { readDouble, writeDouble } from './accumulate/double-json.ts'
import { keyFromJson, keyToJson, type KeyJson } from './key-codec.ts'

/**
 * Any value as JSON, and back, bit for bit but for NaNs, which are one: rows that wait in a merge are partials and snapshots. Scalars are as in
 * keys. A float that JSON lacks (NaN, the infinities, −0) is text. A list is an array, a record the array of its fields, a map [keys, values], and a union of
 * several types [branch, value]; the latter by number, since these are written and read by programs of one schema.
 */
export function cellToJson(column: Column, row: number): unknown {
  if (!isValid(column, row)) return null
  switch (column.storage) {
    case 'int32':
    case 'int64':
    case 'boolean':
    case 'binary':
    case 'fixed':
      return keyToJson(column, row)
    case 'float32':
    case 'float64':
      return writeDouble(column.values[row]!)
    case 'list':
      return cellsOf(column.element, column.offsets[row]!, column.offsets[row + 1]!)
    case 'map': {
      const from = column.offsets[row]!
      const to = column.offsets[row + 1]!
      return [cellsOf(column.keys, from, to), cellsOf(column.values, from, to)]
    }
    case 'struct': {
      const { type } = column.field
      assert(type.kind === 'struct', 'a struct column has a struct type')
      if (type.union !== true) return column.children.map((child) => cellToJson(child, row))
      const branch = column.children.findIndex((child) => isValid(child, row))
      return [branch, cellToJson(column.children[branch]!, row)]
    }
    default:
      return unreachable(column)
  }
}

/** Appends what `cellToJson` gave to a column of the same field. */
export function cellFromJson(json: unknown, column: Column): void {
  if (json === null) {
    appendNull(column)
    return
  }
  switch (column.storage) {
    case 'int32':
    case 'int64':
    case 'boolean':
    case 'binary':
    case 'fixed':
      keyFromJson(json as KeyJson, column)
      return
    case 'float32':
    case 'float64':
      column.reserve(column.length + 1)
      column.values[column.length++] = readDouble(json)
      break
    case 'list':
      appendCells(json, column.element)
      column.reserve(column.length + 1)
      column.offsets[++column.length] = column.element.length
      break
    case 'map': {
      const [keys, values] = json as readonly [unknown, unknown]
      appendCells(keys, column.keys)
      appendCells(values, column.values)
      column.reserve(column.length + 1)
      column.offsets[++column.length] = column.keys.length
      break
    }
    case 'struct': {
      const { type } = column.field
      const cells = json as readonly unknown[]
      column.reserve(column.length + 1)
      if (type.kind === 'struct' && type.union === true) {
        column.children.forEach((child, branch) => {
          if (branch === cells[0]) cellFromJson(cells[1], child)
          else appendNull(child)
        })
      } else column.children.forEach((child, i) => cellFromJson(cells[i], child))
      column.length++
      break
    }
    default:
      unreachable(column)
  }
  if (column.validity !== null) setValid(column, column.length - 1, true)
}

function cellsOf(column: Column, from: number, to: number): readonly unknown[] {
  return Array.from({ length: to - from }, (_, i) => cellToJson(column, from + i))
}

function appendCells(json: unknown, column: Column): void {
  for (const cell of json as readonly unknown[]) cellFromJson(cell, column)
}
