import { createRequire } from 'node:module'
import avro from 'avsc'
import type { FieldSchema, Schema, SchemaObject } from './schemas.ts'

/** avsc with longs as bigints, and its values as ours. It knows nothing of logical types here. */

const LONG = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(value)
    return bytes
  },
  fromJSON: (value: number) => BigInt(value),
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (left: bigint, right: bigint) => (left < right ? -1 : left > right ? 1 : 0),
})

/**
 * A long that is promoted to float or double goes through avsc's `readLong`, which loses the sign beyond 2^52. Repaired
 * here: exact, as a bigint where a number is not.
 */
interface Tap {
  buf: Buffer
  pos: number
  readLong(): number | bigint
  readInt(): number | bigint
}
const { Tap } = createRequire(import.meta.url)('avsc/lib/utils') as { Tap: { prototype: Tap } }
Tap.prototype.readLong = Tap.prototype.readInt = function readLong(this: Tap) {
  let bits = 0n
  let shift = 0n
  let byte: number
  do {
    byte = this.buf[this.pos++] ?? 0
    bits |= BigInt(byte & 0x7f) << shift
    shift += 7n
  } while (byte >= 0x80)
  const value = bits & 1n ? -(bits >> 1n) - 1n : bits >> 1n
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}

export function referenceType(schema: Schema): avro.Type {
  return avro.Type.forSchema(schema as avro.Schema, {
    wrapUnions: true,
    typeHook: (inner: unknown) => {
      const name = typeof inner === 'string' ? inner : (inner as { type?: unknown }).type
      return name === 'long' ? LONG : undefined
    },
  })
}

/** What avsc read, in the form of our `valueAt`. Throws Stricter where we do not take the value. */
export function expected(schema: Schema, value: unknown): unknown {
  if (Array.isArray(schema)) {
    if (value === null) return null
    const valued = schema.filter((branch) => branch !== 'null') as readonly Schema[]
    const [[name, inner]] = Object.entries(value as object) as [[string, unknown]]
    const branch = valued.find((candidate) => nameOf(candidate) === name)!
    const converted = expected(branch, inner)
    return valued.length === 1 ? converted : { [name]: converted }
  }
  const object = (typeof schema === 'string' ? { type: schema } : schema) as SchemaObject
  const logical = object['logicalType']
  switch (object.type) {
    case 'long':
      if (logical !== 'timestamp-millis' && logical !== 'local-timestamp-millis') return value
      if ((value as bigint) * 1000n !== BigInt.asIntN(64, (value as bigint) * 1000n))
        throw new Stricter('timestamp')
      return Number(value)
    case 'float':
      // Promoted numbers are rounded by us when they become a float, by avsc never.
      return typeof value === 'bigint' ? nearestFloat(value) : Math.fround(value as number)
    case 'double':
      return Number(value)
    case 'bytes':
    case 'fixed': {
      // A string that was promoted to bytes.
      const bytes = typeof value === 'string' ? Buffer.from(value) : (value as Buffer)
      if (logical === 'decimal') return decimalOf(bytes, object)
      if (logical === 'uuid')
        return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
      return Uint8Array.from(bytes)
    }
    case 'string':
      return String(value)
    case 'array':
      return (value as readonly unknown[]).map((item) => expected(object['items'] as Schema, item))
    case 'map':
      return Object.fromEntries(
        Object.entries(value as object).map(([key, entry]) => [
          key,
          expected(object['values'] as Schema, entry),
        ]),
      )
    case 'record':
      return Object.fromEntries(
        (object['fields'] as readonly FieldSchema[]).map((field) => [
          field.name,
          expected(field.type, (value as Record<string, unknown>)[field.name]),
        ]),
      )
    default:
      return value
  }
}

/** By trying the neighbours: a bigint that becomes a double first would be rounded twice. */
function nearestFloat(value: bigint): number {
  const bits = new Int32Array(1)
  const float = new Float32Array(bits.buffer)
  float[0] = Number(value)
  const start = bits[0]!
  const candidates = [start - 1, start, start + 1].map((pattern) => {
    bits[0] = pattern
    const distance = BigInt(float[0]!) - value
    return { float: float[0]!, distance: distance < 0n ? -distance : distance, odd: pattern & 1 }
  })
  candidates.sort((left, right) => Number(left.distance - right.distance) || left.odd - right.odd)
  return candidates[0]!.float
}

export class Stricter extends Error {}

function decimalOf(bytes: Buffer, schema: SchemaObject): unknown {
  if (bytes.length === 0) throw new Stricter('no bytes')
  const unscaled = BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toString('hex')}`))
  const limit = 10n ** BigInt(schema['precision'] as number)
  if (unscaled >= limit || unscaled <= -limit) throw new Stricter('digits')
  return { unscaled, scale: schema['scale'] }
}

function nameOf(schema: Schema): string {
  if (typeof schema === 'string') return schema
  const object = schema as SchemaObject
  return typeof object['name'] === 'string' ? object['name'] : object.type
}

/** A text that is the same for equal values only: bigints are not numbers, -0 is not 0, maps have no order. */
export function textOf(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value)
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return `[${value.map(textOf).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, entry]) => `${JSON.stringify(key)}: ${textOf(entry)}`)
    return `{${entries.sort().join(', ')}}`
  }
  return JSON.stringify(value)
}
