import { assert } from '../../src/errors.ts'
import type { StagedFile, TableState } from '../../src/ports.ts'
import type { Action, AddFile, Metadata, Protocol, RemoveFile } from './actions.ts'
import { checkFile, type LogState } from './log-state.ts'

/** A table with its files, and what a log checkpoint needs besides. */
export interface Snapshot extends TableState {
  readonly protocol: Protocol | null
  readonly metadata: Metadata | null
  readonly partitionColumns: readonly string[]
  /** Removed files by path. */
  readonly tombstones: ReadonlyMap<string, RemoveFile>
}

/** `base` holds the actions of the checkpoint that the state begins with; empty where there is none. */
export function snapshotOf(table: string, state: LogState, base: readonly Action[]): Snapshot {
  const files = new Map<string, StagedFile>()
  const tombstones = new Map<string, RemoveFile>()
  const apply = (add: readonly AddFile[], remove: readonly RemoveFile[]): void => {
    // The order within a commit means nothing; a file that is removed and added again in one is there.
    for (const file of remove) {
      files.delete(file.path)
      tombstones.set(file.path, file)
    }
    for (const file of add) {
      checkFile(table, file)
      files.set(file.path, stagedFileOf(file))
      tombstones.delete(file.path)
    }
  }
  apply(
    base.flatMap(({ add }) => add ?? []),
    base.flatMap(({ remove }) => remove ?? []),
  )
  for (const { add, remove } of state.changes) apply(add, remove)
  const { version, fields, configuration, txn, protocol, metadata, partitionColumns } = state
  return { version, fields, configuration, txn, files, protocol, metadata, partitionColumns, tombstones }
}

function stagedFileOf(add: AddFile): StagedFile {
  const stats = add.stats ?? ''
  return {
    path: add.path,
    size: add.size,
    rows: rowsOf(stats),
    partitionValues: add.partitionValues,
    stats,
    modifiedMs: add.modificationTime,
    tags: add.tags ?? {},
  }
}

/** Ours always have statistics. Files of others may not: 0. */
function rowsOf(stats: string): number {
  const rows = /"numRecords"\s*:\s*(\d+)/.exec(stats)
  return rows === null ? 0 : Number(rows[1])
}

/** The action by which a commit adds a file. */
export function addAction(file: StagedFile, dataChange: boolean): AddFile {
  assert(file.path !== '', 'a data file has a path')
  return {
    path: file.path,
    partitionValues: file.partitionValues,
    size: file.size,
    modificationTime: file.modifiedMs,
    dataChange,
    stats: file.stats,
    tags: file.tags,
  }
}
