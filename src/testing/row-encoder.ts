import { jsonValueAt } from '../columns/json-value.ts'
import { encodeUtf8 } from '../columns/utf8.ts'
import type { TableEncoder } from '../ports.ts'

/** Rows as a JSON array: in a test nobody wants to open Parquet to see a row. Tables are not split by partition here. */
export const rowEncoder: TableEncoder = {
  extension: 'json',
  encode(shape, batch, selection, count) {
    if (count === 0) return []
    const rows: Record<string, unknown>[] = []
    for (let i = 0; i < count; i++) {
      const row = selection === null ? i : selection[i]!
      rows.push(
        Object.fromEntries(shape.fields.map(({ name }, c) => [name, jsonValueAt(batch.columns[c]!, row)])),
      )
    }
    const body = encodeUtf8(JSON.stringify(rows))
    const stats = JSON.stringify({ numRecords: count })
    return [{ body, rows: count, partitionValues: {}, directory: '', stats }]
  },
}
