import type { ColumnType, Field } from '../../src/columns/column-type.ts'
import { AssertionError, unreachable } from '../../src/errors.ts'

type Json = string | object

/**
 * The Avro schema of records with these fields, as JSON text that is the same for the same fields: a registry gives it the same id.
 * A nullable field is a union with null, whose default is null, so that fields can be added later.
 */
export function avroSchemaText(recordName: string, fields: readonly Field[]): string {
  return JSON.stringify({
    type: 'record',
    name: recordName,
    fields: fields.map(({ name, type, nullable }) => {
      const inner = avroType(type, `${recordName}_${name}`)
      return nullable ? { name, type: ['null', inner], default: null } : { name, type: inner }
    }),
  })
}

/** 'zone-minutes' → 'ZoneMinutes': a topic may have characters in its name that a record may not. */
export function recordNameOf(topic: string): string {
  const words = topic.split(/[^A-Za-z0-9]+/).filter((word) => word !== '')
  const name = words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('')
  return /^[A-Za-z]/.test(name) ? name : `Topic${name}`
}

/** `name` is what a named type is called where it stands: results have no nested ones, so each has a field of its own. */
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
    case 'map':
    case 'struct':
      throw new AssertionError(`a result has no ${type.kind}: its fields are keys and aggregates`)
    default:
      return unreachable(type)
  }
}
