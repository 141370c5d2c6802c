import { PipelineError } from '../../src/errors.ts'
import type { TableHead } from '../../src/ports.ts'
import type { Action, AddFile, Metadata, Protocol, RemoveFile } from './actions.ts'
import type { CheckpointFiles } from './log-keys.ts'
import { checkReadable } from './protocol.ts'
import { fieldOf, parseSchema } from './schema-json.ts'

/**
 * A log as far as it has been read. The table's files are not in it: they are in the checkpoint that it begins with, and in what the commits since
 * have changed, so that a table with many files costs little between one checkpoint and the next.
 */
export interface LogState extends TableHead {
  readonly protocol: Protocol | null
  readonly metadata: Metadata | null
  readonly partitionColumns: readonly string[]
  /** Has the files up to its version. Null: the changes go back to the first commit. */
  readonly base: CheckpointFiles | null
  /** Since the base, ascending. */
  readonly changes: readonly FileChanges[]
  /** Active files; null where nobody has counted them. */
  readonly fileCount: number | null
}

export interface FileChanges {
  readonly version: number
  readonly add: readonly AddFile[]
  readonly remove: readonly RemoveFile[]
}

export const NO_LOG: LogState = {
  version: -1,
  fields: null,
  configuration: {},
  txn: new Map(),
  protocol: null,
  metadata: null,
  partitionColumns: [],
  base: null,
  changes: [],
  fileCount: 0,
}

/** The state after one more commit. */
export function applyCommit(
  table: string,
  state: LogState,
  version: number,
  actions: readonly Action[],
): LogState {
  const add = actions.flatMap((action) => action.add ?? [])
  const remove = actions.flatMap((action) => action.remove ?? [])
  for (const file of add) checkFile(table, file)
  const head = applyHead(table, state, version, actions)
  if (add.length === 0 && remove.length === 0) return head
  const fileCount = state.fileCount === null ? null : state.fileCount + add.length - remove.length
  return { ...head, changes: [...state.changes, { version, add, remove }], fileCount }
}

/** The state that a checkpoint gives. `actions` need not have its files. */
export function stateOfCheckpoint(
  table: string,
  base: CheckpointFiles,
  actions: readonly Action[],
  fileCount: number | null,
): LogState {
  return { ...applyHead(table, NO_LOG, base.version, actions), base, fileCount }
}

/** The same state with a newer checkpoint below it: what that has need not be remembered. */
export function rebased(state: LogState, base: CheckpointFiles): LogState {
  return { ...state, base, changes: state.changes.filter(({ version }) => version > base.version) }
}

function applyHead(table: string, state: LogState, version: number, actions: readonly Action[]): LogState {
  const txn = new Map(state.txn)
  let { protocol, metadata } = state
  for (const action of actions) {
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
  if (protocol !== state.protocol || metadata !== state.metadata) checkReadable(table, protocol, metadata)
  const configuration = metadata.configuration ?? {}
  const fields = metadata === state.metadata ? state.fields : parseSchema(metadata.schemaString).map(fieldOf)
  const { partitionColumns } = metadata
  return { ...state, version, fields, configuration, txn, protocol, metadata, partitionColumns }
}

/** Throws TABLE_UNSUPPORTED where some rows of a file do not count. */
export function checkFile(table: string, { deletionVector }: AddFile): void {
  if (deletionVector === undefined || deletionVector === null) return
  throw new PipelineError(
    'TABLE_UNSUPPORTED',
    `Table ${table} uses deletion vectors, which Millrace does not read.`,
    { advice: 'Rewrite the table without them: REORG TABLE … APPLY (PURGE) in Spark.' },
  )
}
