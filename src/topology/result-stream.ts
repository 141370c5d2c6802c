import {
  type AggregateColumn,
  type AggregateColumns,
  type Aggregators,
  aggregators,
  type KindsOfColumns,
  type ValuesOfColumns,
} from './aggregate.ts'
import { checkStep } from './check-step.ts'
import { given } from './given.ts'
import { type KeyKinds, type KeyOf, type KeyRow, keySpecs } from './key.ts'
import type {
  AggregateNode,
  CountSpec,
  GlobalSpec,
  HavingNode,
  KeySpec,
  LateNode,
  LatePolicy,
  ResultNode,
  RowNode,
  UniqueNode,
  WindowSpec,
} from './node.ts'
import { throwProblems } from './problem.ts'
import {
  type FinalWindowOptions,
  type OrderedWindow,
  type ResultWindowOptions,
  type TimeWindow,
  triggerOf,
  type WindowOptions,
} from './window.ts'

/** `Key` is the union of what `keyBy` was given. */
export interface WindowedStream<Row, Kinds, Key, Window, Late extends LatePolicy> {
  /** One row per key and window. */
  aggregate<Columns extends AggregateColumns>(
    name: string,
    columns: (aggregators: Aggregators<Kinds, Row>) => Columns,
  ): AggregateStream<
    Row,
    Kinds,
    GoldKinds<Kinds, Key, Window, Columns>,
    Late,
    GoldRow<Row, Kinds, Key, Window, Columns>
  >
}

/** The columns of a gold table: key, window_start, window_end, aggregates, revision. */
export type GoldKinds<Kinds, Key, Window, Columns> = unknown extends Kinds
  ? unknown
  : Flat<
      KeyKinds<Kinds, Key> &
        (Window extends GlobalSpec
          ? { readonly window_start: 'timestamp-millis?'; readonly window_end: 'timestamp-millis?' }
          : { readonly window_start: 'timestamp-millis'; readonly window_end: 'timestamp-millis' }) &
        (Window extends CountSpec ? { readonly window_number: 'long' } : unknown) &
        KindsOfColumns<Columns> & { readonly revision: 'int' }
    >

/** A row of a gold table, as `having` and the windows above see it. */
export type GoldRow<Row, Kinds, Key, Window, Columns> = unknown extends Kinds
  ? unknown
  : Flat<
      KeyRow<Row, Key> &
        (Window extends GlobalSpec
          ? { readonly window_start: null; readonly window_end: null }
          : { readonly window_start: number; readonly window_end: number }) &
        (Window extends CountSpec ? { readonly window_number: bigint } : unknown) &
        ValuesOfColumns<Columns> & { readonly revision: number }
    >

/** One object type of an intersection, so that an editor shows its fields. */
type Flat<T> = { readonly [Name in keyof T]: T[Name] }

/** Results of windows. Immutable: every method gives a new stream. */
export interface ResultStream<ResultRow, ResultKinds> {
  readonly node: AggregateNode | HavingNode
  /** Results for which the predicate is false are left out. A throw stops the pipeline. */
  having(name: string, predicate: (row: ResultRow) => boolean): ResultStream<ResultRow, ResultKinds>
  /** Groups results for a window over them: each once, when it is final, at the event time window_end − 1 ms. */
  keyBy<const Keys extends readonly KeyOf<ResultRow, ResultKinds>[]>(
    ...keys: Keys | readonly KeyOf<ResultRow, ResultKinds>[]
  ): ResultKeyedStream<ResultRow, ResultKinds, Keys[number]>
  /** Phantoms: never present at run time. */
  readonly row?: ResultRow
  readonly result?: ResultKinds
}

/** What a gold table holds. */
export interface AggregateStream<Row, Kinds, ResultKinds, Late extends LatePolicy, ResultRow = unknown>
  extends ResultStream<ResultRow, ResultKinds> {
  readonly node: AggregateNode
  /** Rows that came too late, for a silver table. Only with `late: 'side-table'`. */
  readonly late: LateRowsOf<Row, Kinds, Late>
}

export interface LateRows<Row, Kinds> {
  readonly node: LateNode
  /** Phantoms: never present at run time. */
  readonly row?: Row
  readonly kinds?: Kinds
}

/** Late rows where they are kept. */
export type LateRowsOf<Row, Kinds, Late extends LatePolicy> = Late extends 'side-table'
  ? LateRows<Row, Kinds>
  : NoLateRows

/** What `.late` is where late rows are not kept: nothing takes it. */
export interface NoLateRows {
  readonly toKeepLateRows: "window(…, { late: 'side-table' })"
}

/** Results are never late by themselves, so that there is nothing to say of late ones. */
export interface ResultKeyedStream<Row, Kinds, Key> {
  window<const Window extends OrderedWindow>(
    window: Window,
    options?: Pick<ResultWindowOptions, 'allowedLateness'>,
  ): WindowedStream<Row, Kinds, Key, Window, 'drop'>
  window<const Window extends TimeWindow<Kinds> | GlobalSpec>(
    window: Window,
    options?: ResultWindowOptions,
  ): WindowedStream<Row, Kinds, Key, Window, 'drop'>
}

/** The methods of all windows: their overloads differ in types alone. */
export function windowed<Row, Kinds, Key, Late extends LatePolicy>(
  input: RowNode | ResultNode,
  keyBy: readonly KeySpec[],
  window: WindowSpec,
  options: Partial<WindowOptions> | null | undefined,
): WindowedStream<Row, Kinds, Key, WindowSpec, Late> {
  const { allowedLateness, late } = withDefaults(input, window, given(options))
  const trigger = triggerOf(given(options))
  return {
    aggregate: (name, columns) =>
      aggregateStream({
        kind: 'aggregate',
        name,
        input,
        keyBy,
        window,
        allowedLatenessMs: allowedLateness as number,
        late,
        ...(trigger === null ? {} : { trigger }),
        aggregates: Object.entries<AggregateColumn>(
          columns(aggregators as unknown as Aggregators<Kinds, Row>),
        ).map(([columnName, column]) => ({ name: columnName, spec: column?.spec })),
      }),
  }
}

/** No row of a global window is late, and results are not late by themselves. Elsewhere allowed lateness is for the program to choose. */
function withDefaults(
  input: RowNode | ResultNode,
  window: WindowSpec,
  { allowedLateness, late }: Partial<FinalWindowOptions>,
): { readonly allowedLateness: unknown; readonly late: LatePolicy } {
  const isOverResults = input.kind === 'aggregate' || input.kind === 'having' || input.kind === 'unique'
  return {
    allowedLateness: allowedLateness ?? (isOverResults || window?.kind === 'global' ? 0 : allowedLateness),
    late: late ?? (isOverResults ? 'drop' : 'dead-letter'),
  }
}

function aggregateStream<Row, Kinds, ResultKinds, Late extends LatePolicy, ResultRow>(
  node: AggregateNode,
): AggregateStream<Row, Kinds, ResultKinds, Late, ResultRow> {
  throwProblems(checkStep(node))
  return { ...resultStream<ResultRow, ResultKinds>(node), node, late: lateRows(node) }
}

function resultStream<ResultRow, ResultKinds>(
  node: AggregateNode | HavingNode,
): ResultStream<ResultRow, ResultKinds> {
  return {
    node,
    having: (name, predicate) => {
      const having: HavingNode = { kind: 'having', name, input: node, predicate }
      throwProblems(checkStep(having))
      return resultStream(having)
    },
    keyBy: (...keys) => resultKeyedStream(node, keySpecs(keys)),
  }
}

export function resultKeyedStream<Row, Kinds, Key>(
  input: ResultNode,
  keyBy: readonly KeySpec[],
): ResultKeyedStream<Row, Kinds, Key> {
  return {
    window: (window: never, options?: never) => windowed(input, keyBy, window, options),
  } as ResultKeyedStream<Row, Kinds, Key>
}

export function lateRows<Row, Kinds, Late extends LatePolicy>(
  input: AggregateNode | UniqueNode,
): LateRowsOf<Row, Kinds, Late> {
  const node: LateNode = { kind: 'late', input }
  return { node } satisfies LateRows<Row, Kinds> as unknown as LateRowsOf<Row, Kinds, Late>
}
