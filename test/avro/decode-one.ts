import { compileDecoder } from '../../src/avro/decoder.ts'
import { fieldsOf } from '../../src/avro/fields.ts'
import { parseAvroSchema } from '../../src/avro/schema-model.ts'
import { createBatch } from '../../src/columns/column.ts'
import { valueAt } from '../../src/columns/row.ts'

/** A record with one field `f`, and perhaps more. */
export function recordOf(type: unknown, ...more: readonly unknown[]): Record<string, unknown> {
  return { type: 'record', name: 'R', fields: [{ name: 'f', type }, ...more] }
}

/** The row as an object, or the failure as a string. */
export function decodeOne(writer: unknown, reader: unknown, bytes: readonly number[]): unknown {
  const readerType = parseAvroSchema(reader)
  const decoder = compileDecoder(parseAvroSchema(writer), readerType)
  const { columns } = createBatch(fieldsOf(readerType))
  const end = Int32Array.of(bytes.length)
  const done = decoder.decode(Uint8Array.from(bytes), Int32Array.of(0), end, 0, 0, 1, columns)
  if (done === 0) return decoder.failure
  return Object.fromEntries(columns.map((column) => [column.field.name, valueAt(column, 0)]))
}

/** A zigzag varint. */
export function varint(value: bigint | number): number[] {
  const long = BigInt(value)
  let bits = BigInt.asUintN(64, (long << 1n) ^ (long >> 63n))
  const bytes: number[] = []
  for (; bits >= 128n; bits >>= 7n) bytes.push(Number(bits & 127n) | 128)
  return [...bytes, Number(bits)]
}

export function text(value: string): number[] {
  const bytes = Buffer.from(value)
  return [...varint(bytes.length), ...bytes]
}

export function repeated(byte: number, count: number): number[] {
  return Array.from({ length: count }, () => byte)
}
