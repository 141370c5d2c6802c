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

/** How the watermark of a source partition moves: record by record, in position order, so that batches change nothing. */
export type WatermarkSpec = WatermarkLimits &
  (
    | { readonly kind: 'bounded-out-of-orderness'; readonly boundMs: number }
    /** A timestamp field of the record, nullable, carries the watermark: W = max(W, its value). */
    | { readonly kind: 'punctuated'; readonly field: string }
    /** Of each row that has a usable event time; null leaves W as it is. It never goes back, whatever the function says. */
    | { readonly kind: 'custom'; readonly watermarkOf: (row: never, eventTimeMs: number) => number | null }
  )

export interface WatermarkLimits {
  /** A partition without records for so long (of arrival time) no longer holds the watermark. Null: never. */
  readonly idleAfterMs: number | null
  /** Event time beyond arrival time + this is a dead letter, reason 'future', and moves no watermark. */
  readonly futureLimitMs: number
  /** A partition whose watermark is ahead of the slowest by more than this is paused. Absent: never. Changes no result. */
  readonly alignWithinMs?: number
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

/** The rows that came too late for the windows of an aggregate, or for a dedupe over all partitions. */
export interface LateNode {
  readonly kind: 'late'
  readonly input: AggregateNode | UniqueNode
}

/** What merge tasks make: rows that are complete only when every partition has had its say. */
export type ResultNode = AggregateNode | HavingNode | UniqueNode

export interface AggregateNode {
  readonly kind: 'aggregate'
  readonly name: string
  /** Rows of a partition, or results of a window, each once, when they are final. */
  readonly input: RowNode | ResultNode
  /** May be empty: all rows are one group. */
  readonly keyBy: readonly KeySpec[]
  readonly window: WindowSpec
  readonly allowedLatenessMs: number
  readonly late: LatePolicy
  /** Absent: one result, when the window is final. */
  readonly trigger?: TriggerSpec
  readonly aggregates: readonly NamedAggregate[]
}

/** Results for which the predicate is false are left out. */
export interface HavingNode {
  readonly kind: 'having'
  readonly name: string
  readonly input: ResultNode
  readonly predicate: (row: never) => boolean
}

/**
 * Dedupe over all partitions. Rows leave in the order of (event time, task, offset) when the watermark has passed them; of those with a key, the
 * first is kept, and then each that is `within` or more after the last kept one.
 */
export interface UniqueNode {
  readonly kind: 'unique'
  readonly name: string
  readonly input: RowNode
  readonly by: readonly string[]
  readonly withinMs: number
  readonly allowedLatenessMs: number
  readonly late: LatePolicy
}

/** The path of a field, or a key that is computed from the row. */
export type KeySpec = string | ComputedKeySpec

export interface ComputedKeySpec {
  /** Of the column. */
  readonly name: string
  /** An Avro type that can be a key, as JSON: 'string', ['null', 'long']. */
  readonly type: unknown
  readonly of: (row: never) => unknown
}

export type WindowSpec =
  | TumblingSpec
  | CalendarSpec
  | HoppingSpec
  | SlidingSpec
  | SessionSpec
  | CountSpec
  | GlobalSpec

/** [start, start + size), aligned to 1970-01-01T00:00:00Z + offset. */
export interface TumblingSpec {
  readonly kind: 'tumbling'
  readonly sizeMs: number
  readonly offsetMs: number
}

/** From midnight to midnight of a time zone. */
export interface CalendarSpec {
  readonly kind: 'calendar'
  readonly unit: 'day' | 'week' | 'month'
  /** IANA name. */
  readonly timeZone: string
  /** The first day of a week, 1 (Monday) to 7. Of no meaning for other units. */
  readonly weekStart: number
}

/** [start, start + size) for each start that is a multiple of hop, + offset. A row is in size / hop of them. */
export interface HoppingSpec {
  readonly kind: 'hopping'
  readonly sizeMs: number
  readonly hopMs: number
  readonly offsetMs: number
}

/** For each row of a key, at event time t, the rows of [t − size, t]: window_start is t − size, window_end t + 1 ms. Rows of one millisecond share theirs. */
export interface SlidingSpec {
  readonly kind: 'sliding'
  readonly sizeMs: number
}

/** Rows of a key that follow each other within the gap: [first, last + gap). Sessions that touch are one. */
export interface SessionSpec {
  readonly kind: 'session'
  readonly gapMs: number
  /** A whole number of milliseconds of each row; null: `gapMs`. */
  readonly gapField: string | null
}

/** So many rows of a key, in the order of (event time, task, offset). What is left at the end of a recording makes no result. */
export interface CountSpec {
  readonly kind: 'count'
  readonly rows: number
}

/** All rows of a key, for ever: window_start and window_end are null. Results come by triggers, and at the end of a recording. */
export interface GlobalSpec {
  readonly kind: 'global'
}

export interface TriggerSpec {
  /** A pane that has changed is written again when so much arrival time has gone by since it was written last. */
  readonly earlyEveryMs?: number
  /** … or when so many rows have come. */
  readonly earlyEveryRows?: number
  /** A result as soon as W ≥ end, and again for each change within the allowed lateness. */
  readonly refine?: boolean
}

/** What becomes of a late row. All three are counted. */
export type LatePolicy = 'dead-letter' | 'side-table' | 'drop'

export interface NamedAggregate {
  readonly name: string
  readonly spec: AggregateSpec
}

/** All have a `field`, which is null where they take none. */
export type AggregateSpec =
  /** Rows, or rows whose field is not null. */
  | { readonly kind: 'count'; readonly field: string | null }
  | { readonly kind: 'count-if'; readonly field: null; readonly predicate: (row: never) => boolean }
  | { readonly kind: 'sum' | 'min' | 'max' | 'avg'; readonly field: string }
  | { readonly kind: 'variance' | 'stddev'; readonly field: string; readonly of: 'sample' | 'population' }
  /** By event time; of the same millisecond by task, then offset, then the value itself. */
  | { readonly kind: 'first' | 'last'; readonly field: string }
  /** The field of the row whose `by` is smallest or greatest; of several such rows, that of the first by event time. */
  | { readonly kind: 'min-by' | 'max-by'; readonly field: string; readonly by: string }
  /** Exact up to `exactMax` values, HyperLogLog beyond. */
  | { readonly kind: 'count-distinct'; readonly field: string; readonly exactMax: number }
  /** DDSketch. One quantile is a double, several are an array of doubles. */
  | { readonly kind: 'quantile'; readonly field: string; readonly q: number; readonly accuracy: number }
  | {
      readonly kind: 'quantiles'
      readonly field: string
      readonly qs: readonly number[]
      readonly accuracy: number
    }
  /** An array of the field, of the k rows with the greatest `by`, greatest first. */
  | { readonly kind: 'top-k'; readonly field: string; readonly by: string; readonly k: number }
  /** An array of the k values that most rows have, most frequent first. Counts up to `distinctMax` values exactly; more stop the pipeline. */
  | {
      readonly kind: 'most-frequent'
      readonly field: string
      readonly k: number
      readonly distinctMax: number
    }
  /** An array of the values that are not null, in the order of (event time, task, offset): the first `max`. */
  | { readonly kind: 'collect'; readonly field: string; readonly max: number }
  | CustomAggregateSpec

/** States are JSON values. `merge` is associative and commutative, and `init` its neutral element; none of them changes its arguments. */
export interface CustomAggregateSpec {
  readonly kind: 'custom'
  readonly field: null
  /** Of the result: an Avro type as JSON. */
  readonly type: unknown
  readonly init: () => unknown
  readonly add: (state: never, row: never) => unknown
  readonly merge: (left: never, right: never) => unknown
  readonly result: (state: never) => unknown
}

export interface TableNode {
  readonly layer: 'bronze' | 'silver' | 'gold'
  readonly name: string
  readonly input: RowNode | ResultNode
  /** Of results: each revision a row. Absent: the newest revision of each key and window, which replaces the one before. */
  readonly revisions?: 'all'
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

/**
 * Results as records of an outside topic: keyed by the key fields and the window, so that a later revision replaces an earlier one. Avro with registered schemas.
 */
export interface TopicNode {
  readonly kind: 'topic'
  readonly name: string
  readonly input: ResultNode
}

export interface PipelineSpec {
  readonly name: string
  readonly source: SourceNode
  readonly tables: readonly TableNode[]
  /** Absent is none. */
  readonly topics?: readonly TopicNode[]
  readonly circuitBreaker: CircuitBreakerSpec | null
  /** Merge tasks of each stage, the keys being divided among them. Absent is one. */
  readonly mergeParallelism?: number
  readonly limits?: StateLimitsSpec
}

/** What state may grow to before the pipeline stops with STATE_LIMIT. In no fingerprint. */
export interface StateLimitsSpec {
  /** Open panes of one merge task. */
  readonly panesMax?: number
  /** Keys of one dedupe step in one partition, or of one merge task; open sessions of one partition likewise. */
  readonly keysMax?: number
}

/** The pipeline stops when more than `maxShare` of `sample` records in a row become dead letters. */
export interface CircuitBreakerSpec {
  readonly maxShare: number
  readonly sample: number
}
