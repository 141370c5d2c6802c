import { fieldsOf } from '../avro/fields.ts'
import { parseAvroSchema } from '../avro/schema-model.ts'
import type { ColumnType, Field } from '../columns/column-type.ts'
import { assert, unreachable } from '../errors.ts'
import { findField, isProblem } from './field-lookup.ts'
import type { AggregateNode, AggregateSpec, RowNode, TableNode } from './node.ts'
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

/** The fields of the rows that leave a step. */
export function rowFields(node: RowNode): readonly Field[] {
  return schemaFields(schemaOf(node))
}

/** The schema of the rows that leave a step: that of the last map, or of the source. */
export function schemaOf(node: RowNode): AvroSchema {
  switch (node.kind) {
    case 'source':
    case 'map':
      return node.schema
    case 'late':
      return schemaOf(node.input.input)
    case 'expect':
    case 'filter':
    case 'dedupe':
      return schemaOf(node.input)
    default:
      return unreachable(node)
  }
}

const INSTANT: ColumnType = { kind: 'timestamp', unit: 'millis', local: false }
/** The most digits that a table holds. */
const DECIMAL_PRECISION_MAX = 38

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
export function tableFields(table: TableNode): readonly Field[] {
  const { input } = table
  if (input.kind === 'aggregate') return goldFields(input)
  return [...rowFields(input), ...(table.layer === 'bronze' ? BRONZE_COLUMNS : SILVER_COLUMNS)]
}

/** key columns, window_start, window_end, aggregates, revision. Its fields must exist. */
export function goldFields(node: AggregateNode): readonly Field[] {
  const input = rowFields(node.input)
  return [
    ...node.keyBy.map((path) => ({ ...known(input, path), name: keyColumnName(path) })),
    { name: 'window_start', type: INSTANT, nullable: false },
    { name: 'window_end', type: INSTANT, nullable: false },
    ...node.aggregates.map(({ name, spec }) => aggregateField(name, spec, input)),
    { name: 'revision', type: { kind: 'int32' }, nullable: false },
  ]
}

/** 'pickup.zone' is the column 'pickup_zone', because a dot in a column name breaks SQL. */
export function keyColumnName(path: string): string {
  return path.replaceAll('.', '_')
}

function aggregateField(name: string, spec: AggregateSpec, input: readonly Field[]): Field {
  if (spec.kind === 'count') return { name, type: { kind: 'int64' }, nullable: false }
  const { type } = known(input, spec.field)
  // Nullable whatever the input is, so that a field may become nullable without changing the table.
  switch (spec.kind) {
    case 'sum':
      return { name, type: sumType(type), nullable: true }
    case 'avg':
      return { name, type: { kind: 'float64' }, nullable: true }
    case 'min':
    case 'max':
      return { name, type, nullable: true }
    default:
      return unreachable(spec)
  }
}

function sumType(type: ColumnType): ColumnType {
  if (type.kind === 'decimal') return { kind: 'decimal', precision: DECIMAL_PRECISION_MAX, scale: type.scale }
  return type.kind === 'int32' || type.kind === 'int64' ? { kind: 'int64' } : { kind: 'float64' }
}

function known(fields: readonly Field[], path: string): Field {
  const field = findField(fields, path, 'aggregate')
  assert(!isProblem(field), `field ${path} was checked when the step was made`)
  return field
}
