import { unreachable } from '../../src/errors.ts'
import { type DecimalLogical, type FieldShape, type Shape } from './value-shape.ts'
import { dateText, parseDate, parseTimestamp, timestampText } from './time-text.ts'

/**
 * JSON as people write it ⇄ the values that avsc takes. `toJson` writes what `toAvro` reads. Beyond Avro's own JSON
 * encoding: union values need no branch name, timestamps may be ISO 8601, decimals are decimal digits, a long may be
 * text (it must be where it is beyond 2^53 and the line was not read with `parseJsonLine`).
 */

/** `path` is the field that does not fit: 'position.lat', 'tags[3]'; '' is the whole value. */
export class MisfitError extends Error {
  readonly path: string

  constructor(path: string, message: string) {
    super(message)
    this.name = 'MisfitError'
    this.path = path
  }
}

/** Fields that the schema does not have are left out. Throws MisfitError. */
export function toAvro(shape: Shape, json: unknown, path = ''): unknown {
  switch (shape.kind) {
    case 'null':
      return json === null ? null : misfit(path, 'null', json)
    case 'boolean':
      return typeof json === 'boolean' ? json : misfit(path, 'a boolean', json)
    case 'string':
      return typeof json === 'string' ? json : misfit(path, 'a string', json)
    case 'float':
    case 'double':
      return toDouble(json, path)
    case 'int':
      return toInt(shape, json, path)
    case 'long':
      return toLong(shape, json, path)
    case 'bytes':
      return toBytes(shape.decimal, json, path)
    case 'fixed':
      return toFixed(shape, json, path)
    case 'enum':
      if (typeof json === 'string' && shape.symbols.includes(json)) return json
      return misfit(path, `one of ${shape.symbols.join(', ')}`, json)
    case 'array':
      if (!Array.isArray(json)) return misfit(path, 'an array', json)
      return json.map((item, index) => toAvro(shape.items, item, `${path}[${index}]`))
    case 'map':
      return mapObject(json, path, (value, key) => toAvro(shape.values, value, child(path, key)))
    case 'record':
      return toRecord(shape.fields, json, path)
    case 'union':
      return toUnion(shape, json, path)
    default:
      return unreachable(shape)
  }
}

/** For `recording head`. */
export function toJson(shape: Shape, value: unknown): unknown {
  switch (shape.kind) {
    case 'null':
    case 'boolean':
    case 'string':
    case 'enum':
      return value
    case 'float':
    case 'double':
      return Number.isFinite(value) ? value : String(value)
    case 'int':
      return shape.logical === 'date' ? dateText(value as number) : value
    case 'long': {
      const long = value as bigint
      const text = timestampText(shape.logical, long)
      if (text !== null) return text
      return Number.isSafeInteger(Number(long)) ? Number(long) : String(long)
    }
    case 'bytes':
    case 'fixed':
      return shape.decimal === null
        ? Buffer.from(value as Uint8Array).toString('latin1')
        : decimalText(value as Uint8Array, shape.decimal.scale)
    case 'array':
      return (value as unknown[]).map((item) => toJson(shape.items, item))
    case 'map':
      return Object.fromEntries(
        Object.entries(value as object).map(([key, entry]) => [key, toJson(shape.values, entry)]),
      )
    case 'record':
      return Object.fromEntries(
        shape.fields.map(({ name, shape }) => [
          name,
          toJson(shape, (value as Record<string, unknown>)[name]),
        ]),
      )
    case 'union':
      return unionToJson(shape, value)
    default:
      return unreachable(shape)
  }
}

/** As JSON.parse, but integers beyond 2^53 are bigints where this Node tells a number's text (22 and later). */
export function parseJsonLine(text: string): unknown {
  return /\d{16}/.test(text) ? JSON.parse(text, bigIntegers) : JSON.parse(text)
}

function bigIntegers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const source = context?.source ?? ''
  return /^-?\d+$/.test(source) ? BigInt(source) : value
}

function toRecord(fields: readonly FieldShape[], json: unknown, path: string): unknown {
  if (!isObject(json)) return misfit(path, 'an object', json)
  const record: Record<string, unknown> = {}
  for (const field of fields) {
    const value = json[field.name]
    const fieldPath = child(path, field.name)
    record[field.name] =
      value === undefined ? absent(field, fieldPath) : toAvro(field.shape, value, fieldPath)
  }
  return record
}

function absent(field: FieldShape, path: string): unknown {
  const { shape, defaultJson, hasDefault } = field
  if (hasDefault) {
    if (shape.kind !== 'union') return toAvro(shape, defaultJson, path)
    const first = shape.branches[0]!
    return first.shape.kind === 'null' ? null : { [first.name]: toAvro(first.shape, defaultJson, path) }
  }
  if (shape.kind === 'union' && shape.branches.some((branch) => branch.shape.kind === 'null')) return null
  throw new MisfitError(path, 'is missing')
}

function toUnion(shape: Extract<Shape, { kind: 'union' }>, json: unknown, path: string): unknown {
  if (json === null) {
    if (shape.branches.some((branch) => branch.shape.kind === 'null')) return null
    return misfit(path, 'not null', json)
  }
  const branches = shape.branches.filter((branch) => branch.shape.kind !== 'null')
  const named = isObject(json) && Object.keys(json).length === 1 ? Object.keys(json)[0] : undefined
  const byName = branches.find((branch) => branch.name === named)
  // Avro's JSON encoding, `{"string": "x"}`; but a record or map may happen to look like it.
  const tried = byName === undefined ? null : attempt(byName, (json as Record<string, unknown>)[named!], path)
  if (tried !== null && 'value' in tried) return tried.value
  let failure: MisfitError | null = null
  for (const branch of branches) {
    const outcome = attempt(branch, json, path)
    if ('value' in outcome) return outcome.value
    // The deepest path says most.
    if (failure === null || outcome.failure.path.length > failure.path.length) failure = outcome.failure
  }
  throw failure ?? new MisfitError(path, 'must be null')
}

type Attempt = { readonly value: unknown } | { readonly failure: MisfitError }

function attempt(branch: { name: string; shape: Shape }, json: unknown, path: string): Attempt {
  try {
    return { value: { [branch.name]: toAvro(branch.shape, json, path) } }
  } catch (error) {
    if (error instanceof MisfitError) return { failure: error }
    throw error
  }
}

function unionToJson(shape: Extract<Shape, { kind: 'union' }>, value: unknown): unknown {
  if (value === null) return null
  const [name, inner] = Object.entries(value as object)[0]!
  const branch = shape.branches.find((branch) => branch.name === name)!
  const json = toJson(branch.shape, inner)
  const plain = shape.branches.filter(({ shape }) => shape.kind !== 'null').length === 1
  return plain ? json : { [name]: json }
}

function toDouble(json: unknown, path: string): number {
  if (typeof json === 'number') return json
  if (typeof json === 'bigint') return Number(json)
  if (json === 'NaN' || json === 'Infinity' || json === '-Infinity') return Number(json)
  return misfit(path, 'a number', json)
}

function toInt(shape: Extract<Shape, { kind: 'int' | 'long' }>, json: unknown, path: string): number {
  const days = shape.logical === 'date' && typeof json === 'string' ? parseDate(json) : json
  if (typeof days === 'number' && (days | 0) === days) return days
  return misfit(path, shape.logical === 'date' ? 'a date or a number of days' : 'an int', json)
}

function toLong(shape: Extract<Shape, { kind: 'int' | 'long' }>, json: unknown, path: string): bigint {
  const value =
    shape.logical !== null && typeof json === 'string' ? parseTimestamp(shape.logical, json) : json
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  const big = typeof value === 'string' && /^-?\d{1,19}$/.test(value) ? BigInt(value) : value
  if (typeof big === 'bigint' && big === BigInt.asIntN(64, big)) return big
  return misfit(path, shape.logical === null ? 'a long' : `a ${shape.logical} (a number or ISO 8601)`, json)
}

function toBytes(decimal: DecimalLogical | null, json: unknown, path: string): Buffer {
  if (decimal !== null) {
    const unscaled = parseDecimal(json, decimal, path)
    let size = 1
    while (BigInt.asIntN(size * 8, unscaled) !== unscaled) size += 1
    return bigEndian(unscaled, size)
  }
  if (typeof json !== 'string') return misfit(path, 'bytes (a string of characters up to U+00FF)', json)
  for (let at = 0; at < json.length; at += 1) {
    if (json.charCodeAt(at) > 0xff) return misfit(path, 'bytes (a string of characters up to U+00FF)', json)
  }
  return Buffer.from(json, 'latin1')
}

function toFixed(shape: Extract<Shape, { kind: 'fixed' }>, json: unknown, path: string): Buffer {
  if (shape.decimal !== null) {
    const unscaled = parseDecimal(json, shape.decimal, path)
    if (BigInt.asIntN(shape.size * 8, unscaled) === unscaled) return bigEndian(unscaled, shape.size)
    return misfit(path, `a decimal that fits ${shape.size} bytes`, json)
  }
  const bytes = toBytes(null, json, path)
  return bytes.length === shape.size ? bytes : misfit(path, `${shape.size} bytes`, json)
}

function parseDecimal(json: unknown, { scale }: DecimalLogical, path: string): bigint {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(json))
  const fraction = match?.[3] ?? ''
  if (match === null || fraction.slice(scale).replaceAll('0', '') !== '') {
    return misfit(path, `a decimal with at most ${scale} digits after the point`, json)
  }
  const digits = BigInt(match[2]! + fraction.slice(0, scale).padEnd(scale, '0'))
  return match[1] === '-' ? -digits : digits
}

function bigEndian(value: bigint, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  let rest = value
  for (let at = size - 1; at >= 0; at -= 1) {
    bytes[at] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return bytes
}

function decimalText(bytes: Uint8Array, scale: number): string {
  let unscaled = 0n
  for (const byte of bytes) unscaled = (unscaled << 8n) | BigInt(byte)
  unscaled = BigInt.asIntN(bytes.length * 8, unscaled)
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const point = digits.length - scale
  const sign = unscaled < 0n ? '-' : ''
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

function mapObject(
  json: unknown,
  path: string,
  convert: (value: unknown, key: string) => unknown,
): Record<string, unknown> {
  if (!isObject(json)) return misfit(path, 'an object', json)
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, convert(value, key)]))
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

function child(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

function misfit(path: string, expected: string, json: unknown): never {
  const text = typeof json === 'bigint' ? String(json) : JSON.stringify(json)
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text
  throw new MisfitError(path, `must be ${expected}, but is ${shown}`)
}
