import { assert, PipelineError } from '../../src/errors.ts'
import type { StagedFile, TableState } from '../../src/ports.ts'
import type { Action, AddFile, Metadata, Protocol, RemoveFile } from './actions.ts'
import { checkReadable } from './protocol.ts'
import { fieldOf, parseSchema } from './schema-json.ts'

/** A table's state with what a log checkpoint needs besides. */
export interface Snapshot extends TableState {
  readonly protocol: Protocol | null
  readonly metadata: Metadata | null
  readonly partitionColumns: readonly string[]
  /** Removed files by path. */
  readonly tombstones: ReadonlyMap<string, RemoveFile>
}

export const NO_TABLE: Snapshot = {
  version: -1,
  fields: null,
  configuration: {},
  txn: new Map(),
  files: new Map(),
  protocol: null,
  metadata: null,
  partitionColumns: [],
  tombstones: new Map(),
}

/** The state after the actions of further commits, or of a checkpoint when it starts from NO_TABLE. */
export function applyActions(
  table: string,
  snapshot: Snapshot,
  version: number,
  actions: readonly Action[],
): Snapshot {
  const txn = new Map(snapshot.txn)
  const files = new Map(snapshot.files)
  const tombstones = new Map(snapshot.tombstones)
  let { protocol, metadata } = snapshot
  // The order within a commit means nothing; a file that is removed and added again in one is there.
  for (const { remove } of actions) {
    if (remove === undefined) continue
    files.delete(remove.path)
    tombstones.set(remove.path, remove)
  }
  for (const action of actions) {
    if (action.add !== undefined) {
      files.set(action.add.path, stagedFileOf(table, action.add))
      tombstones.delete(action.add.path)
    }
    if (action.txn !== undefined) txn.set(action.txn.appId, action.txn.version)
    protocol = action.protocol ?? protocol
    metadata = action.metaData ?? metadata
  }
  if (protocol === null || metadata === null) {
    throw new PipelineError(
      'TABLE_LOG_BROKEN',
      `The log of table ${table} has no protocol or no metadata at version ${version}.`,
      {
        advice:
          'Its first commits are missing or damaged. Restore `_delta_log`, or write to a table of another name.',
      },
    )
  }
  if (protocol !== snapshot.protocol || metadata !== snapshot.metadata)
    checkReadable(table, protocol, metadata)
  const configuration = metadata.configuration ?? {}
  const fields =
    metadata === snapshot.metadata ? snapshot.fields : parseSchema(metadata.schemaString).map(fieldOf)
  const { partitionColumns } = metadata
  return { version, fields, configuration, txn, files, protocol, metadata, partitionColumns, tombstones }
}

function stagedFileOf(table: string, add: AddFile): StagedFile {
  if (add.deletionVector !== undefined && add.deletionVector !== null) {
    throw new PipelineError(
      'TABLE_UNSUPPORTED',
      `Table ${table} uses deletion vectors, which Millrace does not read.`,
      {
        advice: 'Rewrite the table without them: REORG TABLE … APPLY (PURGE) in Spark.',
      },
    )
  }
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
