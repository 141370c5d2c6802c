import {
  type AggregateColumn,
  type AggregateColumns,
  type Aggregators,
  aggregators,
  type GoldColumns,
  type KindsOfColumns,
} from './aggregate.ts'
import type { Duration } from './duration.ts'
import type { At, ColumnName, FieldOf, GroupableKind, InstantKind, PathOf } from './kinds.ts'
import type {
  AggregateNode,
  ExpectRule,
  LateNode,
  LatePolicy,
  RowNode,
  Rule,
  SourceNode,
  WatermarkSpec,
  WindowSpec,
} from './node.ts'
import type { ExpectRules, FieldRule } from './rule.ts'
import type { AvroSchema } from './schema.ts'
import { checkStep } from './check-step.ts'
import { throwProblems } from './problem.ts'
import type { WindowOptions } from './window.ts'

export interface StreamOptions<Kinds> {
  /** The field that says when the event happened. */
  readonly eventTime: FieldOf<Kinds, InstantKind>
  readonly watermark: WatermarkSpec
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
  /** Groups rows by one field or more. Null is a key like any other. */
  keyBy<Path extends PathOf<Kinds, GroupableKind>>(
    ...fields: readonly [Path, ...Path[]]
  ): KeyedStream<Row, Kinds, Path>
}

/** The rows of a topic as they arrive: what a bronze table holds. */
export interface SourceStream<Row, Kinds> extends RowStream<Row, Kinds> {
  readonly node: SourceNode
}

export interface DedupeOptions<Kinds> {
  readonly by: PathOf<Kinds, GroupableKind> | readonly PathOf<Kinds, GroupableKind>[]
  readonly within: Duration
}

export interface KeyedStream<Row, Kinds, Path extends string> {
  window<Late extends LatePolicy = 'dead-letter'>(
    window: WindowSpec,
    options: WindowOptions<Late>,
  ): WindowedStream<Row, Kinds, Path, Late>
}

export interface WindowedStream<Row, Kinds, Path extends string, Late extends LatePolicy> {
  /** One row per key and window. */
  aggregate<Columns extends AggregateColumns>(
    name: string,
    columns: (aggregators: Aggregators<Kinds>) => Columns,
  ): AggregateStream<Row, Kinds, GoldKinds<Kinds, Path, Columns>, Late>
}

/** The columns of a gold table: key, window_start, window_end, aggregates, revision. */
export type GoldKinds<Kinds, Path extends string, Columns> = unknown extends Kinds
  ? unknown
  : GoldColumns & { readonly [P in Path as ColumnName<P>]: At<Kinds, P> } & KindsOfColumns<Columns>

/** Results of windows: what a gold table holds. */
export interface AggregateStream<Row, Kinds, ResultKinds, Late extends LatePolicy> {
  readonly node: AggregateNode
  /** Rows that came too late, for a silver table. Only with `late: 'side-table'`. */
  readonly late: Late extends 'side-table' ? LateRows<Row, Kinds> : NoLateRows
  /** A phantom: never present at run time. */
  readonly result?: ResultKinds
}

export interface LateRows<Row, Kinds> {
  readonly node: LateNode
  /** Phantoms: never present at run time. */
  readonly row?: Row
  readonly kinds?: Kinds
}

/** What `.late` is where late rows are not kept: nothing takes it. */
export interface NoLateRows {
  readonly toKeepLateRows: "window(…, { late: 'side-table' })"
}

/**
 * The stream of a topic. Windows and dedupe need an event time; without the options the stream has none.
 * Throws PipelineError where a name, a field or an option is wrong.
 */
export function stream<Row, Kinds>(
  name: string,
  schema: AvroSchema<Row, Kinds>,
  options?: StreamOptions<Kinds>,
): SourceStream<Row, Kinds> {
  const node: SourceNode = {
    kind: 'source',
    name,
    schema,
    eventTime: options?.eventTime ?? null,
    watermark: options?.watermark ?? null,
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
    dedupe: (name, { by, within }) =>
      next({
        kind: 'dedupe',
        name,
        input: node,
        by: Array.isArray(by) ? [...by] : [by],
        withinMs: within,
      }),
    keyBy: (...fields) => keyedStream(node, [...fields]),
  }
}

function next<Row, Kinds>(node: RowNode): RowStream<Row, Kinds> {
  throwProblems(checkStep(node))
  return rowStream(node)
}

function keyedStream<Row, Kinds, Path extends string>(
  input: RowNode,
  keyBy: readonly string[],
): KeyedStream<Row, Kinds, Path> {
  return {
    window: (window, { allowedLateness, late }) => ({
      aggregate: (name, columns) =>
        aggregateStream({
          kind: 'aggregate',
          name,
          input,
          keyBy,
          window,
          allowedLatenessMs: allowedLateness,
          late: late ?? 'dead-letter',
          aggregates: Object.entries<AggregateColumn>(
            columns(aggregators as unknown as Aggregators<Kinds>),
          ).map(([columnName, column]) => ({
            name: columnName,
            spec: column.spec,
          })),
        }),
    }),
  }
}

function aggregateStream<Row, Kinds, ResultKinds, Late extends LatePolicy>(
  node: AggregateNode,
): AggregateStream<Row, Kinds, ResultKinds, Late> {
  throwProblems(checkStep(node))
  const late: LateRows<Row, Kinds> = { node: { kind: 'late', input: node } }
  return { node, late: late as AggregateStream<Row, Kinds, ResultKinds, Late>['late'] }
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
