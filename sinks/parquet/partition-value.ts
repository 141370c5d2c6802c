import type { BinaryColumn, Column } from '../../src/columns/column.ts'
import { PipelineError } from '../../src/errors.ts'
import type { PartitionColumn } from '../../src/ports.ts'
import { calendarDate } from './calendar.ts'

/**
 * How rows get their partition value, in two steps, because many rows share a value: a key that is cheap to take and to
 * compare, and the text of that key as Delta serialises it. The row must be present.
 */
export interface PartitionReader {
  key(row: number): PartitionKey
  /** Null for an empty string, which Delta cannot tell from null. */
  text(key: PartitionKey): string | null
}

export type PartitionKey = number | bigint | string

/** Throws PARTITION_BAD_TYPE where a table cannot be partitioned so by a column of this type. */
export function partitionReader(partition: PartitionColumn, column: Column): PartitionReader {
  return partition.kind === 'value' ? valueReader(column) : derivedReader(partition.kind, column)
}

function valueReader(column: Column): PartitionReader {
  const type = column.field.type
  if (column.storage === 'binary' && type.kind === 'string') {
    return { key: stringKey(column), text: (key) => String(key) || null }
  }
  if (column.storage === 'boolean') {
    const { bits } = column
    return { key: (row) => (bits[row >> 3]! >> (row & 7)) & 1, text: (key) => String(key === 1) }
  }
  if (column.storage === 'int32') {
    const { values } = column
    return { key: (row) => values[row]!, text: (key) => int32Text(column, Number(key)) }
  }
  if (column.storage === 'int64' && type.kind !== 'timestamp') {
    return { key: (row) => longOf(column.words, row), text: String }
  }
  throw badType(
    column,
    'a string, an enum, a boolean, an integer, a date, or the day, hour or month of a timestamp',
  )
}

/** The hour since 1970 is the key of all three. */
function derivedReader(kind: 'day' | 'hour' | 'month', column: Column): PartitionReader {
  const type = column.field.type
  const text = (key: PartitionKey) => bucketText(kind, Number(key))
  if (column.storage === 'int32' && type.kind === 'date') {
    const { values } = column
    return { key: (row) => values[row]! * 24, text }
  }
  if (column.storage === 'int64' && type.kind === 'timestamp') {
    const { words } = column
    const hourLength = type.unit === 'millis' ? 3_600_000 : 3_600_000_000
    const key = (row: number) => {
      const value = words[row * 2 + 1]! * 0x1_0000_0000 + (words[row * 2]! >>> 0)
      // A double beyond 2^53 may fall into the hour beside its own.
      if (Number.isSafeInteger(value)) return Math.floor(value / hourLength)
      return floorDivide(longOf(words, row), BigInt(hourLength))
    }
    return { key, text }
  }
  throw badType(column, `a timestamp or a date, to have ${kind === 'hour' ? 'an hour' : `a ${kind}`}`)
}

/** Decodes a string only where it differs from that of the row before. */
function stringKey({ offsets, data }: BinaryColumn): (row: number) => string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let last = ''
  let lastStart = 0
  let lastLength = -1
  return (row) => {
    const start = offsets[row]!
    const length = offsets[row + 1]! - start
    let same = length === lastLength
    for (let index = 0; same && index < length; index++)
      same = data[start + index] === data[lastStart + index]
    if (!same) last = decoder.decode(data.subarray(start, start + length))
    lastStart = start
    lastLength = length
    return last
  }
}

function int32Text(column: Column, value: number): string {
  const type = column.field.type
  if (type.kind === 'enum') return type.symbols[value]!
  return type.kind === 'date' ? dateText(value, column) : String(value)
}

function dateText(day: number, column: Column): string {
  const { year, text } = calendarDate(day)
  if (year >= 1 && year <= 9999) return text
  throw new PipelineError(
    'PARTITION_BAD_VALUE',
    `The column ${column.field.name} has the date ${text}, which readers cannot parse as a partition value.`,
    { advice: 'Drop such rows with an expectation, or partition by the month of the column.' },
  )
}

/** 'YYYY-MM-DD', 'YYYY-MM-DD-HH' or 'YYYY-MM' of an hour counted from 1970-01-01T00:00:00Z. */
function bucketText(kind: 'day' | 'hour' | 'month', hours: number): string {
  const day = Math.floor(hours / 24)
  const { text } = calendarDate(day)
  if (kind === 'day') return text
  return kind === 'month' ? text.slice(0, -3) : `${text}-${String(hours - day * 24).padStart(2, '0')}`
}

function badType(column: Column, wanted: string): PipelineError {
  const { name, type } = column.field
  return new PipelineError('PARTITION_BAD_TYPE', `Cannot partition by ${name}, whose type is ${type.kind}.`, {
    advice: `The column must be ${wanted}.`,
  })
}

function longOf(words: Int32Array, row: number): bigint {
  return (BigInt(words[row * 2 + 1]!) << 32n) | BigInt(words[row * 2]! >>> 0)
}

function floorDivide(dividend: bigint, divisor: bigint): number {
  const quotient = dividend / divisor
  return Number(dividend % divisor < 0n ? quotient - 1n : quotient)
}
