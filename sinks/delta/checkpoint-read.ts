import { assert } from '../../src/errors.ts'
import type { ObjectStore } from '../../src/ports.ts'
import { readRows } from '../parquet/parquet-reader.ts'
import type { Action } from './actions.ts'
import type { CheckpointFiles } from './log-keys.ts'

/** What a checkpoint says of the table as a whole, without its files, which can be many. */
export const HEAD_COLUMNS = ['txn', 'metaData', 'protocol'] as const
/** Parsed statistics and the like are not read. */
export const FILE_COLUMNS = ['add', 'remove'] as const

/** The actions of all parts of a log checkpoint, of these kinds. */
export async function readCheckpoint(
  store: ObjectStore,
  checkpoint: CheckpointFiles,
  columns: readonly string[],
): Promise<readonly Action[]> {
  const actions: Action[] = []
  for (const key of checkpoint.keys) {
    const body = await store.get(key)
    assert(body !== null, `${key} is gone`)
    for (const row of await readRows(body, columns)) {
      const action = withoutNulls(row) as Action
      if (Object.keys(action).length > 0) actions.push(action)
    }
  }
  return actions
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
