import type { AnyKind, At, NumericKind, OrderedKind, PathOf, SumKind } from './kinds.ts'
import type { AggregateSpec } from './node.ts'

/** One column of a gold table. `Kind` is its Avro kind, seen by the compiler only. */
export interface AggregateColumn<Kind = unknown> {
  readonly spec: AggregateSpec
  readonly column?: Kind
}

/**
 * What a window can compute. Nulls are passed over, as in SQL; where all values of a pane are null, so is the
 * result (a count is 0).
 */
export interface Aggregators<Kinds> {
  /** Rows, or rows whose field is not null. */
  readonly count: (field?: PathOf<Kinds, AnyKind>) => AggregateColumn<'long'>
  /** Exact: int and long give a long, decimals a decimal, floats the correctly rounded sum as a double. */
  readonly sum: <Path extends PathOf<Kinds, NumericKind>>(
    field: Path,
  ) => AggregateColumn<SumKind<At<Kinds, Path>>>
  readonly min: <Path extends PathOf<Kinds, OrderedKind>>(field: Path) => AggregateColumn<At<Kinds, Path>>
  readonly max: <Path extends PathOf<Kinds, OrderedKind>>(field: Path) => AggregateColumn<At<Kinds, Path>>
  /** A double: the exact sum divided by the count. */
  readonly avg: (field: PathOf<Kinds, NumericKind>) => AggregateColumn<'double'>
}

/** One object serves every schema: the types live in the caller. */
export const aggregators: Aggregators<unknown> = {
  count: (field?: string) => ({ spec: { kind: 'count', field: field ?? null } }),
  sum: (field: string) => ({ spec: { kind: 'sum', field } }),
  min: (field: string) => ({ spec: { kind: 'min', field } }),
  max: (field: string) => ({ spec: { kind: 'max', field } }),
  avg: (field: string) => ({ spec: { kind: 'avg', field } }),
}

/** Columns that every gold table has. */
export interface GoldColumns {
  readonly window_start: 'timestamp-millis'
  readonly window_end: 'timestamp-millis'
  readonly revision: 'int'
}

/** The columns a program asks for: any name but those every gold table has. */
export type AggregateColumns = Readonly<Record<string, AggregateColumn>> & {
  readonly [Name in keyof GoldColumns]?: never
}

/** From column objects to kinds. */
export type KindsOfColumns<Columns> = {
  readonly [Name in keyof Columns]: Columns[Name] extends AggregateColumn<infer Kind> ? Kind : never
}
