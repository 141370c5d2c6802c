import { createHash } from 'node:crypto'
import { assert, messageOf } from '../../src/errors.ts'
import type { Log, ObjectStore, TableCommit, TableEncoder, TableLog, TableShape } from '../../src/ports.ts'
import type { Action, Metadata } from './actions.ts'
import { actionsText } from './actions.ts'
import { writeCheckpoint } from './checkpoint-write.ts'
import { commitKey } from './log-keys.ts'
import { checkWritable, protocolFor, raisedProtocol } from './protocol.ts'
import { readLog } from './read-log.ts'
import { evolvedFields } from './schema-change.ts'
import { parseSchema, schemaText } from './schema-json.ts'
import type { DeltaField } from './schema-json.ts'
import { addAction, applyActions, NO_TABLE } from './snapshot.ts'
import type { Snapshot } from './snapshot.ts'
import { tableSchemaOf } from './table-schema.ts'
import type { TableSchema } from './table-schema.ts'

export interface DeltaLogOptions {
  readonly store: ObjectStore
  readonly encoder: TableEncoder
  /** Commits from one log checkpoint to the next. */
  readonly checkpointEvery: number
  readonly log: Log | null
}

/** The log of one Delta table, written by any number of processes at once. */
export class DeltaLog implements TableLog {
  readonly shape: TableShape
  readonly #options: DeltaLogOptions
  readonly #schema: TableSchema
  #snapshot: Snapshot = NO_TABLE

  constructor(shape: TableShape, options: DeltaLogOptions) {
    this.shape = shape
    this.#options = options
    this.#schema = tableSchemaOf(shape)
  }

  async refresh(): Promise<Snapshot> {
    this.#snapshot = await readLog(this.#options.store, this.shape.path, this.#snapshot)
    return this.#snapshot
  }

  /**
   * The order of actions is commitInfo, protocol, metaData, txn, remove, add. `metadata.configuration` is merged into
   * the table's: properties that others have set stay. The schema follows the shape (schema-change.ts); a commit that
   * removes every file may change it freely.
   */
  async commit(version: number, commit: TableCommit): Promise<'committed' | 'lost'> {
    const { store } = this.#options
    const table = this.shape.path
    assert(
      version === this.#snapshot.version + 1,
      `${table}: version ${version} is not the next to be written`,
    )
    const actions = this.#actionsOf(commit)
    const body = new TextEncoder().encode(actionsText(actions))
    const outcome = await store.putIfAbsent(commitKey(table, version), body)
    if (outcome === 'exists') return 'lost'
    this.#snapshot = applyActions(table, this.#snapshot, version, actions)
    await this.#checkpoint(commit.committedMs)
    return 'committed'
  }

  #actionsOf(commit: TableCommit): readonly Action[] {
    const { metadata, protocol } = this.#metadataOf(commit)
    const actions: Action[] = [{ commitInfo: commitInfo(commit) }]
    if (protocol !== null) actions.push({ protocol })
    if (metadata !== null) actions.push({ metaData: metadata })
    for (const [appId, version] of commit.txn) actions.push({ txn: { appId, version } })
    for (const { path, partitionValues, size } of commit.remove) {
      const remove = {
        path,
        deletionTimestamp: commit.committedMs,
        dataChange: true,
        extendedFileMetadata: true,
      }
      actions.push({ remove: { ...remove, partitionValues, size } })
    }
    for (const file of commit.add) actions.push({ add: addAction(file, true) })
    return actions
  }

  /** Null for what stays as it is. */
  #metadataOf(commit: TableCommit) {
    const { metadata: current, protocol: currentProtocol } = this.#snapshot
    const wanted = commit.metadata?.configuration ?? {}
    if (current === null || currentProtocol === null) {
      const metadata = this.#firstMetadata(commit, wanted)
      return { metadata, protocol: protocolFor(this.#schema.fields) }
    }
    checkWritable(this.shape.path, currentProtocol, current, commit.remove.length > 0)
    const { fields, partitionColumns } = this.#nextSchema(current, commit)
    const raised = raisedProtocol(currentProtocol, protocolFor(fields))
    const configuration = { ...current.configuration, ...wanted }
    const next = { ...current, schemaString: schemaText(fields), partitionColumns, configuration }
    const isSame =
      next.schemaString === schemaText(parseSchema(current.schemaString)) &&
      partitionColumns.join('\n') === current.partitionColumns.join('\n') &&
      Object.entries(wanted).every(([name, value]) => current.configuration?.[name] === value)
    return { metadata: isSame ? null : next, protocol: raised === currentProtocol ? null : raised }
  }

  #nextSchema(current: Metadata, commit: TableCommit): TableSchema {
    const { files } = this.#snapshot
    const fields: readonly DeltaField[] = parseSchema(current.schemaString)
    const removed = new Set(commit.remove.map((file) => file.path))
    // So does one to a table that has none: there is no row that the old schema would describe.
    const isEmptied = [...files.keys()].every((path) => removed.has(path))
    if (isEmptied) return this.#schema
    const { partitionColumns } = current
    return {
      fields: evolvedFields(this.shape.path, { fields, partitionColumns }, this.#schema),
      partitionColumns,
    }
  }

  #firstMetadata(commit: TableCommit, configuration: Readonly<Record<string, string>>): Metadata {
    return {
      id: tableId(this.shape.path, commit),
      format: { provider: 'parquet', options: {} },
      schemaString: schemaText(this.#schema.fields),
      partitionColumns: this.#schema.partitionColumns,
      configuration,
      createdTime: commit.committedMs,
    }
  }

  /** The commit is done, whatever becomes of this. */
  async #checkpoint(nowMs: number): Promise<void> {
    const { store, encoder, checkpointEvery, log } = this.#options
    const { version } = this.#snapshot
    if (version === 0 || version % checkpointEvery !== 0 || encoder.extension !== 'parquet') return
    try {
      await writeCheckpoint(store, encoder, this.shape.path, this.#snapshot, nowMs)
    } catch (error) {
      log?.warn(
        { table: this.shape.path, version, error: messageOf(error) },
        'could not write a log checkpoint',
      )
    }
  }
}

function commitInfo(commit: TableCommit): Readonly<Record<string, unknown>> {
  return {
    timestamp: commit.committedMs,
    operation: commit.operation,
    operationParameters: commit.info,
    isBlindAppend: commit.remove.length === 0,
    engineInfo: 'Millrace',
  }
}

/**
 * A table keeps this id for life. It is made from what the first commit holds, names with nonces among it, so that the
 * same run makes the same log.
 */
function tableId(path: string, commit: TableCommit): string {
  const text = JSON.stringify([
    path,
    commit.committedMs,
    [...commit.txn],
    commit.info,
    commit.add.map((file) => file.path),
  ])
  const hex = createHash('sha256').update(text).digest('hex')
  // Version 8 of RFC 9562: a UUID of one's own making.
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
