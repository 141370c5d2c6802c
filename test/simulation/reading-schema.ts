import avro from 'avsc'
import type { Row } from '../../src/testing/oracle/oracle.ts'
import { avroFields, type AvroType } from '../../src/testing/oracle/cell.ts'

/** The one topic of the random workloads: sensors that report now and then. The reader's schema. */
export const READING = {
  type: 'record',
  name: 'Reading',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'zone', type: ['null', 'string'], default: null },
    { name: 'level', type: 'int' },
    { name: 'distance', type: ['null', 'long'], default: null },
    { name: 'fare', type: 'double' },
    { name: 'weight', type: ['null', 'double'], default: null },
    { name: 'price', type: ['null', { type: 'bytes', logicalType: 'decimal', precision: 12, scale: 2 }] },
    { name: 'open', type: 'boolean' },
    { name: 'at', type: ['null', { type: 'long', logicalType: 'timestamp-millis' }], default: null },
    { name: 'seen', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 'note', type: ['null', 'string'], default: null },
  ],
}

/** An older writer: no `note`, an int where a long is read, and a field that nobody reads any more. */
const READING_OLD = {
  type: 'record',
  name: 'Reading',
  fields: [
    { name: 'retired', type: 'string' },
    ...READING.fields
      .filter(({ name }) => name !== 'note')
      .map((field) => (field.name === 'distance' ? { name: 'distance', type: ['null', 'int'] } : field)),
  ],
}

/** A writer that no reader of `Reading` can follow. */
const READING_OTHER = {
  type: 'record',
  name: 'Reading',
  fields: READING.fields.map((field) => (field.name === 'level' ? { name: 'level', type: 'string' } : field)),
}

/** What a map step makes of it; the names are those of `Reading`, so that any step can follow. */
export const SLIM = {
  type: 'record',
  name: 'Slim',
  fields: ['id', 'zone', 'level', 'distance', 'fare', 'price', 'seen'].map((name) => {
    const field = READING.fields.find((one) => one.name === name)!
    return { name, type: field.type }
  }),
}

export const SCHEMA_ID = { current: 7, old: 3, other: 5, unknown: 99 } as const

export const WRITER_SCHEMAS: ReadonlyMap<number, string> = new Map([
  [SCHEMA_ID.current, JSON.stringify(READING)],
  [SCHEMA_ID.old, JSON.stringify(READING_OLD)],
  [SCHEMA_ID.other, JSON.stringify(READING_OTHER)],
])

const longType = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(value)
    return buffer
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
})

function typeOf(schema: object): avro.Type {
  // The custom long is found by the name 'long' only, so logical types are left out.
  const plain: unknown = JSON.parse(
    JSON.stringify(schema, (_key, value: unknown) =>
      typeof value === 'object' && value !== null && 'logicalType' in value
        ? (value as AvroType).type
        : value,
    ),
  )
  return avro.Type.forSchema(plain as avro.Schema, {
    registry: { long: longType },
    // Unwrapped unions cannot hold a custom long.
    wrapUnions: 'always',
  })
}

const currentType = typeOf(READING)
const oldType = typeOf(READING_OLD)

/** A framed message. With `old`, what that writer cannot say must be absent from the row. */
export function encodeReading(row: Row, old: boolean): Uint8Array {
  const plain: Record<string, unknown> = { retired: 'gone' }
  for (const field of READING.fields) plain[field.name] = toAvsc(field.type, row[field.name])
  if (old && row['distance'] !== null) plain['distance'] = { int: Number(row['distance']) }
  return framed(old ? SCHEMA_ID.old : SCHEMA_ID.current, (old ? oldType : currentType).toBuffer(plain))
}

export function framed(schemaId: number, body: Uint8Array): Uint8Array {
  const message = new Uint8Array(5 + body.length)
  new DataView(message.buffer).setInt32(1, schemaId)
  message.set(body, 5)
  return message
}

/** The row of a message of the current writer, or null where avsc cannot decode it, or a string is not UTF-8. */
export function decodeReading(message: Uint8Array): Row | null {
  try {
    const decoded = currentType.fromBuffer(Buffer.from(message.subarray(5))) as Record<string, unknown>
    if (JSON.stringify([decoded['id'], decoded['zone'], decoded['note']]).includes('\ufffd')) return null
    return Object.fromEntries(
      avroFields(READING).map(({ name, type }) => [name, fromAvsc(type, decoded[name])]),
    )
  } catch {
    return null
  }
}

function toAvsc(schema: unknown, value: unknown): unknown {
  if (value === null || value === undefined) return null
  const type = branchOf(schema)
  if (Array.isArray(schema)) return { [type.type]: toAvsc(type, value) }
  if (type.logicalType === 'decimal') return bigEndian((value as { unscaled: bigint }).unscaled)
  if (type.logicalType === 'timestamp-millis') return BigInt(value as number)
  return value
}

function fromAvsc(schema: unknown, value: unknown): unknown {
  if (value === null) return null
  const type = branchOf(schema)
  if (Array.isArray(schema)) return fromAvsc(type, (value as Record<string, unknown>)[type.type])
  if (type.logicalType === 'decimal')
    return { unscaled: fromBigEndian(value as Uint8Array), scale: type.scale }
  if (type.logicalType === 'timestamp-millis') return Number(value)
  return value
}

function branchOf(schema: unknown): AvroType {
  const branch = Array.isArray(schema) ? (schema as unknown[]).find((one) => one !== 'null') : schema
  return typeof branch === 'string' ? { type: branch } : (branch as AvroType)
}

function bigEndian(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = value
  do {
    bytes.unshift(Number(rest & 0xffn))
    rest >>= 8n
  } while (!(rest === 0n && bytes[0]! < 128) && !(rest === -1n && bytes[0]! >= 128))
  return Buffer.from(bytes)
}

function fromBigEndian(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return BigInt.asIntN(bytes.length * 8, value)
}
