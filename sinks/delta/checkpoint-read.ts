import { readRows } from '../parquet/parquet-reader.ts'
import type { Action } from './actions.ts'

/** The columns of a checkpoint that matter to a table's state. Parsed statistics and the like are not read. */
const COLUMNS = ['txn', 'add', 'remove', 'metaData', 'protocol'] as const

/** The actions of a log checkpoint, or of one part of it. */
export async function readCheckpoint(body: Uint8Array): Promise<readonly Action[]> {
  const rows = await readRows(body, COLUMNS)
  return rows.map((row) => withoutNulls(row) as Action)
}

/** As it would be in a commit's JSON: no nulls but those of maps' values, and longs as numbers. */
function withoutNulls(value: unknown, keepNulls = false): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map((item) => withoutNulls(item))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(
    ([, member]) => member !== undefined && (keepNulls || member !== null),
  )
  return Object.fromEntries(
    entries.map(([name, member]) => [name, withoutNulls(member, name === 'partitionValues')]),
  )
}
