import { checkStep } from './check-step.ts'
import type { Duration } from './duration.ts'
import { given } from './given.ts'
import { type KeyOf, keySpecs } from './key.ts'
import type { FieldOf, GroupableKind, InstantKind, PathOf } from './kinds.ts'
import type {
  ExpectRule,
  GlobalSpec,
  KeySpec,
  LatePolicy,
  RowNode,
  Rule,
  SourceNode,
  UniqueNode,
} from './node.ts'
import { throwProblems } from './problem.ts'
import {
  type LateRowsOf,
  lateRows,
  type ResultKeyedStream,
  resultKeyedStream,
  windowed,
  type WindowedStream,
} from './result-stream.ts'
import type { ExpectRules, FieldRule } from './rule.ts'
import type { AvroSchema } from './schema.ts'
import type { WatermarkOf } from './watermark.ts'
import type {
  FinalWindowOptions,
  GlobalWindowOptions,
  OrderedWindow,
  TimeWindow,
  WindowOptions,
} from './window.ts'

export interface StreamOptions<Kinds, Row = unknown> {
  /** The field that says when the event happened. */
  readonly eventTime: FieldOf<Kinds, InstantKind>
  readonly watermark: WatermarkOf<Row, Kinds>
}

/** Rows of one type. Immutable: every method gives a new stream. */
export interface RowStream<Row, Kinds> {
  readonly node: RowNode
  /** Rows that break a rule become dead letters, reason 'invalid'. */
  expect(name: string, rules: ExpectRules<Row, Kinds>): RowStream<Row, Kinds>
  /** Rows for which the predicate is false are dropped and counted. */
  filter(name: string, predicate: (row: Row) => boolean): RowStream<Row, Kinds>
  /** Null drops the row, which is counted. The event time of the row stays what it was. */
  map<OutRow, OutKinds>(
    name: string,
    schema: AvroSchema<OutRow, OutKinds>,
    transform: (row: Row) => NoInfer<OutRow> | null,
  ): RowStream<OutRow, OutKinds>
  /** Drops, and counts, rows whose key was seen within so much event time. Per source partition. */
  dedupe(name: string, options: DedupeOptions<Kinds>): RowStream<Row, Kinds>
  /**
   * Dedupe over all partitions: rows leave in the order of event time, once the watermark has passed them by `allowedLateness`. Silver tables,
   * topics and windows take them; `expect`, `filter` and `map` come before.
   */
  unique<Late extends LatePolicy = 'dead-letter'>(
    name: string,
    options: UniqueOptions<Kinds, Late>,
  ): UniqueStream<Row, Kinds, Late>
  /**
   * Groups rows by fields and computed keys; without any, all rows are one group. Null is a key like any other.
   * `Keys` stands beside the plain array in the type so that a computed key knows the row before `Keys` is known.
   */
  keyBy<const Keys extends readonly KeyOf<Row, Kinds>[]>(
    ...keys: Keys | readonly KeyOf<Row, Kinds>[]
  ): KeyedStream<Row, Kinds, Keys[number]>
}

/** The rows of a topic as they arrive: what a bronze table holds. */
export interface SourceStream<Row, Kinds> extends RowStream<Row, Kinds> {
  readonly node: SourceNode
}

export interface DedupeOptions<Kinds> {
  readonly by: PathOf<Kinds, GroupableKind> | readonly PathOf<Kinds, GroupableKind>[]
  readonly within: Duration
}

export interface UniqueOptions<Kinds, Late extends LatePolicy = LatePolicy> extends DedupeOptions<Kinds> {
  /** How long rows wait for older ones, of this and of other partitions. */
  readonly allowedLateness: Duration
  /** What becomes of rows that come later still. Default: 'dead-letter'. */
  readonly late?: Late
}

/** Rows of which merge tasks have dropped the duplicates of all partitions. */
export interface UniqueStream<Row, Kinds, Late extends LatePolicy = LatePolicy> {
  readonly node: UniqueNode
  /** Rows that came too late, for a silver table. Only with `late: 'side-table'`. */
  readonly late: LateRowsOf<Row, Kinds, Late>
  keyBy<const Keys extends readonly KeyOf<Row, Kinds>[]>(
    ...keys: Keys | readonly KeyOf<Row, Kinds>[]
  ): ResultKeyedStream<Row, Kinds, Keys[number]>
  /** Phantoms: never present at run time. */
  readonly row?: Row
  readonly kinds?: Kinds
}

/** `Key` is the union of what `keyBy` was given. */
export interface KeyedStream<Row, Kinds, Key> {
  window(
    window: GlobalSpec,
    options?: GlobalWindowOptions,
  ): WindowedStream<Row, Kinds, Key, GlobalSpec, 'dead-letter'>
  window<const Window extends OrderedWindow, Late extends LatePolicy = 'dead-letter'>(
    window: Window,
    options: FinalWindowOptions<Late>,
  ): WindowedStream<Row, Kinds, Key, Window, Late>
  window<const Window extends TimeWindow<Kinds>, Late extends LatePolicy = 'dead-letter'>(
    window: Window,
    options: WindowOptions<Late>,
  ): WindowedStream<Row, Kinds, Key, Window, Late>
}

/**
 * The stream of a topic. Windows and dedupe need an event time; without the options the stream has none.
 * Throws PipelineError where a name, a field or an option is wrong.
 */
export function stream<Row, Kinds>(
  name: string,
  schema: AvroSchema<Row, Kinds>,
  options?: StreamOptions<NoInfer<Kinds>, NoInfer<Row>>,
): SourceStream<Row, Kinds> {
  const node: SourceNode = {
    kind: 'source',
    name,
    schema,
    eventTime: options?.eventTime ?? null,
    watermark: (options?.watermark as SourceNode['watermark'] | undefined) ?? null,
  }
  throwProblems(checkStep(node))
  return { ...rowStream<Row, Kinds>(node), node }
}

function rowStream<Row, Kinds>(node: RowNode): RowStream<Row, Kinds> {
  return {
    node,
    expect: (name, rules) => next({ kind: 'expect', name, input: node, rules: ruleList(rules) }),
    filter: (name, predicate) => next({ kind: 'filter', name, input: node, predicate }),
    map: (name, schema, transform) => next({ kind: 'map', name, input: node, schema, transform }),
    dedupe: (name, options) => {
      const { by, within } = given(options)
      return next({ kind: 'dedupe', name, input: node, by: fieldList(by), withinMs: within as Duration })
    },
    unique: (name, options) => {
      const { by, within, allowedLateness, late } = given(options)
      return uniqueStream({
        kind: 'unique',
        name,
        input: node,
        by: fieldList(by),
        withinMs: within as Duration,
        allowedLatenessMs: allowedLateness as Duration,
        late: late ?? 'dead-letter',
      })
    },
    keyBy: (...keys) => keyedStream(node, keySpecs(keys)),
  }
}

function next<Row, Kinds>(node: RowNode): RowStream<Row, Kinds> {
  throwProblems(checkStep(node))
  return rowStream(node)
}

function uniqueStream<Row, Kinds, Late extends LatePolicy>(node: UniqueNode): UniqueStream<Row, Kinds, Late> {
  throwProblems(checkStep(node))
  return { node, late: lateRows(node), keyBy: (...keys) => resultKeyedStream(node, keySpecs(keys)) }
}

function keyedStream<Row, Kinds, Key>(
  input: RowNode,
  keyBy: readonly KeySpec[],
): KeyedStream<Row, Kinds, Key> {
  // One function for the overloads, which differ in types alone.
  return {
    window: (window: never, options?: never) => windowed(input, keyBy, window, options),
  } as KeyedStream<Row, Kinds, Key>
}

/** One field or several. What is no list is kept for the checks. */
function fieldList(by: unknown): readonly string[] {
  return Array.isArray(by) ? [...(by as readonly string[])] : [by as string]
}

function ruleList(rules: object): readonly ExpectRule[] {
  return Object.entries<FieldRule<never> | readonly FieldRule<never>[] | undefined>(
    rules as Record<string, FieldRule<never>>,
  ).flatMap(([field, ruleOrRules]) => {
    if (ruleOrRules === undefined) return []
    const list = Array.isArray(ruleOrRules) ? ruleOrRules : [ruleOrRules]
    return list.map((rule) => ({ field, rule: rule as Rule }))
  })
}
