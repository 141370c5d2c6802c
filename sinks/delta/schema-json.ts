import type { ColumnType, Field } from '../../src/columns/column-type.ts'
import { assert, PipelineError, unreachable } from '../../src/errors.ts'

/**
 * Delta's schema, a subset of Spark's: https://github.com/delta-io/delta/blob/master/PROTOCOL.md#schema-serialization-format
 * A primitive type is its name.
 */
export type DeltaType = string | DeltaStruct | DeltaArray | DeltaMap

export interface DeltaStruct {
  readonly type: 'struct'
  readonly fields: readonly DeltaField[]
}

export interface DeltaArray {
  readonly type: 'array'
  readonly elementType: DeltaType
  readonly containsNull: boolean
}

export interface DeltaMap {
  readonly type: 'map'
  readonly keyType: DeltaType
  readonly valueType: DeltaType
  readonly valueContainsNull: boolean
}

export interface DeltaField {
  readonly name: string
  readonly type: DeltaType
  readonly nullable: boolean
  readonly metadata: Readonly<Record<string, unknown>>
}

/** A column as readers of the table see it: a time is a long, an enum a string, a fixed a binary. */
export function deltaField(field: Field): DeltaField {
  return { name: field.name, type: deltaType(field.type), nullable: field.nullable, metadata: {} }
}

function deltaType(type: ColumnType): DeltaType {
  switch (type.kind) {
    case 'boolean':
    case 'date':
    case 'string':
      return type.kind
    case 'int32':
      return 'integer'
    case 'int64':
    case 'time':
      return 'long'
    case 'float32':
      return 'float'
    case 'float64':
      return 'double'
    case 'bytes':
    case 'fixed':
      return 'binary'
    case 'enum':
      return 'string'
    case 'timestamp':
      return type.local ? 'timestamp_ntz' : 'timestamp'
    case 'decimal':
      return `decimal(${type.precision},${type.scale})`
    case 'list':
      return { type: 'array', elementType: deltaType(type.element.type), containsNull: type.element.nullable }
    case 'map':
      return {
        type: 'map',
        keyType: 'string',
        valueType: deltaType(type.value.type),
        valueContainsNull: type.value.nullable,
      }
    case 'struct':
      return { type: 'struct', fields: type.fields.map(deltaField) }
    default:
      return unreachable(type)
  }
}

/** The columns of a table, as the types that its files decode into. Timestamps are micros. */
export function fieldOf(field: DeltaField): Field {
  return { name: field.name, type: columnType(field.type, field.name), nullable: field.nullable }
}

function columnType(type: DeltaType, name: string): ColumnType {
  if (typeof type === 'string') return primitiveType(type, name)
  switch (type.type) {
    case 'struct':
      return { kind: 'struct', fields: type.fields.map(fieldOf) }
    case 'array':
      return {
        kind: 'list',
        element: { name: 'element', type: columnType(type.elementType, name), nullable: type.containsNull },
      }
    case 'map':
      if (type.keyType !== 'string')
        throw unsupportedType(name, `a map with keys of type ${typeText(type.keyType)}`)
      return {
        kind: 'map',
        value: { name: 'value', type: columnType(type.valueType, name), nullable: type.valueContainsNull },
      }
    default:
      throw unsupportedType(name, typeText(type))
  }
}

const PRIMITIVES: Readonly<Record<string, ColumnType>> = {
  boolean: { kind: 'boolean' },
  byte: { kind: 'int32' },
  short: { kind: 'int32' },
  integer: { kind: 'int32' },
  long: { kind: 'int64' },
  float: { kind: 'float32' },
  double: { kind: 'float64' },
  string: { kind: 'string' },
  binary: { kind: 'bytes' },
  date: { kind: 'date' },
  timestamp: { kind: 'timestamp', unit: 'micros', local: false },
  timestamp_ntz: { kind: 'timestamp', unit: 'micros', local: true },
}

function primitiveType(type: string, name: string): ColumnType {
  const decimal = /^decimal\((\d+),(\d+)\)$/.exec(type)
  if (decimal !== null) return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) }
  const known = Object.hasOwn(PRIMITIVES, type) ? PRIMITIVES[type] : undefined
  if (known === undefined) throw unsupportedType(name, type)
  return known
}

function unsupportedType(name: string, type: string): PipelineError {
  return new PipelineError('TABLE_UNSUPPORTED', `The table's column ${name} has the type ${type}.`, {
    advice: 'Millrace does not read columns of that type: this table was made by another program.',
  })
}

export function schemaText(fields: readonly DeltaField[]): string {
  return JSON.stringify({ type: 'struct', fields })
}

export function parseSchema(text: string): readonly DeltaField[] {
  const schema = JSON.parse(text) as DeltaStruct
  assert(schema.type === 'struct', 'a table schema is a struct')
  return schema.fields
}

/** 'struct<a: long, b: array<string>>', for messages. */
export function typeText(type: DeltaType): string {
  if (typeof type === 'string') return type
  switch (type.type) {
    case 'struct':
      return `struct<${type.fields.map((field) => `${field.name}: ${typeText(field.type)}`).join(', ')}>`
    case 'array':
      return `array<${typeText(type.elementType)}>`
    case 'map':
      return `map<${typeText(type.keyType)}, ${typeText(type.valueType)}>`
    default:
      return JSON.stringify(type)
  }
}

/** True where a type holds a local timestamp, which needs the table feature `timestampNtz`. */
export function hasLocalTimestamp(type: DeltaType): boolean {
  if (typeof type === 'string') return type === 'timestamp_ntz'
  if (type.type === 'struct') return type.fields.some((field) => hasLocalTimestamp(field.type))
  if (type.type === 'array') return hasLocalTimestamp(type.elementType)
  return hasLocalTimestamp(type.keyType) || hasLocalTimestamp(type.valueType)
}
