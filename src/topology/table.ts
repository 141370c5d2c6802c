import { checkTable } from './check-table.ts'
import type { DictionaryKind, FieldOf, InstantKind, OrNull, PartitionKind, TimestampKind } from './kinds.ts'
import type { PartitionSpec, TableNode } from './node.ts'
import { throwProblems } from './problem.ts'
import type { LateRows, ResultStream } from './result-stream.ts'
import type { RowStream, SourceStream, UniqueStream } from './stream.ts'

export interface TableOptions<Kinds> {
  /** Folders of the table: a field, or the UTC day, hour or month of one; several make nested folders. */
  readonly partitionBy?: PartitionBy<Kinds> | readonly PartitionBy<Kinds>[]
  readonly compression?: 'snappy' | 'zstd' | 'none'
  /** Rows of a row group. */
  readonly rowGroupRows?: number
  /** Rows of a file at most; an epoch with more makes several files. */
  readonly fileRowsMax?: number
  /** Columns that are dictionary-encoded. Enums always are. Default: by the columns' types. */
  readonly dictionary?: readonly FieldOf<Kinds, DictionaryKind>[]
}

export type PartitionBy<Kinds> =
  | FieldOf<Kinds, PartitionKind>
  | TimePartition<'day' | 'month', FieldOf<Kinds, TimestampKind | OrNull<'date'>>>
  | TimePartition<'hour', FieldOf<Kinds, TimestampKind>>

export interface TimePartition<Unit extends 'day' | 'hour' | 'month', Field extends string> {
  readonly kind: Unit
  readonly field: Field
}

/** A folder for each UTC day: <field>_day=2024-03-01. */
export function day<const Field extends string>(field: Field): TimePartition<'day', Field> {
  return { kind: 'day', field }
}

/** A folder for each UTC hour: <field>_hour=2024-03-01-17. */
export function hour<const Field extends string>(field: Field): TimePartition<'hour', Field> {
  return { kind: 'hour', field }
}

/** A folder for each UTC month: <field>_month=2024-03. */
export function month<const Field extends string>(field: Field): TimePartition<'month', Field> {
  return { kind: 'month', field }
}

/** Columns that bronze adds to a record. */
export interface BronzeColumns {
  readonly _topic: 'string'
  readonly _partition: 'int'
  readonly _offset: 'long'
  readonly _timestamp: Extract<InstantKind, 'timestamp-millis'>
  readonly _key: 'bytes?'
  readonly _schema_id: 'int'
  readonly _headers: 'array?'
  readonly _ingested_at: Extract<InstantKind, 'timestamp-millis'>
}

type WithBronzeColumns<Kinds> = unknown extends Kinds ? unknown : Kinds & BronzeColumns

/**
 * Every record that can be decoded, as it arrived. Takes the source stream only.
 */
export function bronze<Row, Kinds>(
  name: string,
  source: SourceStream<Row, Kinds>,
  options: TableOptions<NoInfer<WithBronzeColumns<Kinds>>> = {},
): TableNode {
  return table('bronze', name, source.node, options)
}

/** Rows that went through any steps, those that came too late for a window, or those that `unique` has let pass. */
export function silver<Row, Kinds>(
  name: string,
  rows: RowStream<Row, Kinds> | LateRows<Row, Kinds> | UniqueStream<Row, Kinds>,
  options: TableOptions<NoInfer<Kinds>> = {},
): TableNode {
  return table('silver', name, rows.node, options)
}

export interface GoldOptions<Kinds> extends TableOptions<Kinds> {
  /**
   * 'newest' (default): one row for each key and window; a later revision replaces the earlier in one commit of the table.
   * 'all': a row for each revision.
   */
  readonly revisions?: 'newest' | 'all'
}

/** The results of windows. */
export function gold<ResultRow, ResultKinds>(
  name: string,
  results: ResultStream<ResultRow, ResultKinds>,
  options: GoldOptions<NoInfer<ResultKinds>> = {},
): TableNode {
  return table('gold', name, results.node, options)
}

/** The largest write the Parquet writer is given: its memory grows with it and is never given back. */
const FILE_ROWS_MAX_DEFAULT = 250_000
const ROW_GROUP_ROWS_DEFAULT = 125_000

function table<Kinds>(
  layer: TableNode['layer'],
  name: string,
  input: TableNode['input'],
  typedOptions: GoldOptions<Kinds>,
): TableNode {
  // The names were checked where they were typed; from here on they are strings.
  const options = typedOptions as unknown as GoldOptions<unknown>
  const partitionBy = options.partitionBy ?? []
  const node: TableNode = {
    layer,
    name,
    input,
    ...revisionsOf(options),
    partitionBy: (Array.isArray(partitionBy) ? partitionBy : [partitionBy]).map(partitionSpec),
    options: {
      compression: options.compression ?? 'snappy',
      rowGroupRows: options.rowGroupRows ?? ROW_GROUP_ROWS_DEFAULT,
      fileRowsMax: options.fileRowsMax ?? FILE_ROWS_MAX_DEFAULT,
      dictionary: options.dictionary ?? null,
    },
  }
  throwProblems(checkTable(node))
  return node
}

/** The default is no field at all: that is how older programs are written down. Anything else is kept for the checks. */
function revisionsOf({ revisions }: GoldOptions<unknown>): Pick<TableNode, 'revisions'> {
  return revisions === undefined || revisions === 'newest' ? {} : { revisions }
}

function partitionSpec(by: PartitionBy<unknown>): PartitionSpec {
  return typeof by === 'string' ? { kind: 'value', field: by } : { kind: by.kind, field: by.field }
}
