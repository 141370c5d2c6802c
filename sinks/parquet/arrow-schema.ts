import {
  Binary,
  Bool,
  DateDay,
  Decimal,
  Field as ArrowField,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  Map_,
  Schema,
  Struct,
  Table,
  TimestampMicrosecond,
  Utf8,
  tableToIPC,
} from './arrow-js.ts'
import type { DataType } from './arrow-js.ts'
import type { Field } from '../../src/columns/column-type.ts'
import { unreachable } from '../../src/errors.ts'

/** The end-of-stream marker that follows the schema of a stream without batches. */
const END_OF_STREAM_BYTES = 8

/**
 * The Arrow schema of a table's rows, as the first message of an Arrow IPC stream: timestamps in microseconds, times of
 * day as long, fixed as binary, enums as strings. The names 'element', 'key_value', 'key' and 'value' are those of the
 * Parquet format.
 */
export function arrowSchemaOf(fields: readonly Field[]): Uint8Array {
  const schema = new Schema(fields.map((field) => arrowField(field)))
  const stream = tableToIPC(new Table(schema), 'stream')
  return stream.slice(0, stream.length - END_OF_STREAM_BYTES)
}

function arrowField(field: Field, name = field.name): ArrowField {
  return new ArrowField(name, arrowType(field), field.nullable)
}

function arrowType({ type }: Field): DataType {
  switch (type.kind) {
    case 'boolean':
      return new Bool()
    case 'int32':
      return new Int32()
    case 'int64':
    case 'time':
      return new Int64()
    case 'float32':
      return new Float32()
    case 'float64':
      return new Float64()
    case 'string':
    case 'enum':
      return new Utf8()
    case 'bytes':
    case 'fixed':
      return new Binary()
    case 'date':
      return new DateDay()
    case 'timestamp':
      return new TimestampMicrosecond(type.local ? null : 'UTC')
    case 'decimal':
      return new Decimal(type.scale, type.precision, 128)
    case 'list':
      return new List(arrowField(type.element, 'element'))
    case 'map': {
      const key = new ArrowField('key', new Utf8(), false)
      const entry = new Struct<{ key: Utf8; value: DataType }>([key, arrowField(type.value, 'value')])
      return new Map_(new ArrowField('key_value', entry, false))
    }
    case 'struct':
      return new Struct(type.fields.map((child) => arrowField(child)))
    default:
      return unreachable(type)
  }
}
