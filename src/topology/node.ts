import type { AvroSchema } from './schema.ts'

/**
 * A topology as plain data: what the builder makes and everything else reads. Nodes refer to their input, so a
 * pipeline is a tree whose roots are its tables. Functions of the user are values in it; everything else
 * can be printed, compared and fingerprinted.
 */
export type RowNode = SourceNode | ExpectNode | FilterNode | MapNode | DedupeNode | LateNode

export interface SourceNode {
  readonly kind: 'source'
  readonly name: string
  readonly schema: AvroSchema
  /** A timestamp field of the schema. Null where the program needs no event time. */
  readonly eventTime: string | null
  readonly watermark: WatermarkSpec | null
}

export interface WatermarkSpec {
  readonly kind: 'bounded-out-of-orderness'
  readonly boundMs: number
  /** A partition without records for so long (of arrival time) no longer holds the watermark. Null: never. */
  readonly idleAfterMs: number | null
  /** Event time beyond arrival time + this is a dead letter, reason 'future', and moves no watermark. */
  readonly futureLimitMs: number
}

/** Rows that fail are dead letters, reason 'invalid'. */
export interface ExpectNode {
  readonly kind: 'expect'
  readonly name: string
  readonly input: RowNode
  readonly rules: readonly ExpectRule[]
}

export interface ExpectRule {
  /** Path of the field: 'fare', 'pickup.lat'. */
  readonly field: string
  readonly rule: Rule
}

/** A null value passes every rule but `notNull`, as in SQL's CHECK. */
export type Rule =
  | { readonly kind: 'between'; readonly min: number | bigint; readonly max: number | bigint }
  | { readonly kind: 'at-least'; readonly min: number | bigint }
  | { readonly kind: 'at-most'; readonly max: number | bigint }
  | { readonly kind: 'one-of'; readonly values: readonly (string | number | bigint | boolean)[] }
  | { readonly kind: 'not-null' }
  | { readonly kind: 'matches'; readonly pattern: string; readonly flags: string }
  | { readonly kind: 'length-between'; readonly min: number; readonly max: number }
  | { readonly kind: 'satisfies'; readonly test: (value: unknown) => boolean }

/** Rows for which the predicate is false are dropped and counted. */
export interface FilterNode {
  readonly kind: 'filter'
  readonly name: string
  readonly input: RowNode
  readonly predicate: (row: never) => boolean
}

/** Null from the function drops the row, which is counted. Event time stays that of the input row. */
export interface MapNode {
  readonly kind: 'map'
  readonly name: string
  readonly input: RowNode
  readonly schema: AvroSchema
  readonly transform: (row: never) => unknown
}

/** A row is dropped, and counted, when one with the same key was kept within the horizon of event time. */
export interface DedupeNode {
  readonly kind: 'dedupe'
  readonly name: string
  readonly input: RowNode
  readonly by: readonly string[]
  readonly withinMs: number
}

/** The rows that came too late for the windows of an aggregate. */
export interface LateNode {
  readonly kind: 'late'
  readonly input: AggregateNode
}

export interface AggregateNode {
  readonly kind: 'aggregate'
  readonly name: string
  readonly input: RowNode
  readonly keyBy: readonly string[]
  readonly window: WindowSpec
  readonly allowedLatenessMs: number
  readonly late: LatePolicy
  readonly aggregates: readonly NamedAggregate[]
}

/** [start, start + size), aligned to 1970-01-01T00:00:00Z + offset. */
export interface WindowSpec {
  readonly kind: 'tumbling'
  readonly sizeMs: number
  readonly offsetMs: number
}

/** What becomes of a late row. All three are counted. */
export type LatePolicy = 'dead-letter' | 'side-table' | 'drop'

export interface NamedAggregate {
  readonly name: string
  readonly spec: AggregateSpec
}

export type AggregateSpec =
  /** Rows, or rows whose field is not null. */
  | { readonly kind: 'count'; readonly field: string | null }
  | { readonly kind: 'sum' | 'min' | 'max' | 'avg'; readonly field: string }

export interface TableNode {
  readonly layer: 'bronze' | 'silver' | 'gold'
  readonly name: string
  readonly input: RowNode | AggregateNode
  readonly partitionBy: readonly PartitionSpec[]
  readonly options: TableOptionsSpec
}

export type PartitionSpec =
  | { readonly kind: 'value'; readonly field: string }
  | { readonly kind: 'day' | 'hour' | 'month'; readonly field: string }

export interface TableOptionsSpec {
  readonly compression: 'snappy' | 'zstd' | 'none'
  readonly rowGroupRows: number
  readonly fileRowsMax: number
  /** Null: the default for the columns' types. */
  readonly dictionary: readonly string[] | null
}

/** Results of an aggregate as records of an outside topic: keyed by the aggregate's key fields, Avro with registered schemas. */
export interface TopicNode {
  readonly kind: 'topic'
  readonly name: string
  readonly input: AggregateNode
}

export interface PipelineSpec {
  readonly name: string
  readonly source: SourceNode
  readonly tables: readonly TableNode[]
  /** Absent is none. */
  readonly topics?: readonly TopicNode[]
  readonly circuitBreaker: CircuitBreakerSpec | null
}

/** The pipeline stops when more than `maxShare` of `sample` records in a row become dead letters. */
export interface CircuitBreakerSpec {
  readonly maxShare: number
  readonly sample: number
}
