import { assert, unreachable } from '../errors.ts'
import type { BinaryColumn, Column, Int64Column } from './column.ts'
import type { ColumnType } from './column-type.ts'
import { lookup, shown } from './object-shape.ts'
import { utf8Length, writeUtf8 } from './utf8.ts'

/** Appends a value that is not null, or returns why it does not fit. */
export type CellAppender = (column: Column, value: unknown) => string | null

type ScalarType = Exclude<ColumnType, { kind: 'list' | 'map' | 'struct' }>

export function scalarAppender(type: ScalarType, path: string): CellAppender {
  switch (type.kind) {
    case 'int32':
      return int32Appender(path, 'a 32-bit integer')
    case 'date':
      return int32Appender(path, 'a whole number of days')
    case 'time':
      return type.unit === 'millis'
        ? int32Appender(path, 'a whole number of milliseconds')
        : int64Appender(path, 'a whole number of microseconds', INT64_MAX)
    case 'int64':
      return int64Appender(path, 'a 64-bit integer (a bigint, or a number up to 2^53)', INT64_MAX)
    case 'timestamp':
      return type.unit === 'millis'
        ? int64Appender(path, 'a whole number of milliseconds that a table can hold', MILLIS_MAX)
        : int64Appender(path, 'a whole number of microseconds', INT64_MAX)
    case 'float32':
    case 'float64':
      return floatAppender(type.kind, path)
    case 'boolean':
      return booleanAppender(path)
    case 'string':
      return stringAppender(path)
    case 'bytes':
      return bytesAppender(path)
    case 'fixed':
      return fixedAppender(type.size, path)
    case 'enum':
      return enumAppender(type.symbols, path)
    case 'decimal':
      return decimalAppender(type.precision, type.scale, path)
    default:
      return unreachable(type)
  }
}

function misfit(path: string, value: unknown, expected: string): string {
  return `field ${path} is ${shown(value)}, not ${expected}`
}

function int32Appender(path: string, expected: string): CellAppender {
  return (column, value) => {
    assert(column.storage === 'int32', `${path} is not an int32 column`)
    if (typeof value !== 'number' || value !== value >> 0) return misfit(path, value, expected)
    column.reserve(column.length + 1)
    column.values[column.length++] = value
    return null
  }
}

const INT64_MAX = 2n ** 63n - 1n
/** The milliseconds whose microseconds fit an int64. */
const MILLIS_MAX = INT64_MAX / 1000n

function int64Appender(path: string, expected: string, max: bigint): CellAppender {
  const min = max === INT64_MAX ? -max - 1n : -max
  return (column, value) => {
    assert(column.storage === 'int64', `${path} is not an int64 column`)
    if (typeof value === 'number' && Number.isSafeInteger(value)) {
      appendWords(column, value | 0, Math.floor(value / 4294967296))
      return null
    }
    // Milliseconds are read as numbers, so those beyond 2^53 come back as such.
    const long =
      typeof value === 'number' && Number.isInteger(value) && max === MILLIS_MAX ? BigInt(value) : value
    if (typeof long !== 'bigint' || long > max || long < min) return misfit(path, value, expected)
    appendWords(column, Number(BigInt.asIntN(32, long)), Number(BigInt.asIntN(32, long >> 32n)))
    return null
  }
}

function appendWords(column: Int64Column, low: number, high: number): void {
  column.reserve(column.length + 1)
  const k = 2 * column.length++
  column.words[k] = low
  column.words[k + 1] = high
}

function floatAppender(kind: 'float32' | 'float64', path: string): CellAppender {
  return (column, value) => {
    assert(column.storage === 'float32' || column.storage === 'float64', `${path} is not a float column`)
    if (typeof value !== 'number') return misfit(path, value, 'a number')
    if (kind === 'float32' && Number.isFinite(value) && !Number.isFinite(Math.fround(value))) {
      return misfit(path, value, 'in the range of a float')
    }
    column.reserve(column.length + 1)
    column.values[column.length++] = value
    return null
  }
}

function booleanAppender(path: string): CellAppender {
  return (column, value) => {
    assert(column.storage === 'boolean', `${path} is not a boolean column`)
    if (typeof value !== 'boolean') return misfit(path, value, 'a boolean')
    const row = column.length
    column.reserve(row + 1)
    if (value) column.bits[row >> 3]! |= 1 << (row & 7)
    else column.bits[row >> 3]! &= ~(1 << (row & 7))
    column.length++
    return null
  }
}

function stringAppender(path: string): CellAppender {
  return (column, value) => {
    assert(column.storage === 'binary', `${path} is not a string column`)
    if (typeof value !== 'string') return misfit(path, value, 'a string')
    const length = utf8Length(value)
    if (length < 0) return misfit(path, value, 'well-formed: it has half of a surrogate pair')
    const at = roomFor(column, length)
    writeUtf8(value, column.data, at)
    return null
  }
}

function bytesAppender(path: string): CellAppender {
  return (column, value) => {
    assert(column.storage === 'binary', `${path} is not a bytes column`)
    if (!(value instanceof Uint8Array)) return misfit(path, value, 'a Uint8Array')
    const at = roomFor(column, value.length)
    column.data.set(value, at)
    return null
  }
}

/** Appends a row of so many bytes, and returns where they go. */
function roomFor(column: BinaryColumn, bytes: number): number {
  column.reserve(column.length + 1)
  const at = column.offsets[column.length]!
  column.reserveData(at + bytes)
  column.offsets[++column.length] = at + bytes
  return at
}

function fixedAppender(size: number, path: string): CellAppender {
  return (column, value) => {
    assert(column.storage === 'fixed', `${path} is not a fixed column`)
    if (!(value instanceof Uint8Array) || value.length !== size) {
      const found = value instanceof Uint8Array ? `a Uint8Array of ${value.length} bytes` : shown(value)
      return `field ${path} is ${found}, not a Uint8Array of ${size} bytes`
    }
    column.reserve(column.length + 1)
    column.data.set(value, column.length++ * size)
    return null
  }
}

function enumAppender(symbols: readonly string[], path: string): CellAppender {
  const indices = new Map<unknown, number>(symbols.map((symbol, index) => [symbol, index]))
  return (column, value) => {
    assert(column.storage === 'int32', `${path} is not an enum column`)
    const index = indices.get(value)
    if (index === undefined) return misfit(path, value, `one of ${symbols.join(', ')}`)
    column.reserve(column.length + 1)
    column.values[column.length++] = index
    return null
  }
}

function decimalAppender(precision: number, scale: number, path: string): CellAppender {
  const limit = 10n ** BigInt(precision)
  return (column, value) => {
    assert(column.storage === 'fixed', `${path} is not a decimal column`)
    const isObject = typeof value === 'object' && value !== null
    const unscaled = isObject ? lookup(value, 'unscaled') : null
    const ownScale = isObject ? lookup(value, 'scale') : null
    if (typeof unscaled !== 'bigint' || typeof ownScale !== 'number' || !isScale(ownScale)) {
      return misfit(path, value, 'a decimal { unscaled: bigint, scale: number }')
    }
    const digits = rescaled(unscaled, ownScale, scale)
    const text = `${shown(unscaled)} at scale ${ownScale}`
    if (digits === null)
      return `field ${path} is ${text}, which does not fit a scale of ${scale} without rounding`
    if (digits >= limit || digits <= -limit)
      return `field ${path} is ${text}, which has more than ${precision} digits`
    column.reserve(column.length + 1)
    writeInt128(column.data, column.length++ * 16, digits)
    return null
  }
}

function isScale(scale: number): boolean {
  return Number.isInteger(scale) && scale >= 0 && scale <= 1000
}

/** Null where digits would be lost. */
function rescaled(unscaled: bigint, from: number, to: number): bigint | null {
  if (from === to) return unscaled
  if (from < to) return unscaled * 10n ** BigInt(to - from)
  const divisor = 10n ** BigInt(from - to)
  return unscaled % divisor === 0n ? unscaled / divisor : null
}

/** 16 bytes of two's complement, least significant first. */
function writeInt128(data: Uint8Array, at: number, value: bigint): void {
  for (let word = 0; word < 4; word++) {
    const bits = Number(BigInt.asUintN(32, value >> BigInt(word * 32)))
    for (let k = 0; k < 4; k++) data[at + word * 4 + k] = bits >>> (k * 8)
  }
}
