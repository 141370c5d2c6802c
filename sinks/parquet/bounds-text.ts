import type { ColumnType } from '../../src/columns/column-type.ts'
import { unreachable } from '../../src/errors.ts'
import { calendarDate, DAY_MS } from './calendar.ts'

/** Bounds of one row group, as Parquet's PLAIN encoding has them. */
interface Bounds {
  readonly min: Uint8Array
  readonly max: Uint8Array
}

interface BoundsText {
  readonly min: string
  readonly max: string
}

/** A longer one is left out. parquet-rs cuts strings at 64 bytes, and makes the upper bound of a cut one larger. */
const STRING_BYTES_MAX = 256
/** Readers parse these years only. */
const YEAR_MIN = 1
const YEAR_MAX = 9999

/** The lowest and highest of the bounds as JSON texts, or null where Delta has no statistics for the type or value. */
export function boundsText(type: ColumnType, bounds: readonly Bounds[]): BoundsText | null {
  switch (type.kind) {
    case 'int32':
    case 'int64':
    case 'time':
      return integerText(bounds)
    case 'float32':
    case 'float64':
      return floatText(bounds)
    case 'string':
    case 'enum':
      return stringText(bounds)
    case 'date':
      return dateText(bounds)
    case 'timestamp':
      return timestampText(bounds, type.local)
    case 'decimal':
      return decimalTexts(bounds, type.scale)
    case 'boolean':
    case 'bytes':
    case 'fixed':
    case 'list':
    case 'map':
    case 'struct':
      return null
    default:
      return unreachable(type)
  }
}

function integerText(bounds: readonly Bounds[]): BoundsText {
  const { min, max } = integers(bounds, littleEndian)
  return { min: String(min), max: String(max) }
}

function floatText(bounds: readonly Bounds[]): BoundsText | null {
  const min = Math.min(...bounds.map((bound) => float(bound.min)))
  const max = Math.max(...bounds.map((bound) => float(bound.max)))
  // JSON has no infinity.
  return Number.isFinite(min) && Number.isFinite(max) ? { min: String(min), max: String(max) } : null
}

function stringText(bounds: readonly Bounds[]): BoundsText | null {
  let { min, max } = bounds[0]!
  for (const bound of bounds) {
    if (Buffer.compare(bound.min, min) < 0) min = bound.min
    if (Buffer.compare(bound.max, max) > 0) max = bound.max
  }
  if (min.length > STRING_BYTES_MAX || max.length > STRING_BYTES_MAX) return null
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    return { min: JSON.stringify(decoder.decode(min)), max: JSON.stringify(decoder.decode(max)) }
  } catch {
    return null
  }
}

function dateText(bounds: readonly Bounds[]): BoundsText | null {
  const { min, max } = integers(bounds, littleEndian)
  const first = calendarDate(Number(min))
  const last = calendarDate(Number(max))
  if (first.year < YEAR_MIN || last.year > YEAR_MAX) return null
  return { min: `"${first.text}"`, max: `"${last.text}"` }
}

/**
 * Delta's timestamps have milliseconds here. The lower bound is rounded down and the upper one up: some readers add a
 * millisecond to it themselves, others do not.
 */
function timestampText(bounds: readonly Bounds[], local: boolean): BoundsText | null {
  const { min, max } = integers(bounds, littleEndian)
  const first = instantText(floorDivide(min, 1000n), local)
  const last = instantText(-floorDivide(-max, 1000n), local)
  return first === null || last === null ? null : { min: first, max: last }
}

function instantText(ms: bigint, local: boolean): string | null {
  const days = floorDivide(ms, BigInt(DAY_MS))
  const { year, text } = calendarDate(Number(days))
  if (year < YEAR_MIN || year > YEAR_MAX) return null
  const time = new Date(Number(ms - days * BigInt(DAY_MS))).toISOString().slice(11, 23)
  return `"${text}T${time}${local ? '' : 'Z'}"`
}

/** Parquet has decimals as int32 or int64 up to 9 or 18 digits, above that as big-endian bytes. */
function decimalTexts(bounds: readonly Bounds[], scale: number): BoundsText {
  const { min, max } = integers(bounds, (bytes) =>
    bytes.length === 4 || bytes.length === 8 ? littleEndian(bytes) : bigEndian(bytes),
  )
  return { min: decimalText(min, scale), max: decimalText(max, scale) }
}

function decimalText(unscaled: bigint, scale: number): string {
  if (scale === 0) return String(unscaled)
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const point = digits.length - scale
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, point)}.${digits.slice(point)}`
}

function integers(
  bounds: readonly Bounds[],
  read: (bytes: Uint8Array) => bigint,
): { min: bigint; max: bigint } {
  let min = read(bounds[0]!.min)
  let max = read(bounds[0]!.max)
  for (const bound of bounds) {
    const [low, high] = [read(bound.min), read(bound.max)]
    if (low < min) min = low
    if (high > max) max = high
  }
  return { min, max }
}

function float(bytes: Uint8Array): number {
  const view = viewOf(bytes)
  return bytes.length === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true)
}

function littleEndian(bytes: Uint8Array): bigint {
  const view = viewOf(bytes)
  return bytes.length === 4 ? BigInt(view.getInt32(0, true)) : view.getBigInt64(0, true)
}

/** Two's complement of any length. */
function bigEndian(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return BigInt.asIntN(bytes.length * 8, value)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function floorDivide(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor
  return dividend % divisor < 0n ? quotient - 1n : quotient
}
