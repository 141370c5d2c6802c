import type { Column } from '../../columns/column.ts'
import type { ColumnType, Field } from '../../columns/column-type.ts'
import { assert, unreachable } from '../../errors.ts'
import type { NamedAggregate } from '../../topology/node.ts'
import { resultFieldOf } from '../../topology/result-field.ts'
import type { AggregateFields as AccumulatorFields } from '../../topology/result-field.ts'
import { BinaryExtremum } from './binary-extremum.ts'
import { ConditionalCount } from './conditional-count.ts'
import { DoubleExtremum } from './double-extremum.ts'
import { DoubleSum } from './double-sum.ts'
import { createLargeAccumulator } from './large-state.ts'
import { PlacedValue } from './placed-value.ts'
import { RankedValue } from './ranked-value.ts'
import { RowCount } from './row-count.ts'
import { Variance } from './variance.ts'
import { WordExtremum } from './word-extremum.ts'
import { WordSum } from './word-sum.ts'
import { wordsPerValue } from './words.ts'

export { resultFieldOf }
export type { AccumulatorFields }

/** What accumulators may want to know of rows beside their own column. */
export interface RowsAbout {
  /** The column of `by`, for min-by, max-by and top-k. */
  readonly by: Column | null
  /** All columns of the frame, for callbacks. */
  readonly columns: readonly Column[]
  /** By row - base: event time. */
  readonly timesMs: Float64Array
  /** By row - base: the row's place in its task's order. */
  readonly offsets: Float64Array
  readonly base: number
  /** '' for rows that are results of a window. */
  readonly task: string
}

/**
 * State of one aggregate for many panes; panes are dense indices that the pane table hands out. A result, and
 * what `write` gives, depends only on the multiset of the rows that were added: not on their order, nor on how
 * they were split into partials, nor on the order of merging.
 */
export interface Accumulator {
  /** The field of the gold table. Nullable but for `count`: of nothing but nulls the result is null. */
  readonly resultField: Field
  /** Makes room for panes 0..panes-1; new panes start empty. */
  reserve(panes: number): void
  /** Empties a pane for reuse. */
  reset(pane: number): void
  /** Adds rows[i] of the input column to panes[i], i < count. The column is null for aggregates without a field. */
  addRows(column: Column | null, rows: Int32Array, panes: Int32Array, count: number, about: RowsAbout): void
  /**
   * Only accumulators with callbacks: runs them for these rows and keeps what they gave until `addRows`, which is then
   * called with the rows that were not refused, in the same order. Nothing is added yet: another aggregate may refuse the row.
   */
  prepare?(
    rows: Int32Array,
    count: number,
    about: RowsAbout,
    refuse: (row: number, error: unknown) => void,
  ): void
  /** Folds pane `from` of another accumulator of the same spec into pane `into` of this one. */
  mergePane(other: Accumulator, from: number, into: number): void
  /** Copies pane `from` over pane `into` (compaction of the pane table). */
  movePane(from: number, into: number): void
  /**
   * Appends the result of a pane to a column made by `createColumn(resultField)`.
   * @throws PipelineError AGGREGATE_OVERFLOW, naming the aggregate, where an exact sum does not fit its type.
   */
  appendResult(pane: number, column: Column): void
  /** The state of one pane as JSON: null, numbers, strings and arrays of them; null for an empty pane. */
  write(pane: number): unknown
  /** Replaces pane by what `write` gave. The pane need not be empty. */
  read(pane: number, state: unknown): void
}

/**
 * An accumulator without panes.
 * @throws PipelineError AGGREGATE_TYPE where the aggregate has no meaning for the type of its input.
 */
export function createAccumulator(aggregate: NamedAggregate, fields: AccumulatorFields): Accumulator {
  const resultField = resultFieldOf(aggregate, fields)
  const { spec } = aggregate
  switch (spec.kind) {
    case 'count':
      return new RowCount(resultField)
    case 'sum':
    case 'avg':
    case 'min':
    case 'max':
      return createNumeric(spec.kind, resultField, inputOf(aggregate, fields).type)
    case 'count-if':
      return new ConditionalCount({ resultField, rowFields: fields.row, predicate: spec.predicate })
    case 'variance':
    case 'stddev': {
      const type = inputOf(aggregate, fields).type
      const scale = type.kind === 'decimal' ? type.scale : 0
      return new Variance({ resultField, result: spec.kind, of: spec.of, scale })
    }
    case 'first':
    case 'last':
      return new PlacedValue(resultField, spec.kind)
    case 'min-by':
    case 'max-by':
      assert(fields.by !== null, `aggregate ${aggregate.name} has no field to go by`)
      return new RankedValue({ resultField, by: fields.by, kind: spec.kind })
    case 'count-distinct':
    case 'quantile':
    case 'quantiles':
    case 'top-k':
    case 'most-frequent':
    case 'collect':
    case 'custom':
      return createLargeAccumulator(aggregate, resultField, fields)
    default:
      return unreachable(spec)
  }
}

function createNumeric(
  kind: 'sum' | 'avg' | 'min' | 'max',
  resultField: Field,
  type: ColumnType,
): Accumulator {
  const words = wordsPerValue(type)
  if (kind === 'sum' || kind === 'avg') {
    if (words === 0) return new DoubleSum({ resultField, result: kind })
    const scale = type.kind === 'decimal' ? type.scale : 0
    return new WordSum({ resultField, result: kind, words, scale })
  }
  if (words !== 0) return new WordExtremum({ resultField, extremum: kind, words })
  if (type.kind === 'float32' || type.kind === 'float64') return new DoubleExtremum(resultField, kind)
  return new BinaryExtremum(resultField, kind)
}

function inputOf({ name }: NamedAggregate, { input }: AccumulatorFields): Field {
  assert(input !== null, `aggregate ${name} has no input field`)
  return input
}
