import type { ColumnBatch } from './columns/column.ts'
import type { Field } from './columns/column-type.ts'

/**
 * Every outside thing, as an interface. consumers/ and sinks/ implement these; the runtime calls them.
 * All of them throw PipelineError; `retryable` says whether the runtime tries again or stops.
 */

// ---------------------------------------------------------------------------------------------- source

export interface SourcePartition {
  /** Stable for ever, unique within the source, safe in a file name: it names the task. */
  readonly id: string
  readonly topic: string
  readonly partition: number
}

export interface Header {
  readonly key: string
  readonly value: Uint8Array | null
}

/**
 * Records of one source partition in position order, in one arena. Row i's value is
 * `arena[valueStart[i] .. valueEnd[i])`; a null key or value has an end of -1. The arrays may be longer
 * than `count`. The consumer owns a batch until it asks for the next one.
 */
export interface RecordBatch {
  readonly count: number
  readonly arena: Uint8Array
  readonly keyStart: Int32Array
  readonly keyEnd: Int32Array
  readonly valueStart: Int32Array
  readonly valueEnd: Int32Array
  readonly offsets: Float64Array
  readonly timestampsMs: Float64Array
  /** When the record arrived, as recorded with the input: a replay sees what the first run saw. */
  readonly arrivalsMs: Float64Array
  /** Null where no record of the batch has headers. */
  readonly headers: readonly (readonly Header[] | null)[] | null
  /** The position from which a reader continues after record i. */
  positionAfter(index: number): string
}

export type ReadResult =
  | { readonly kind: 'records'; readonly batch: RecordBatch }
  /** Nothing for this partition, while the source as a whole has reached this arrival time. */
  | { readonly kind: 'quiet'; readonly arrivalClockMs: number }
  /** No record will ever follow: the end of a recording. */
  | { readonly kind: 'end' }
  /** Reading stops here but more may follow later (`--until`): the watermark stays. */
  | { readonly kind: 'stop' }

export interface PartitionReader {
  /** Waits for the next batch, of at most `recordsMax` records. */
  read(recordsMax: number): Promise<ReadResult>
  close(): Promise<void>
}

export interface Source {
  /** For people: a file name, a topic. */
  readonly description: string
  /** Tells one recording, one topic from another of the same name: a position in one means nothing in the other. */
  readonly identity?: string | undefined
  /**
   * True where all input is there already, as in a replay at full speed: waiting for a partition that is quiet then costs
   * nothing, so none is called idle, and what follows is as deterministic as everything else.
   */
  readonly isBacklog?: boolean
  partitions(): Promise<readonly SourcePartition[]>
  /** `position` as `positionAfter` gave it; null is the beginning. */
  open(partition: SourcePartition, position: string | null): Promise<PartitionReader>
  close(): Promise<void>
}

export interface SchemaRegistry {
  /** For people: a folder, a URL. */
  readonly description: string
  /** The writer's schema as JSON text. Null only where the registry has answered that it has none. */
  schemaById(id: number): Promise<string | null>
}

// -------------------------------------------------------------------------------------------- store

export interface StoredObject {
  readonly key: string
  readonly size: number
}

/**
 * Objects by key, read-after-write consistent. Keys use '/', and never start or end with it.
 * A put whose outcome is not known throws PipelineError('STORE_AMBIGUOUS', retryable).
 */
export interface ObjectStore {
  /** For people: a folder, a bucket. */
  readonly description: string
  /** Creates the object only if the key is free: one winner, for ever. */
  putIfAbsent(key: string, body: Uint8Array): Promise<'created' | 'exists'>
  /** Creates or replaces. Durable when it resolves. */
  put(key: string, body: Uint8Array): Promise<void>
  /** Null where there is none. */
  get(key: string): Promise<Uint8Array | null>
  /** All objects whose key starts with `prefix` and sorts after `startAfter`, sorted by key. */
  list(prefix: string, startAfter?: string): Promise<readonly StoredObject[]>
  /** No error where there is none. */
  delete(key: string): Promise<void>
}

// ------------------------------------------------------------------------------------------- tables

/** What a table looks like to its readers, fixed when the program starts. */
export interface TableShape {
  /** 'bronze/trips': the folder of the table in the lake. */
  readonly path: string
  readonly fields: readonly Field[]
  readonly partitionBy: readonly PartitionColumn[]
  readonly options: TableOptions
}

/** A Hive-style partition column. Derived ones (`day`) are added to the row's own columns. */
export type PartitionColumn =
  | { readonly kind: 'value'; readonly field: string }
  | { readonly kind: 'day' | 'hour' | 'month'; readonly field: string; readonly name: string }

export interface TableOptions {
  readonly compression: 'snappy' | 'zstd' | 'none'
  readonly rowGroupRows: number
  /** Rows in one file at most; an epoch with more makes several files. */
  readonly fileRowsMax: number
  /** Columns that are dictionary-encoded. Others are not. Enums always are. */
  readonly dictionary: readonly string[]
}

/** One Parquet file, not yet named or stored. */
export interface EncodedFile {
  readonly body: Uint8Array
  readonly rows: number
  /** Delta's partitionValues: physical text, null for null. Empty where the table is not partitioned. */
  readonly partitionValues: Readonly<Record<string, string | null>>
  /** 'pickupAt_day=2024-03-01', escaped; '' where the table is not partitioned. */
  readonly directory: string
  /** Delta's statistics as JSON text: numRecords, minValues, maxValues, nullCount. */
  readonly stats: string
}

export interface TableEncoder {
  /** What `EncodedFile` is, for the file name: 'parquet'. */
  readonly extension: string
  /**
   * Synchronous: the columns may be overwritten as soon as it returns.
   * `selection` holds the rows to write, ascending; null means all. `count` of them are used.
   */
  encode(
    shape: TableShape,
    batch: ColumnBatch,
    selection: Int32Array | null,
    count: number,
  ): readonly EncodedFile[]
}

/** A data file that a commit adds, as the checkpoint record lists it too. */
export interface StagedFile {
  /** Relative to the table's folder, URL-encoded as Delta wants it. */
  readonly path: string
  readonly size: number
  readonly rows: number
  readonly partitionValues: Readonly<Record<string, string | null>>
  readonly stats: string
  /** Milliseconds since 1970: the time of the cut. */
  readonly modifiedMs: number
  readonly tags: Readonly<Record<string, string>>
}

/** A table's log as far as it has been read. */
export interface TableState {
  /** -1 where the table does not exist. */
  readonly version: number
  readonly fields: readonly Field[] | null
  readonly configuration: Readonly<Record<string, string>>
  /** The newest version of each appId. */
  readonly txn: ReadonlyMap<string, number>
  /** Active files by path. */
  readonly files: ReadonlyMap<string, StagedFile>
}

export interface TableCommit {
  /** Written where the table is new or its schema or configuration changes. */
  readonly metadata: { readonly configuration: Readonly<Record<string, string>> } | null
  readonly add: readonly StagedFile[]
  readonly remove: readonly StagedFile[]
  readonly txn: ReadonlyMap<string, number>
  readonly committedMs: number
  /** For `commitInfo`: 'WRITE', 'CREATE TABLE'. */
  readonly operation: string
  readonly info: Readonly<Record<string, string>>
}

/** The log of one table. */
export interface TableLog {
  readonly shape: TableShape
  /** Reads what is new in the log. */
  refresh(): Promise<TableState>
  /**
   * Tries to be version `version`, which must be `state.version + 1`. 'lost' means that another commit has that
   * version: refresh and decide again. Throws STORE_AMBIGUOUS where the outcome is not known: refresh tells.
   * Writes a log checkpoint every so many versions; a failure to do that is not a failure of the commit.
   */
  commit(version: number, commit: TableCommit): Promise<'committed' | 'lost'>
}

export interface TableFormat {
  readonly encoder: TableEncoder
  open(shape: TableShape): TableLog
}

// ---------------------------------------------------------------------------------------------- world

export interface Clock {
  nowMs(): number
  /** Resolves after `ms`, or earlier where the signal aborts. Never rejects. */
  sleep(ms: number, signal?: StopSignal): Promise<void>
}

/** What of an AbortSignal is needed; the pure folders, which see this file, know no DOM. */
export interface StopSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** Where names that must not repeat come from. */
export interface Entropy {
  /** 12 or more characters of [0-9a-z]. */
  nonce(): string
  /** In [0, 1). */
  random(): number
}

export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(fields: object): Log
}

// -------------------------------------------------------------------------------------------- bindings

/** A source as a user's program names it: `recording({ path })`, later `kafka({ … })`. */
export interface SourceBinding {
  open(clock: Clock): Source
  readonly registry: SchemaRegistry
  /** Cuts then depend on rows and bytes alone, never on the wall clock. */
  readonly isReplay: boolean
}

/** A lake as a user's program names it: `directory('./lake')`, later `s3({ bucket })`. */
export interface Lake {
  readonly store: ObjectStore
  readonly format: TableFormat
}
