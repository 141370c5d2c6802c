import type { ColumnBatch } from './columns/column.ts'
import type { Field } from './columns/column-type.ts'

/** Tables as an interface: sinks/ implements them. Part of ports.ts, and imported from there. */

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

/** A data file that a commit takes out of a table. */
export type RemovedFile = Pick<StagedFile, 'path' | 'size' | 'partitionValues'>

/** A table's log as far as it has been read, without the list of its files, which can be long. */
export interface TableHead {
  /** -1 where the table does not exist. */
  readonly version: number
  readonly fields: readonly Field[] | null
  readonly configuration: Readonly<Record<string, string>>
  /** The newest version of each appId. */
  readonly txn: ReadonlyMap<string, number>
}

export interface TableState extends TableHead {
  /** Active files by path. */
  readonly files: ReadonlyMap<string, StagedFile>
}

export interface TableCommit {
  /** Written where the table is new or its schema or configuration changes. */
  readonly metadata: { readonly configuration: Readonly<Record<string, string>> } | null
  readonly add: readonly StagedFile[]
  readonly remove: readonly RemovedFile[]
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
  refresh(): Promise<TableHead>
  /** The same, with the files: reads more, and what it returns is not kept. */
  read(): Promise<TableState>
  /** Throws TABLE_SCHEMA_MISMATCH or TABLE_UNSUPPORTED where rows of the shape could not stand beside those that the table has, as it was read last. */
  checkSchema?(): void
  /**
   * Tries to be version `version`, which must be `state.version + 1`. 'lost' means that another commit has that
   * version: refresh and decide again. Throws STORE_AMBIGUOUS where the outcome is not known: refresh tells.
   * Writes a log checkpoint every so many versions; a failure to do that is not a failure of the commit.
   */
  commit(version: number, commit: TableCommit): Promise<'committed' | 'lost'>
}

/** A file of a table, and its bytes. */
export interface StoredRows {
  readonly file: Pick<StagedFile, 'path' | 'partitionValues'>
  readonly body: Uint8Array
}

/** The way back of `TableEncoder`: files as columns. */
export interface TableDecoder {
  /**
   * All rows of a file, in its order, as columns of these fields, which are found by name. A nullable one that the file does not have is null.
   * Throws FILE_MISFIT where the fields cannot hold what is in the file.
   */
  decode(fields: readonly Field[], rows: StoredRows): ColumnBatch
}

export interface TableFormat {
  readonly encoder: TableEncoder
  /** Absent: what it wrote can be read by others only. */
  readonly decoder?: TableDecoder
  open(shape: TableShape): TableLog
}
