import { assert } from '../errors.ts'
import type { BinaryColumn, FixedColumn, Int64Column } from './column.ts'
import type { Decimal } from './decimal.ts'
import { decodeUtf8 } from './utf8.ts'

/** Single values of columns whose storage is known; null is not looked at. */

/** The int64 of a row. */
export function longAt(column: Int64Column, row: number): bigint {
  return longOf(column.words[row * 2]!, column.words[row * 2 + 1]!)
}

/** The int64 of two words. */
export function longOf(low: number, high: number): bigint {
  // Most are far below 2^53, and one conversion is cheaper than three operations on bigints.
  if (high < 0x1fffff && high > -0x200000) return BigInt(high * 4294967296 + (low >>> 0))
  return (BigInt(high) << 32n) | BigInt(low >>> 0)
}

/** The int64 of a row as a number: exact to 2^53, which is the year 287396 in milliseconds. */
export function millisAt(column: Int64Column, row: number): number {
  return column.words[row * 2 + 1]! * 4294967296 + (column.words[row * 2]! >>> 0)
}

export function stringAt(column: BinaryColumn, row: number): string {
  return decodeUtf8(column.data, column.offsets[row], column.offsets[row + 1])
}

/** A copy: the column is overwritten by the next epoch. */
export function bytesAt(column: BinaryColumn, row: number): Uint8Array {
  return column.data.slice(column.offsets[row], column.offsets[row + 1])
}

export function fixedAt(column: FixedColumn, row: number): Uint8Array {
  return column.data.slice(row * column.width, (row + 1) * column.width)
}

export function decimalAt(column: FixedColumn, row: number): Decimal {
  const { type } = column.field
  assert(type.kind === 'decimal', 'a decimal column has a decimal type')
  let unscaled = 0n
  for (let word = 3; word >= 0; word--) {
    const k = row * 16 + word * 4
    const { data } = column
    const bits = data[k]! | (data[k + 1]! << 8) | (data[k + 2]! << 16) | (data[k + 3]! << 24)
    unscaled = (unscaled << 32n) | BigInt(bits >>> 0)
  }
  return { unscaled: BigInt.asIntN(128, unscaled), scale: type.scale }
}
