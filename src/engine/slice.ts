import type { Column } from '../columns/column.ts'
import { keyToJson } from './key-codec.ts'
import type { PaneTable } from './pane-table.ts'

const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

/**
 * Which of `slices` merge tasks has a key: FNV-1a (32 bits, over UTF-16 code units) of the JSON text of the key's array, modulo their number.
 * The text, and not our own hash of the columns, so that it stays the same whatever a key is made of inside.
 */
export function sliceOf(keyColumns: readonly Column[], row: number, slices: number): number {
  if (slices === 1) return 0
  const text = JSON.stringify(keyColumns.map((column) => keyToJson(column, row)))
  let hash = FNV_OFFSET
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME)
  return (hash >>> 0) % slices
}

/** The panes of a table, in their order, by slice. */
export function sliceByKey(table: PaneTable, slices: number): readonly (readonly number[])[] {
  const panes: number[][] = Array.from({ length: slices }, () => [])
  const sliceOfKey = Int32Array.from({ length: table.keys.length }, (_, id) =>
    sliceOf(table.keys.columns, id, slices),
  )
  for (let pane = 0; pane < table.size; pane++) panes[sliceOfKey[table.keyIdOf(pane)]!]!.push(pane)
  return panes
}
