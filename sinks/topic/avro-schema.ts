import type { ColumnType, Field } from '../../src/columns/column-type.ts'
import { unreachable } from '../../src/errors.ts'

type Json = string | object

/**
 * The Avro schema of records with these fields, as JSON text that is the same for the same fields: a registry gives it the same id.
 * A nullable field is a union with null, whose default is null, so that fields can be added later.
 */
export function avroSchemaText(recordName: string, fields: readonly Field[]): string {
  return JSON.stringify(recordType(recordName, fields))
}

/** Of a key that had no window in it once: with a default, the newer schema goes with the older one in both directions. */
const LATER_KEY_FIELDS: ReadonlySet<string> = new Set(['window_start', 'window_end'])

/** The same of the key of a topic. A registry that has the key of before, which was without a window, takes it. */
export function keySchemaText(recordName: string, fields: readonly Field[]): string {
  const schema = recordType(recordName, fields)
  const withDefaults = schema.fields.map((field, index) => {
    const { name, nullable } = fields[index]!
    return !nullable && LATER_KEY_FIELDS.has(name) ? { ...field, default: 0 } : field
  })
  return JSON.stringify({ ...schema, fields: withDefaults })
}

interface RecordType {
  readonly type: 'record'
  readonly name: string
  readonly fields: readonly { readonly name: string; readonly type: Json; readonly default?: unknown }[]
}

function recordType(recordName: string, fields: readonly Field[]): RecordType {
  return {
    type: 'record',
    name: recordName,
    fields: fields.map((field) => {
      const type = fieldType(field, `${recordName}_${field.name}`)
      return field.nullable ? { name: field.name, type, default: null } : { name: field.name, type }
    }),
  }
}

function fieldType({ type, nullable }: Field, name: string): Json {
  const inner = avroType(type, name)
  return nullable ? ['null', inner] : inner
}

/** 'zone-minutes' → 'ZoneMinutes': a topic may have characters in its name that a record may not. */
export function recordNameOf(topic: string): string {
  const words = topic.split(/[^A-Za-z0-9]+/).filter((word) => word !== '')
  const name = words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('')
  return /^[A-Za-z]/.test(name) ? name : `Topic${name}`
}

/** `name` is what a named type is called where it stands: the path to it, because each has a name of its own. */
function avroType(type: ColumnType, name: string): Json {
  switch (type.kind) {
    case 'boolean':
    case 'string':
    case 'bytes':
      return type.kind
    case 'int32':
      return 'int'
    case 'int64':
      return 'long'
    case 'float32':
      return 'float'
    case 'float64':
      return 'double'
    case 'fixed':
      return { type: 'fixed', name, size: type.size }
    case 'enum':
      return { type: 'enum', name, symbols: type.symbols }
    case 'date':
      return { type: 'int', logicalType: 'date' }
    case 'time':
      return type.unit === 'millis'
        ? { type: 'int', logicalType: 'time-millis' }
        : { type: 'long', logicalType: 'time-micros' }
    case 'timestamp':
      return { type: 'long', logicalType: `${type.local ? 'local-' : ''}timestamp-${type.unit}` }
    case 'decimal':
      return { type: 'bytes', logicalType: 'decimal', precision: type.precision, scale: type.scale }
    case 'list':
      return { type: 'array', items: fieldType(type.element, `${name}_item`) }
    case 'map':
      return { type: 'map', values: fieldType(type.value, `${name}_value`) }
    case 'struct':
      // Also a union of several types: of its fields, which are the branches, one is not null.
      return recordType(name, type.fields)
    default:
      return unreachable(type)
  }
}
