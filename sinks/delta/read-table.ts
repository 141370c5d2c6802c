import type { ObjectStore, TableState } from '../../src/ports.ts'
import { NO_LOG } from './log-state.ts'
import { readFiles, readLog } from './read-log.ts'

export interface ReadTableState extends TableState {
  /** Their values are in `partitionValues` of the files, not in the files. */
  readonly partitionColumns: readonly string[]
  /** Files that were removed, by path, for as long as the log remembers them. */
  readonly tombstones: ReadonlyMap<string, { readonly deletionTimestamp?: number | null }>
}

/**
 * A table as its log says it is now; null where there is none at this path. `fields` are what readers see (enums as
 * strings, timestamps as micros), partition columns included.
 */
export async function readTable(store: ObjectStore, path: string): Promise<ReadTableState | null> {
  const state = await readLog(store, path, NO_LOG)
  return state.version < 0 ? null : (await readFiles(store, path, state)).snapshot
}
