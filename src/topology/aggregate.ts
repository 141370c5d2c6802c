import type { Decimal } from '../columns/decimal.ts'
import type { AvroTypeText, KindOfType, ValueOfType } from './avro-type.ts'
import { given } from './given.ts'
import type { AnyKind, At, NumericKind, OrderedKind, PathOf, ScalarKind, SumKind } from './kinds.ts'
import type { AggregateSpec } from './node.ts'

/** One column of a gold table. `Kind` is its Avro kind, `Value` what a callback sees; both are known to the compiler only. */
export interface AggregateColumn<Kind = unknown, Value = unknown> {
  readonly spec: AggregateSpec
  readonly column?: Kind
  readonly value?: Value
}

/** Values of a field, without null. */
type ValueAt<Row, Path> = NonNullable<At<Row, Path>>

type SumValue<Kind> =
  SumKind<Kind> extends 'long' ? bigint : SumKind<Kind> extends 'decimal' ? Decimal : number

/** The column of a field, and of an array of its values; null where no row had one. */
type FieldColumn<Row, Kinds, Path> = AggregateColumn<At<Kinds, Path>, ValueAt<Row, Path> | null>
type ArrayColumn<Row, Path> = AggregateColumn<'array', readonly ValueAt<Row, Path>[] | null>
type DoubleColumn = AggregateColumn<'double', number | null>

/**
 * What a window can compute. Nulls are passed over, as in SQL; where all values of a pane are null, so is the
 * result (a count is 0). A result depends on the set of the rows alone. Rows of one event time are told apart by their place in the input.
 */
export interface Aggregators<Kinds, Row = unknown> {
  /** Rows, or rows whose field is not null. */
  readonly count: (field?: PathOf<Kinds, AnyKind>) => AggregateColumn<'long', bigint>
  /** Rows for which the predicate is true. */
  readonly countIf: (predicate: (row: Row) => boolean) => AggregateColumn<'long', bigint>
  /** Exact: int and long give a long, decimals a decimal, floats the correctly rounded sum as a double. */
  readonly sum: <Path extends PathOf<Kinds, NumericKind>>(
    field: Path,
  ) => AggregateColumn<SumKind<At<Kinds, Path>>, SumValue<At<Kinds, Path>> | null>
  readonly min: <Path extends PathOf<Kinds, OrderedKind>>(field: Path) => FieldColumn<Row, Kinds, Path>
  readonly max: <Path extends PathOf<Kinds, OrderedKind>>(field: Path) => FieldColumn<Row, Kinds, Path>
  /** A double: the exact sum divided by the count. */
  readonly avg: (field: PathOf<Kinds, NumericKind>) => DoubleColumn
  /** A double. Of the sample (divided by n − 1, as in SQL: null for one value) unless `of: 'population'`. */
  readonly variance: (field: PathOf<Kinds, NumericKind>, options?: SpreadOptions) => DoubleColumn
  /** The square root of the variance. */
  readonly stddev: (field: PathOf<Kinds, NumericKind>, options?: SpreadOptions) => DoubleColumn
  /** The value of the row with the least event time. */
  readonly first: <Path extends PathOf<Kinds, ScalarKind>>(field: Path) => FieldColumn<Row, Kinds, Path>
  /** The value of the row with the greatest event time. */
  readonly last: <Path extends PathOf<Kinds, ScalarKind>>(field: Path) => FieldColumn<Row, Kinds, Path>
  /** The value of the row whose `by` is smallest; of several, of the first by event time. */
  readonly minBy: <Path extends PathOf<Kinds, ScalarKind>>(
    field: Path,
    by: PathOf<Kinds, OrderedKind>,
  ) => FieldColumn<Row, Kinds, Path>
  /** The value of the row whose `by` is greatest; of several, of the first by event time. */
  readonly maxBy: <Path extends PathOf<Kinds, ScalarKind>>(
    field: Path,
    by: PathOf<Kinds, OrderedKind>,
  ) => FieldColumn<Row, Kinds, Path>
  /** How many different values: exact up to `exactMax` (default 1,000) in a window, estimated by HyperLogLog beyond. */
  readonly countDistinct: (
    field: PathOf<Kinds, ScalarKind>,
    options?: CountDistinctOptions,
  ) => AggregateColumn<'long', bigint>
  /** A double that is within `accuracy` (default 0.01, one percent) of the value at that rank. DDSketch. */
  readonly quantile: (field: PathOf<Kinds, NumericKind>, q: number, options?: QuantileOptions) => DoubleColumn
  /** quantile(field, 0.5). */
  readonly median: (field: PathOf<Kinds, NumericKind>, options?: QuantileOptions) => DoubleColumn
  /** Several of one sketch: an array of doubles in the order of `qs`. */
  readonly quantiles: (
    field: PathOf<Kinds, NumericKind>,
    qs: readonly number[],
    options?: QuantileOptions,
  ) => AggregateColumn<'array', readonly number[] | null>
  /** An array of the values of the k rows whose `by` is greatest, greatest first. */
  readonly topK: <Path extends PathOf<Kinds, ScalarKind>>(
    field: Path,
    options: { readonly k: number; readonly by: PathOf<Kinds, OrderedKind> },
  ) => ArrayColumn<Row, Path>
  /** An array of the k values that most rows have, most frequent first. Exact. */
  readonly mostFrequent: <Path extends PathOf<Kinds, ScalarKind>>(
    field: Path,
    options: MostFrequentOptions,
  ) => ArrayColumn<Row, Path>
  /** An array of the values of the first `max` rows by event time. */
  readonly collect: <Path extends PathOf<Kinds, ScalarKind>>(
    field: Path,
    options: { readonly max: number },
  ) => ArrayColumn<Row, Path>
  /** An aggregate of your own. */
  readonly custom: <State, const Type extends AvroTypeText>(
    aggregate: CustomAggregate<Row, State, Type>,
  ) => AggregateColumn<KindOfType<Type>, ValueOfType<Type>>
}

export interface SpreadOptions {
  /** Default: 'sample'. */
  readonly of?: 'sample' | 'population'
}

export interface CountDistinctOptions {
  /** So many different values in a window are counted exactly, at the cost of keeping each. Default: 1,000. */
  readonly exactMax?: number
}

export interface QuantileOptions {
  /** Relative error of the result. Default: 0.01. */
  readonly accuracy?: number
}

export interface MostFrequentOptions {
  readonly k: number
  /** A window with more different values than this stops the pipeline. Default: 10,000. */
  readonly distinctMax?: number
}

/**
 * States are JSON values: they go through checkpoints. `merge` is associative and commutative, and `init()` its neutral element. None of the functions changes its
 * arguments or looks at anything else. Rows for which `add` throws are dead letters 'processing'; a throw of `merge` or `result` stops the pipeline.
 */
export interface CustomAggregate<Row, State, Type> {
  /** Avro type of the result. */
  readonly type: Type
  readonly init: () => State
  readonly add: (state: NoInfer<State>, row: Row) => NoInfer<State>
  readonly merge: (left: NoInfer<State>, right: NoInfer<State>) => NoInfer<State>
  readonly result: (state: NoInfer<State>) => NoInfer<ValueOfType<Type>>
}

export const EXACT_MAX_DEFAULT = 1_000
const ACCURACY_DEFAULT = 0.01
/** Some hundred kilobytes of a window. */
const DISTINCT_MAX_DEFAULT = 10_000

const quantile = (field: string, q: number, { accuracy = ACCURACY_DEFAULT }: QuantileOptions = {}) => ({
  spec: { kind: 'quantile' as const, field, q, accuracy },
})

/** One object serves every schema: the types live in the caller. */
export const aggregators: Aggregators<unknown> = {
  count: (field) => ({ spec: { kind: 'count', field: field ?? null } }),
  countIf: (predicate) => ({ spec: { kind: 'count-if', field: null, predicate } }),
  sum: (field) => ({ spec: { kind: 'sum', field } }),
  min: (field: string) => ({ spec: { kind: 'min', field } }),
  max: (field: string) => ({ spec: { kind: 'max', field } }),
  avg: (field) => ({ spec: { kind: 'avg', field } }),
  variance: (field, { of = 'sample' } = {}) => ({ spec: { kind: 'variance', field, of } }),
  stddev: (field, { of = 'sample' } = {}) => ({ spec: { kind: 'stddev', field, of } }),
  first: (field: string) => ({ spec: { kind: 'first', field } }),
  last: (field: string) => ({ spec: { kind: 'last', field } }),
  minBy: (field: string, by: string) => ({ spec: { kind: 'min-by', field, by } }),
  maxBy: (field: string, by: string) => ({ spec: { kind: 'max-by', field, by } }),
  countDistinct: (field, { exactMax = EXACT_MAX_DEFAULT } = {}) => ({
    spec: { kind: 'count-distinct', field, exactMax },
  }),
  quantile,
  median: (field, options) => quantile(field, 0.5, options),
  quantiles: (field, qs, { accuracy = ACCURACY_DEFAULT } = {}) => ({
    spec: { kind: 'quantiles', field, qs: Array.isArray(qs) ? [...qs] : qs, accuracy },
  }),
  topK: (field: string, options: { k: number; by: string }) => {
    const { k, by } = given(options) as typeof options
    return { spec: { kind: 'top-k', field, by, k } }
  },
  mostFrequent: (field: string, options: MostFrequentOptions) => {
    const { k, distinctMax = DISTINCT_MAX_DEFAULT } = given(options) as MostFrequentOptions
    return { spec: { kind: 'most-frequent', field, k, distinctMax } }
  },
  collect: (field: string, options: { max: number }) => {
    const { max } = given(options) as typeof options
    return { spec: { kind: 'collect', field, max } }
  },
  custom: (aggregate) => {
    const { type, init, add, merge, result } = given(aggregate) as typeof aggregate
    return { spec: { kind: 'custom', field: null, type, init, add, merge, result } }
  },
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

/** From column objects to values. */
export type ValuesOfColumns<Columns> = {
  readonly [Name in keyof Columns]: Columns[Name] extends AggregateColumn<unknown, infer Value>
    ? Value
    : never
}
