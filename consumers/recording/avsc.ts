import avsc from 'avsc'
import { messageOf, PipelineError } from '../../src/errors.ts'

/**
 * The only file that imports avsc. Longs are bigints, every union value is `{ branch: value }`, logical types are left to
 * json-value.ts.
 */
export interface AvroCodec {
  encode(value: unknown): Uint8Array
  /** Throws where the bytes are not one value of the schema. */
  decode(bytes: Uint8Array): unknown
}

/** Throws SCHEMA_INVALID; `name` is for the message. */
export function avroCodec(schemaJson: string, name: string): AvroCodec {
  let type: avsc.Type
  try {
    type = avsc.Type.forSchema(JSON.parse(schemaJson), { wrapUnions: 'always', typeHook: longsAsBigInt })
  } catch (cause) {
    throw new PipelineError('SCHEMA_INVALID', `${name}: not an Avro schema: ${messageOf(cause)}`, {
      cause,
      advice: 'Repair the schema. The Avro specification says what is allowed.',
    })
  }
  return {
    encode: (value) => type.toBuffer(value),
    decode: (bytes) => type.fromBuffer(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)),
  }
}

/** As a hook and not in the registry, because `{ "type": "long", "logicalType": … }` would not find it there. */
function longsAsBigInt(schema: unknown): avsc.Type | undefined {
  const type = typeof schema === 'object' && schema !== null ? (schema as { type?: unknown }).type : schema
  return type === 'long' ? BIG_LONG : undefined
}

const BIG_LONG = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(value)
    return bytes
  },
  // avsc reads the defaults of a schema with it.
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint' && value === BigInt.asIntN(64, value),
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
})
