import type { ColumnType, Field } from '../columns/column-type.ts'
import { PipelineError, unreachable } from '../errors.ts'
import { checkDefault } from './default-value.ts'
import type { AvroType, FixedType, PrimitiveType, RecordType, UnionType } from './schema-model.ts'
import { typeName } from './schema-model.ts'

/**
 * The columns of a reader's record schema. docs/types.md has the table.
 *
 * Throws SCHEMA_UNSUPPORTED, with the path of the field, for what no table can hold: recursive schemas, fields that
 * can only be null, decimals of more than 38 digits, durations, records without fields, fixed(0), names that differ
 * only by case. Throws SCHEMA_INVALID where a default does not fit its field.
 */
export function fieldsOf(schema: AvroType): readonly Field[] {
  if (schema.kind !== 'record') {
    throw new PipelineError(
      'SCHEMA_UNSUPPORTED',
      `the schema is of type ${typeName(schema)}, and a row is a record`,
      {
        advice: 'Wrap it: { "type": "record", "name": …, "fields": [{ "name": "value", "type": … }] }.',
      },
    )
  }
  return recordFields(schema, { path: '', enclosing: [], columns: { count: 0 } })
}

/** More leaf columns than any table has; a few nested references multiply quickly. */
const COLUMNS_MAX = 10_000

interface Position {
  readonly path: string
  readonly enclosing: readonly RecordType[]
  readonly columns: { count: number }
}

function recordFields(record: RecordType, position: Position): readonly Field[] {
  if (position.enclosing.includes(record))
    throw unsupported(position, `contains itself (record ${record.name})`)
  if (record.fields.length === 0) throw unsupported(position, `is a record (${record.name}) without fields`)
  const inner = { ...position, enclosing: [...position.enclosing, record] }
  const fields = record.fields.map((field) => {
    const at = { ...inner, path: position.path === '' ? field.name : `${position.path}.${field.name}` }
    const column = fieldOf(field.name, field.type, at)
    if (field.default !== undefined) checkDefault(field.type, field.default, at.path)
    return column
  })
  refuseSameNames(fields, position)
  return fields
}

function fieldOf(name: string, type: AvroType, position: Position): Field {
  if (type.kind !== 'union') return { name, type: columnType(type, position), nullable: false }
  const nullable = type.branches.some((branch) => branch.kind === 'null')
  const [only, ...others] = type.branches.filter((branch) => branch.kind !== 'null')
  if (only === undefined) throw unsupported(position, 'can only be null')
  if (others.length === 0) return { name, type: columnType(only, position), nullable }
  return { name, type: unionColumn(type, position), nullable }
}

/** A union of several types is a struct with a child for each, of which one is present. */
function unionColumn(union: UnionType, position: Position): ColumnType {
  const fields = union.branches
    .filter((branch) => branch.kind !== 'null')
    .map((branch): Field => {
      const name = typeName(branch)
      const at = { ...position, path: `${position.path}.${name}` }
      return { name, type: columnType(branch, at), nullable: true }
    })
  refuseSameNames(fields, position)
  return { kind: 'struct', fields, union: true }
}

function columnType(type: AvroType, position: Position): ColumnType {
  position.columns.count++
  if (position.columns.count > COLUMNS_MAX) {
    throw unsupported(position, `is beyond the limit of ${COLUMNS_MAX} columns`)
  }
  switch (type.kind) {
    case 'record':
      return { kind: 'struct', fields: recordFields(type, position) }
    case 'array':
      return {
        kind: 'list',
        element: fieldOf('element', type.items, { ...position, path: `${position.path}[]` }),
      }
    case 'map':
      return {
        kind: 'map',
        value: fieldOf('value', type.values, { ...position, path: `${position.path}{}` }),
      }
    case 'enum':
      return { kind: 'enum', symbols: type.symbols }
    case 'fixed':
      return fixedColumn(type, position)
    case 'union':
      throw unsupported(position, 'is a union directly inside a union')
    case 'null':
      throw unsupported(position, 'can only be null')
    case 'boolean':
      return { kind: 'boolean' }
    case 'int':
      return intColumn(type)
    case 'long':
      return longColumn(type)
    case 'float':
      return { kind: 'float32' }
    case 'double':
      return { kind: 'float64' }
    case 'string':
      return { kind: 'string' }
    case 'bytes':
      return type.logical?.kind === 'decimal' ? decimalColumn(type.logical, position) : { kind: 'bytes' }
    default:
      return unreachable(type)
  }
}

function fixedColumn({ logical, size }: FixedType, position: Position): ColumnType {
  if (logical?.kind === 'decimal') return decimalColumn(logical, position)
  if (logical?.kind === 'uuid') return { kind: 'string' }
  if (logical?.kind === 'duration') {
    throw unsupported(position, 'is a duration, for which tables have no type', DURATION_ADVICE)
  }
  if (size === 0) throw unsupported(position, 'is a fixed of 0 bytes')
  return { kind: 'fixed', size }
}

const DURATION_ADVICE = 'Take the logicalType out of the reader’s schema: the field is then 12 bytes.'

function intColumn({ logical }: PrimitiveType): ColumnType {
  if (logical?.kind === 'date') return { kind: 'date' }
  return logical?.kind === 'time-millis' ? { kind: 'time', unit: 'millis' } : { kind: 'int32' }
}

function longColumn({ logical }: PrimitiveType): ColumnType {
  if (logical?.kind === 'time-micros') return { kind: 'time', unit: 'micros' }
  const timestamp = /^(local-)?timestamp-(millis|micros)$/.exec(logical?.kind ?? '')
  if (timestamp === null) return { kind: 'int64' }
  return { kind: 'timestamp', unit: timestamp[2] as 'millis' | 'micros', local: timestamp[1] !== undefined }
}

function decimalColumn(decimal: { precision: number; scale: number }, position: Position): ColumnType {
  const { precision, scale } = decimal
  if (precision > 38) throw unsupported(position, `is a decimal of ${precision} digits, and tables hold 38`)
  return { kind: 'decimal', precision, scale }
}

/** Column names are case-insensitive in Delta and in most readers. */
function refuseSameNames(fields: readonly Field[], position: Position): void {
  const seen = new Map<string, string>()
  for (const { name } of fields) {
    const other = seen.get(name.toLowerCase())
    if (other !== undefined) {
      throw unsupported(position, `has both ${other} and ${name}, and column names ignore case`)
    }
    seen.set(name.toLowerCase(), name)
  }
}

function unsupported(position: Position, what: string, advice?: string): PipelineError {
  const subject = position.path === '' ? 'the schema' : `field ${position.path}`
  return new PipelineError('SCHEMA_UNSUPPORTED', `${subject} ${what}`, advice === undefined ? {} : { advice })
}
