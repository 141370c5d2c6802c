import { createHash } from 'node:crypto'
import { assert, messageOf, PipelineError } from '../../src/errors.ts'
import type { Log, ObjectStore, TableCommit, TableEncoder, TableLog, TableShape } from '../../src/ports.ts'
import type { Action, Metadata } from './actions.ts'
import { actionsText } from './actions.ts'
import { writeCheckpoint } from './checkpoint-write.ts'
import { isCheckpointDue, isCleanUpDue } from './checkpoint-interval.ts'
import { cleanLog } from './log-cleanup.ts'
import { commitKey } from './log-keys.ts'
import { applyCommit, type LogState, NO_LOG, rebased } from './log-state.ts'
import { checkWritable, protocolFor, raisedProtocol } from './protocol.ts'
import { readFiles, readLog } from './read-log.ts'
import { evolvedFields } from './schema-change.ts'
import { parseSchema, schemaText } from './schema-json.ts'
import type { DeltaField } from './schema-json.ts'
import { addAction } from './snapshot.ts'
import type { Snapshot } from './snapshot.ts'
import {
  LOG_RETENTION_MS_MIN,
  LOG_RETENTION_OF_NEW_TABLES,
  LOG_RETENTION_PROPERTY,
  logRetentionMs,
} from './table-properties.ts'
import { tableSchemaOf } from './table-schema.ts'
import type { TableSchema } from './table-schema.ts'

export interface DeltaLogOptions {
  readonly store: ObjectStore
  readonly encoder: TableEncoder
  /** Commits from one log checkpoint to the next, while the table has few files. */
  readonly checkpointEvery: number
  readonly log: Log | null
  readonly nowMs: () => number
}

/**
 * What has been read so long ago may have been deleted since, and its version's number be free again. Half of what every version is kept for: the rest is for
 * clocks that differ.
 */
const STALE_AFTER_MS = LOG_RETENTION_MS_MIN / 2
/** Old log files deleted at one time. */
const CLEAN_UP_DELETES_MAX = 2_000

/** The log of one Delta table, written by any number of processes at once. */
export class DeltaLog implements TableLog {
  readonly shape: TableShape
  readonly #options: DeltaLogOptions
  readonly #schema: TableSchema
  #state: LogState = NO_LOG
  /** When the state was the newest for certain. */
  #knownMs = -Infinity

  constructor(shape: TableShape, options: DeltaLogOptions) {
    this.shape = shape
    this.#options = options
    this.#schema = tableSchemaOf(shape)
  }

  /** From what is known already, or from the last checkpoint where this process may have slept since. */
  async refresh(): Promise<LogState> {
    const { store, nowMs } = this.#options
    for (;;) {
      const startMs = nowMs()
      const known = this.#isStale() ? NO_LOG : this.#state
      try {
        const state = await readLog(store, this.shape.path, known)
        const sinceMs = known === NO_LOG ? startMs : this.#knownMs
        this.#state = state
        this.#knownMs = sinceMs
        if (!this.#isStale()) {
          this.#knownMs = startMs
          return state
        }
      } catch (error) {
        // It slept in the middle, and what it was about to read may be gone.
        const elapsedMs = nowMs() - startMs
        if (elapsedMs >= 0 && elapsedMs < STALE_AFTER_MS) throw error
      }
      this.#knownMs = -Infinity
    }
  }

  async read(): Promise<Snapshot> {
    await this.refresh()
    const { state, snapshot } = await readFiles(this.#options.store, this.shape.path, this.#state)
    this.#state = state
    return snapshot
  }

  checkSchema(): void {
    const { metadata, protocol } = this.#state
    if (metadata === null || protocol === null) return
    checkWritable(this.shape.path, protocol, metadata, false)
    this.#fieldsBeside(metadata)
  }

  /**
   * The order of actions is commitInfo, protocol, metaData, txn, remove, add. `metadata.configuration` is merged into
   * the table's: properties that others have set stay. The schema follows the shape (schema-change.ts); a commit that
   * removes every file may change it freely.
   */
  async commit(version: number, commit: TableCommit): Promise<'committed' | 'lost'> {
    const { store, nowMs } = this.#options
    const table = this.shape.path
    assert(version === this.#state.version + 1, `${table}: version ${version} is not the next to be written`)
    if (this.#isStale()) return 'lost'
    const actions = await this.#actionsOf(commit)
    if (actions === null) return 'lost'
    const body = new TextEncoder().encode(actionsText(actions))
    const startMs = nowMs()
    const outcome = await store.putIfAbsent(commitKey(table, version), body)
    if (outcome === 'exists') return 'lost'
    if (this.#isStale()) {
      throw new PipelineError(
        'STORE_AMBIGUOUS',
        `this process slept while it wrote version ${version} of ${table}, which others may have written and cleaned up meanwhile`,
        { retryable: true },
      )
    }
    this.#state = applyCommit(table, this.#state, version, actions)
    this.#knownMs = startMs
    await this.#checkpoint(commit.committedMs)
    return 'committed'
  }

  #isStale(): boolean {
    const ageMs = this.#options.nowMs() - this.#knownMs
    return ageMs < 0 || ageMs >= STALE_AFTER_MS
  }

  /** Null where somebody else has written meanwhile. */
  async #actionsOf(commit: TableCommit): Promise<readonly Action[] | null> {
    const changed = await this.#metadataOf(commit)
    if (changed === null) return null
    const { metadata, protocol } = changed
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

  /** Null for what stays as it is, and in place of all where somebody else has written meanwhile. */
  async #metadataOf(commit: TableCommit) {
    const { metadata: current, protocol: currentProtocol } = this.#state
    const wanted = commit.metadata?.configuration ?? {}
    if (current === null || currentProtocol === null) {
      const metadata = this.#firstMetadata(commit, wanted)
      return { metadata, protocol: protocolFor(this.#schema.fields) }
    }
    checkWritable(this.shape.path, currentProtocol, current, commit.remove.length > 0)
    const schema = await this.#nextSchema(current, commit)
    if (schema === null) return null
    const { fields, partitionColumns } = schema
    const raised = raisedProtocol(currentProtocol, protocolFor(fields))
    const configuration = { ...current.configuration, ...wanted }
    const next = { ...current, schemaString: schemaText(fields), partitionColumns, configuration }
    const isSame =
      next.schemaString === schemaText(parseSchema(current.schemaString)) &&
      partitionColumns.join('\n') === current.partitionColumns.join('\n') &&
      Object.entries(wanted).every(([name, value]) => current.configuration?.[name] === value)
    return { metadata: isSame ? null : next, protocol: raised === currentProtocol ? null : raised }
  }

  async #nextSchema(current: Metadata, commit: TableCommit): Promise<TableSchema | null> {
    const fields: readonly DeltaField[] = parseSchema(current.schemaString)
    const { partitionColumns } = current
    const isSame =
      schemaText(fields) === schemaText(this.#schema.fields) &&
      partitionColumns.join('\n') === this.#schema.partitionColumns.join('\n')
    if (isSame) return this.#schema
    if (commit.remove.length > 0 || (this.#state.fileCount ?? 0) <= 0) {
      const { version } = this.#state
      const { files, version: newest } = await this.read()
      if (newest !== version) return null
      const removed = new Set(commit.remove.map((file) => file.path))
      // So does one to a table that has none: there is no row that the old schema would describe.
      if ([...files.keys()].every((path) => removed.has(path))) return this.#schema
    }
    return this.#fieldsBeside(current)
  }

  /** The schema of the table's rows and ours together. */
  #fieldsBeside({ schemaString, partitionColumns }: Metadata): TableSchema {
    const fields: readonly DeltaField[] = parseSchema(schemaString)
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
      configuration: { [LOG_RETENTION_PROPERTY]: LOG_RETENTION_OF_NEW_TABLES, ...configuration },
      createdTime: commit.committedMs,
    }
  }

  /** The commit is done, whatever becomes of this. */
  async #checkpoint(nowMs: number): Promise<void> {
    const { store, encoder, checkpointEvery, log } = this.#options
    const table = this.shape.path
    const { version, fileCount, configuration } = this.#state
    if (encoder.extension !== 'parquet' || !isCheckpointDue(version, fileCount ?? 0, checkpointEvery)) return
    try {
      const { state, snapshot } = await readFiles(store, table, this.#state)
      const written = await writeCheckpoint(store, encoder, table, snapshot, nowMs)
      if (state.version === version) this.#state = rebased(state, written)
      const retentionMs = logRetentionMs(configuration)
      if (retentionMs === null || !isCleanUpDue(version, fileCount ?? 0, checkpointEvery)) return
      await cleanLog(store, table, nowMs - retentionMs, CLEAN_UP_DELETES_MAX)
    } catch (error) {
      log?.warn({ table, version, error: messageOf(error) }, 'could not write a log checkpoint')
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
