import { fieldsOf } from '../avro/fields.ts'
import { parseAvroSchema } from '../avro/schema-model.ts'
import type { ColumnType, Field } from '../columns/column-type.ts'
import { assert, unreachable } from '../errors.ts'
import { findField, isProblem } from './field-lookup.ts'
import { keyColumnName } from './key.ts'
import type { AggregateNode, AggregateSpec, KeySpec, ResultNode, RowNode, TableNode } from './node.ts'
import { type AggregateFields, fieldOfType, resultFieldOf } from './result-field.ts'
import type { AvroSchema } from './schema.ts'

/** Schemas are values that never change, and every step of a program asks for the same few. */
const fieldsBySchema = new WeakMap<AvroSchema, readonly Field[]>()

/** The columns of a schema. Throws SCHEMA_INVALID or SCHEMA_UNSUPPORTED. */
export function schemaFields(schema: AvroSchema): readonly Field[] {
  let fields = fieldsBySchema.get(schema)
  if (fields === undefined) {
    fields = fieldsOf(parseAvroSchema(schema.avro))
    fieldsBySchema.set(schema, fields)
  }
  return fields
}

/** The fields of the rows that leave a step, or of the results that leave a window. */
export function rowFields(node: RowNode | ResultNode): readonly Field[] {
  switch (node.kind) {
    case 'source':
    case 'map':
      return schemaFields(node.schema)
    case 'late':
      return rowFields(node.input.input)
    case 'expect':
    case 'filter':
    case 'dedupe':
    case 'unique':
    case 'having':
      return rowFields(node.input)
    case 'aggregate':
      return goldFields(node)
    default:
      return unreachable(node)
  }
}

const INSTANT: ColumnType = { kind: 'timestamp', unit: 'millis', local: false }

/** Columns that bronze adds: where a record came from. */
export const BRONZE_COLUMNS: readonly Field[] = [
  { name: '_topic', type: { kind: 'string' }, nullable: false },
  { name: '_partition', type: { kind: 'int32' }, nullable: false },
  { name: '_offset', type: { kind: 'int64' }, nullable: false },
  { name: '_timestamp', type: INSTANT, nullable: false },
  { name: '_key', type: { kind: 'bytes' }, nullable: true },
  { name: '_schema_id', type: { kind: 'int32' }, nullable: true },
  {
    name: '_headers',
    type: {
      kind: 'list',
      element: {
        name: 'element',
        type: {
          kind: 'struct',
          fields: [
            { name: 'key', type: { kind: 'string' }, nullable: false },
            { name: 'value', type: { kind: 'bytes' }, nullable: true },
          ],
        },
        nullable: false,
      },
    },
    nullable: true,
  },
  { name: '_ingested_at', type: INSTANT, nullable: false },
]

/** The column that silver adds: the time of the cut. */
export const SILVER_COLUMNS: readonly Field[] = [{ name: '_processed_at', type: INSTANT, nullable: false }]

/** The columns of a table, in order, without the folders of derived partitions. */
export function tableFields({ layer, input }: TableNode): readonly Field[] {
  const fields = rowFields(input)
  if (isResult(input)) return fields
  return [...fields, ...(layer === 'bronze' ? BRONZE_COLUMNS : SILVER_COLUMNS)]
}

/** What merge tasks make. */
export function isResult(node: RowNode | ResultNode): node is ResultNode {
  return node.kind === 'aggregate' || node.kind === 'having' || node.kind === 'unique'
}

/** Key columns, window_start, window_end, aggregates, revision. Its fields must exist. */
export function goldFields(node: AggregateNode): readonly Field[] {
  const input = rowFields(node.input)
  const nullable = node.window.kind === 'global'
  return [
    ...node.keyBy.map((key) => keyField(key, input)),
    { name: 'window_start', type: INSTANT, nullable },
    { name: 'window_end', type: INSTANT, nullable },
    ...(node.window.kind === 'count' ? [WINDOW_NUMBER] : []),
    ...node.aggregates.map((aggregate) => resultFieldOf(aggregate, aggregateFields(aggregate.spec, input))),
    { name: 'revision', type: { kind: 'int32' }, nullable: false },
  ]
}

const WINDOW_NUMBER: Field = { name: 'window_number', type: { kind: 'int64' }, nullable: false }

/** The column of a key of rows with these fields. */
export function keyField(key: KeySpec, input: readonly Field[]): Field {
  if (typeof key !== 'string') return fieldOfType(key.name, key.type)
  return { ...known(input, key), name: keyColumnName(key) }
}

function aggregateFields(spec: AggregateSpec, row: readonly Field[]): AggregateFields {
  return {
    input: spec.field === null ? null : known(row, spec.field),
    by: 'by' in spec ? known(row, spec.by) : null,
    row,
  }
}

function known(fields: readonly Field[], path: string): Field {
  const field = findField(fields, path, 'aggregate')
  assert(!isProblem(field), `field ${path} was checked when the step was made`)
  return field
}
