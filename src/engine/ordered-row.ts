import { appendNull } from '../columns/append.ts'
import { type ColumnBatch, setValid } from '../columns/column.ts'
import { appendInt64, int64Column } from '../columns/write.ts'
import { type KeyJson, keyFromJson } from './key-codec.ts'

/** Appends a key and the bounds of its window to the first columns of a row. Returns the next column. */
export function appendKeyAndBounds(
  batch: ColumnBatch,
  key: readonly KeyJson[],
  boundsMs: readonly number[],
): number {
  let at = 0
  for (const cell of key) keyFromJson(cell, batch.columns[at++]!)
  for (const boundMs of boundsMs) {
    const column = int64Column(batch.columns[at++]!)
    appendInt64(column, boundMs)
    if (column.validity !== null) setValid(column, column.length - 1, true)
  }
  return at
}

export function appendNulls(batch: ColumnBatch, from: number): void {
  for (let at = from; at < batch.columns.length; at++) appendNull(batch.columns[at]!)
}
