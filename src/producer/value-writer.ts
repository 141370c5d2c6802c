import { type AvroType, type FixedType, type PrimitiveType, typeName } from '../avro/schema-model.ts'
import { unreachable } from '../errors.ts'
import type { AvroBuffer } from './avro-buffer.ts'
import { misfit, within } from './misfit.ts'
import { recordWriter } from './record-writer.ts'

/** Writes one value of a type. Throws MisfitError. */
export type ValueWriter = (value: unknown, out: AvroBuffer) => void

/** Takes what docs/types.md says a type is in TypeScript, and writes Avro's binary encoding. */
export function valueWriter(type: AvroType): ValueWriter {
  return writerOf(type, new Map())
}

/** `records`: the writers of those made so far, or being made. */
function writerOf(type: AvroType, records: Map<AvroType, ValueWriter>): ValueWriter {
  const inner = (part: AvroType): ValueWriter => writerOf(part, records)
  switch (type.kind) {
    case 'null':
      return (value) => {
        if (value !== null) misfit('must be null', value)
      }
    case 'boolean':
      return (value, out) => {
        if (typeof value !== 'boolean') misfit('must be a boolean', value)
        out.byte(value ? 1 : 0)
      }
    case 'int':
      return intWriter(type)
    case 'long':
      return longWriter(type)
    case 'float':
      return (value, out) => out.float(numberOf(value))
    case 'double':
      return (value, out) => out.double(numberOf(value))
    case 'string':
      return (value, out) => out.string(textOf(value))
    case 'bytes':
      return bytesWriter(type)
    case 'fixed':
      return fixedWriter(type)
    case 'enum':
      return enumWriter(type.symbols)
    case 'array':
      return arrayWriter(inner(type.items))
    case 'map':
      return mapWriter(inner(type.values))
    case 'record':
      return records.get(type) ?? recordWriter(type, inner, (writer) => records.set(type, writer))
    case 'union':
      return unionWriter(type.branches, inner)
    default:
      return unreachable(type)
  }
}

function intWriter({ logical }: PrimitiveType): ValueWriter {
  const expected =
    logical?.kind === 'date'
      ? 'must be a date: the number of days since 1970-01-01'
      : logical?.kind === 'time-millis'
        ? 'must be a time of day: the number of milliseconds since midnight'
        : 'must be an int: a whole number from -2147483648 to 2147483647'
  return (value, out) => {
    if (typeof value !== 'number' || (value | 0) !== value) misfit(expected, value)
    out.int(value)
  }
}

function longWriter({ logical }: PrimitiveType): ValueWriter {
  const kind = logical?.kind
  if (kind === 'timestamp-millis' || kind === 'local-timestamp-millis') {
    return (value, out) => {
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
        misfit('must be a time: a whole number of milliseconds since 1970', value)
      }
      out.safeLong(value)
    }
  }
  const expected =
    kind === 'timestamp-micros' || kind === 'local-timestamp-micros'
      ? 'must be a time: a bigint of microseconds since 1970'
      : kind === 'time-micros'
        ? 'must be a time of day: a bigint of microseconds since midnight'
        : 'must be a long: a bigint of at most 64 bits'
  return (value, out) => {
    if (typeof value !== 'bigint' || BigInt.asIntN(64, value) !== value) misfit(expected, value)
    out.long(value)
  }
}

function bytesWriter({ logical }: PrimitiveType): ValueWriter {
  if (logical?.kind !== 'decimal') return (value, out) => out.bytes(bytesOf(value))
  const unscaledOf = decimalReader(logical)
  return (value, out) => {
    const unscaled = unscaledOf(value)
    let length = 1
    while (BigInt.asIntN(length * 8, unscaled) !== unscaled) length++
    out.int(length)
    out.bigEndian(unscaled, length)
  }
}

function fixedWriter({ logical, size }: FixedType): ValueWriter {
  if (logical?.kind === 'decimal') {
    const unscaledOf = decimalReader(logical)
    return (value, out) => {
      const unscaled = unscaledOf(value)
      if (BigInt.asIntN(size * 8, unscaled) !== unscaled) misfit(`must fit ${size} bytes`, value)
      out.bigEndian(unscaled, size)
    }
  }
  if (logical?.kind === 'uuid') {
    return (value, out) => {
      if (typeof value !== 'string' || !UUID.test(value)) {
        misfit('must be a UUID like 123e4567-e89b-12d3-a456-426614174000', value)
      }
      out.raw(Buffer.from(value.replaceAll('-', ''), 'hex'))
    }
  }
  return (value, out) => {
    const bytes = bytesOf(value)
    if (bytes.length !== size) misfit(`must have ${size} bytes`, value)
    out.raw(bytes)
  }
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** The unscaled number at the schema's scale. Digits are added, never taken away. */
function decimalReader({ precision, scale }: { readonly precision: number; readonly scale: number }) {
  const limit = 10n ** BigInt(precision)
  return (value: unknown): bigint => {
    const { unscaled, scale: own } = (value ?? {}) as { unscaled?: unknown; scale?: unknown }
    if (typeof unscaled !== 'bigint' || typeof own !== 'number' || !Number.isInteger(own) || own < 0) {
      misfit("must be a decimal: { unscaled, scale }, as decimal.fromString('12.50') gives it", value)
    }
    const divisor = 10n ** BigInt(Math.max(0, own - scale))
    if (unscaled % divisor !== 0n) {
      misfit(`must have at most ${scale} digits behind the point`, value)
    }
    const result = own > scale ? unscaled / divisor : unscaled * 10n ** BigInt(scale - own)
    if (result >= limit || result <= -limit) misfit(`must have at most ${precision} digits`, value)
    return result
  }
}

function enumWriter(symbols: readonly string[]): ValueWriter {
  const indices = new Map(symbols.map((symbol, index) => [symbol, index]))
  return (value, out) => {
    const index = indices.get(value as string)
    if (index === undefined) misfit(`must be one of ${symbols.join(', ')}`, value)
    out.int(index)
  }
}

function arrayWriter(write: ValueWriter): ValueWriter {
  return (value, out) => {
    if (!Array.isArray(value)) misfit('must be an array', value)
    if (value.length > 0) out.int(value.length)
    let index = 0
    try {
      for (; index < value.length; index++) write(value[index], out)
    } catch (error) {
      throw within(`[${index}]`, error)
    }
    out.byte(0)
  }
}

function mapWriter(write: ValueWriter): ValueWriter {
  return (value, out) => {
    if (!isPlainObject(value)) misfit('must be an object', value)
    const keys = Object.keys(value)
    if (keys.length > 0) out.int(keys.length)
    for (const key of keys) {
      try {
        out.string(textOf(key))
        write(value[key], out)
      } catch (error) {
        throw within(`[${JSON.stringify(key)}]`, error)
      }
    }
    out.byte(0)
  }
}

interface Branch {
  readonly name: string
  readonly index: number
  readonly write: ValueWriter
}

function unionWriter(types: readonly AvroType[], writerOf: (type: AvroType) => ValueWriter): ValueWriter {
  const nullIndex = types.findIndex(({ kind }) => kind === 'null')
  const branches = types
    .map((type, index): Branch => ({ name: typeName(type), index, write: writerOf(type) }))
    .filter(({ index }) => index !== nullIndex)
  const [only] = branches
  if (only === undefined) return (value, out) => writeNull(value, out, nullIndex)
  if (branches.length === 1) {
    return (value, out) => {
      if (value === null && nullIndex >= 0) out.int(nullIndex)
      else {
        out.int(only.index)
        only.write(value, out)
      }
    }
  }
  const byName = new Map(branches.map((branch) => [branch.name, branch]))
  const forms = branches.map(({ name }) => `{ ${name}: … }`).join(' or ')
  return (value, out) => {
    if (value === null && nullIndex >= 0) return out.int(nullIndex)
    const keys = isPlainObject(value) ? Object.keys(value) : []
    const branch = keys.length === 1 ? byName.get(keys[0]!) : undefined
    if (branch === undefined) misfit(`must be ${forms}${nullIndex < 0 ? '' : ' or null'}`, value)
    out.int(branch.index)
    try {
      branch.write((value as Record<string, unknown>)[branch.name], out)
    } catch (error) {
      throw within(branch.name, error)
    }
  }
}

function writeNull(value: unknown, out: AvroBuffer, index: number): void {
  if (value !== null) misfit('must be null', value)
  out.int(index)
}

function numberOf(value: unknown): number {
  if (typeof value !== 'number') misfit('must be a number', value)
  return value
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') misfit('must be a string', value)
  // UTF-8 has no half of a pair: it would become another character without a word.
  if (!value.isWellFormed()) misfit('must be text, and has half of a surrogate pair', value)
  return value
}

function bytesOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) misfit('must be bytes (a Uint8Array)', value)
  return value
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  )
}
