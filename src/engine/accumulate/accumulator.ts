import type { Column } from '../../columns/column.ts'
import type { ColumnType, Field } from '../../columns/column-type.ts'
import { PipelineError, assert, unreachable } from '../../errors.ts'
import type { AggregateSpec, NamedAggregate } from '../../topology/node.ts'
import { BinaryExtremum } from './binary-extremum.ts'
import { DoubleExtremum } from './double-extremum.ts'
import { DoubleSum } from './double-sum.ts'
import { RowCount } from './row-count.ts'
import { WordExtremum } from './word-extremum.ts'
import { WordSum } from './word-sum.ts'
import { wordsPerValue } from './words.ts'

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
  /** Adds rows[i] of the input column to panes[i], i < count. The column is null only for `count` of rows. */
  addRows(column: Column | null, rows: Int32Array, panes: Int32Array, count: number): void
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

/** An accumulator without panes. `inputField` is null only for `count` of rows. */
export function createAccumulator(aggregate: NamedAggregate, inputField: Field | null): Accumulator {
  const resultField = resultFieldOf(aggregate, inputField)
  const kind = aggregate.spec.kind
  if (kind === 'count') return new RowCount(resultField)

  assert(inputField !== null, `aggregate ${aggregate.name} has no input field`)
  const type = inputField.type
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

/**
 * The field of the gold table that an aggregate gives.
 * @throws PipelineError AGGREGATE_TYPE where the aggregate has no meaning for the type of its input.
 */
export function resultFieldOf(aggregate: NamedAggregate, inputField: Field | null): Field {
  const { name, spec } = aggregate
  if (spec.kind === 'count') return { name, type: { kind: 'int64' }, nullable: false }
  assert(inputField !== null, `aggregate ${name} has no input field`)
  const type = resultTypeOf(spec.kind, inputField.type)
  if (type === null) throw unsupported(aggregate, inputField)
  return { name, type, nullable: true }
}

function resultTypeOf(kind: Exclude<AggregateSpec['kind'], 'count'>, input: ColumnType): ColumnType | null {
  switch (input.kind) {
    case 'int32':
    case 'int64':
      if (kind === 'sum') return { kind: 'int64' }
      return kind === 'avg' ? { kind: 'float64' } : input
    case 'float32':
    case 'float64':
      return kind === 'sum' || kind === 'avg' ? { kind: 'float64' } : input
    case 'decimal':
      if (kind === 'sum') return { kind: 'decimal', precision: 38, scale: input.scale }
      return kind === 'avg' ? { kind: 'float64' } : input
    case 'date':
    case 'time':
    case 'timestamp':
    case 'string':
    case 'bytes':
      return kind === 'sum' || kind === 'avg' ? null : input
    case 'boolean':
    case 'fixed':
    case 'enum':
    case 'list':
    case 'map':
    case 'struct':
      return null
    default:
      return unreachable(input)
  }
}

function unsupported(aggregate: NamedAggregate, field: Field): PipelineError {
  const { kind } = aggregate.spec
  const takes =
    kind === 'sum' || kind === 'avg'
      ? 'int, long, float, double and decimal'
      : 'numbers, dates, times, timestamps, strings and bytes'
  const advice =
    field.type.kind === 'enum' && (kind === 'min' || kind === 'max')
      ? 'An enum has no order but that of its symbols in the schema; map it to a string or an int first.'
      : `${kind} takes ${takes}. Aggregate another field, or map this one first.`
  return new PipelineError(
    'AGGREGATE_TYPE',
    `aggregate ${aggregate.name}: ${kind} of field ${field.name} of type ${field.type.kind} has no meaning`,
    { advice },
  )
}
