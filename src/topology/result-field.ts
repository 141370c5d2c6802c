import { fieldsOf } from '../avro/fields.ts'
import { parseAvroSchema } from '../avro/schema-model.ts'
import type { ColumnType, Field } from '../columns/column-type.ts'
import { PipelineError, assert, unreachable } from '../errors.ts'
import { anyTypeText, isNumeric, isOrdered, isScalar } from './field-lookup.ts'
import type { AggregateSpec, NamedAggregate } from './node.ts'

/** The fields that an aggregate reads: null where it takes none. */
export interface AggregateFields {
  readonly input: Field | null
  /** Of `by`, for min-by, max-by and top-k. */
  readonly by: Field | null
  /** All fields of the row, for callbacks. */
  readonly row: readonly Field[]
}

/**
 * The column that an aggregate gives. Counts are never null. Everything else is null where no row had a value, whatever the input is, so that a
 * field may become nullable without changing the table.
 * @throws PipelineError AGGREGATE_TYPE where the aggregate has no meaning for the type of its input.
 */
export function resultFieldOf(aggregate: NamedAggregate, fields: AggregateFields): Field {
  const { name, spec } = aggregate
  const refusal = aggregateRefusal(spec, fields)
  if (refusal !== null) {
    const { refused, advice } = refusal
    const what = `${spec.kind} of field ${refused.name}, ${anyTypeText(refused.type)}, has no meaning`
    throw new PipelineError('AGGREGATE_TYPE', `aggregate ${name}: ${what}`, { advice })
  }
  switch (spec.kind) {
    case 'count':
    case 'count-if':
    case 'count-distinct':
      return { name, type: { kind: 'int64' }, nullable: false }
    case 'sum':
      return { name, type: sumType(inputOf(spec, fields)), nullable: true }
    case 'avg':
    case 'variance':
    case 'stddev':
    case 'quantile':
      return { name, type: DOUBLE, nullable: true }
    case 'quantiles':
      return { name, type: listOf(DOUBLE), nullable: true }
    case 'min':
    case 'max':
    case 'first':
    case 'last':
    case 'min-by':
    case 'max-by':
      return { name, type: inputOf(spec, fields), nullable: true }
    case 'top-k':
    case 'most-frequent':
    case 'collect':
      return { name, type: listOf(inputOf(spec, fields)), nullable: true }
    case 'custom':
      return fieldOfType(name, spec.type)
    default:
      return unreachable(spec)
  }
}

/** The field whose type an aggregate cannot take, and what to do; null where it has a meaning. */
export function aggregateRefusal(
  { kind }: AggregateSpec,
  { input, by }: AggregateFields,
): { readonly refused: Field; readonly advice: string } | null {
  const takes = takenBy(kind)
  if (input !== null && !takes.test(input.type)) {
    return { refused: input, advice: `${kind} takes ${takes.text}.${enumAdvice(input, takes)}` }
  }
  if (by === null || isOrdered(by.type)) return null
  return { refused: by, advice: `by takes ${ORDER.text}.${enumAdvice(by, ORDER)}` }
}

function enumAdvice({ type }: Field, takes: Taken): string {
  if (type.kind !== 'enum' || takes !== ORDER) return ''
  return ' An enum has no order but that of its symbols in the schema; map it to a string or an int first.'
}

/** A column of an Avro type given as JSON: of a computed key, of a custom aggregate. Throws SCHEMA_INVALID or SCHEMA_UNSUPPORTED. */
export function fieldOfType(name: string, type: unknown): Field {
  // The name is put in afterwards: names of columns are checked elsewhere, with messages of their own.
  const record = { type: 'record', name: 'Wrapper', namespace: 'millrace', fields: [{ name: 'value', type }] }
  return { ...fieldsOf(parseAvroSchema(record))[0]!, name }
}

const DOUBLE: ColumnType = { kind: 'float64' }
/** The most digits that a table holds. */
const DECIMAL_PRECISION_MAX = 38

function listOf(type: ColumnType): ColumnType {
  return { kind: 'list', element: { name: 'element', type, nullable: false } }
}

function sumType(type: ColumnType): ColumnType {
  if (type.kind === 'decimal') return { kind: 'decimal', precision: DECIMAL_PRECISION_MAX, scale: type.scale }
  return type.kind === 'int32' || type.kind === 'int64' ? { kind: 'int64' } : DOUBLE
}

function inputOf(spec: AggregateSpec, { input }: AggregateFields): ColumnType {
  assert(input !== null, `${spec.kind} has no input field`)
  return input.type
}

interface Taken {
  readonly test: (type: ColumnType) => boolean
  readonly text: string
}

const ANYTHING: Taken = { test: () => true, text: 'any field' }
const NUMBERS: Taken = { test: isNumeric, text: 'int, long, float, double and decimal' }
const ORDER: Taken = { test: isOrdered, text: 'numbers, dates, times, timestamps, strings and bytes' }
const SCALARS: Taken = { test: isScalar, text: 'everything but arrays, maps, records and unions' }

function takenBy(kind: AggregateSpec['kind']): Taken {
  switch (kind) {
    case 'count':
    case 'count-if':
    case 'custom':
      return ANYTHING
    case 'sum':
    case 'avg':
    case 'variance':
    case 'stddev':
    case 'quantile':
    case 'quantiles':
      return NUMBERS
    case 'min':
    case 'max':
      return ORDER
    case 'first':
    case 'last':
    case 'min-by':
    case 'max-by':
    case 'count-distinct':
    case 'top-k':
    case 'most-frequent':
    case 'collect':
      return SCALARS
    default:
      return unreachable(kind)
  }
}
