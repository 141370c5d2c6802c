import {
  Binary,
  Bool,
  DateDay,
  Decimal,
  Dictionary,
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
} from 'apache-arrow'
import type { DataType } from 'apache-arrow'
import type { Field } from '../../src/columns/column-type.ts'
import { unreachable } from '../../src/errors.ts'

/** The end-of-stream marker that follows the schema of a stream without batches. */
const END_OF_STREAM_BYTES = 8

export interface ArrowSchema {
  /** The schema as the first message of an Arrow IPC stream. */
  readonly message: Uint8Array
  /** The symbols of each enum; the index is the id of its dictionary. In the order of the columns, parents first. */
  readonly dictionaries: readonly (readonly string[])[]
}

/**
 * The Arrow schema of a table's rows: timestamps in microseconds, times of day as long, fixed as binary, enums as
 * dictionaries of strings. The names 'element', 'key_value', 'key' and 'value' are those of the Parquet format.
 */
export function arrowSchemaOf(fields: readonly Field[]): ArrowSchema {
  const dictionaries: (readonly string[])[] = []
  const schema = new Schema(fields.map((field) => arrowField(field, dictionaries)))
  const stream = tableToIPC(new Table(schema), 'stream')
  return { message: stream.slice(0, stream.length - END_OF_STREAM_BYTES), dictionaries }
}

function arrowField(field: Field, dictionaries: (readonly string[])[], name = field.name): ArrowField {
  return new ArrowField(name, arrowType(field, dictionaries), field.nullable)
}

function arrowType({ type }: Field, dictionaries: (readonly string[])[]): DataType {
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
      return new Utf8()
    case 'bytes':
    case 'fixed':
      return new Binary()
    case 'enum':
      return new Dictionary(new Utf8(), new Int32(), dictionaries.push(type.symbols) - 1)
    case 'date':
      return new DateDay()
    case 'timestamp':
      return new TimestampMicrosecond(type.local ? null : 'UTC')
    case 'decimal':
      return new Decimal(type.scale, type.precision, 128)
    case 'list':
      return new List(arrowField(type.element, dictionaries, 'element'))
    case 'map': {
      const key = new ArrowField('key', new Utf8(), false)
      const entry = new Struct<{ key: Utf8; value: DataType }>([
        key,
        arrowField(type.value, dictionaries, 'value'),
      ])
      return new Map_(new ArrowField('key_value', entry, false))
    }
    case 'struct':
      return new Struct(type.fields.map((child) => arrowField(child, dictionaries)))
    default:
      return unreachable(type)
  }
}
