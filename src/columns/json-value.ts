import { assert, unreachable } from '../errors.ts'
import { bytesAt, decimalAt, fixedAt, longAt, stringAt } from './cell.ts'
import type { Column } from './column.ts'
import { isValid } from './column.ts'
import { decimal } from './decimal.ts'
import { setOwn } from './set-own.ts'

/**
 * The value of a row as JSON, for golden files and people. Every value has one text:
 *
 * - long: a number up to 2^53 - 1 in magnitude, beyond that a string of digits;
 * - NaN and the infinities, decimals: strings;
 * - date, time, timestamp: ISO 8601 with all digits of the unit, 'Z' unless local; the bare integer where it is
 *   outside a day, or outside the years that `Date` knows;
 * - bytes and fixed: hexadecimal;
 * - a union of several types: { branch: value }.
 */
export function jsonValueAt(column: Column, row: number): unknown {
  if (!isValid(column, row)) return null
  const { type } = column.field
  switch (column.storage) {
    case 'int32': {
      const value = column.values[row]!
      if (type.kind === 'enum') return type.symbols[value]
      if (type.kind === 'date') return dateText(value)
      return type.kind === 'time' ? timeText(value, 3) : value
    }
    case 'int64': {
      const value = longAt(column, row)
      if (type.kind === 'timestamp') return timestampText(value, type.unit, type.local)
      return type.kind === 'time' ? timeText(Number(value), 6) : longText(value)
    }
    case 'float32':
    case 'float64': {
      const value = column.values[row]!
      return Number.isFinite(value) ? value : String(value)
    }
    case 'boolean':
      return ((column.bits[row >> 3]! >> (row & 7)) & 1) === 1
    case 'binary':
      return type.kind === 'string' ? stringAt(column, row) : hexText(bytesAt(column, row))
    case 'fixed':
      return type.kind === 'decimal'
        ? decimal.toString(decimalAt(column, row))
        : hexText(fixedAt(column, row))
    case 'list': {
      const items: unknown[] = []
      for (let i = column.offsets[row]!; i < column.offsets[row + 1]!; i++)
        items.push(jsonValueAt(column.element, i))
      return items
    }
    case 'map': {
      const entries: Record<string, unknown> = {}
      for (let i = column.offsets[row]!; i < column.offsets[row + 1]!; i++) {
        setOwn(entries, stringAt(column.keys, i), jsonValueAt(column.values, i))
      }
      return entries
    }
    case 'struct': {
      assert(type.kind === 'struct', 'a struct column has a struct type')
      const object: Record<string, unknown> = {}
      for (const child of column.children) {
        if (type.union === true && !isValid(child, row)) continue
        setOwn(object, child.field.name, jsonValueAt(child, row))
      }
      return object
    }
    default:
      return unreachable(column)
  }
}

function longText(value: bigint): number | string {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString()
}

function hexText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

const DAY_MS = 86_400_000
/** What `Date` can hold. */
const DATE_MS_MAX = 8.64e15

function dateText(days: number): string | number {
  if (Math.abs(days) > DATE_MS_MAX / DAY_MS) return days
  return new Date(days * DAY_MS).toISOString().split('T')[0]!
}

/** `digits` behind the second: 3 for a value in milliseconds, 6 for microseconds. */
function timeText(value: number, digits: 3 | 6): string | number | bigint {
  const unitsPerMs = digits === 3 ? 1 : 1000
  if (value < 0 || value >= DAY_MS * unitsPerMs) return longText(BigInt(value))
  const ms = Math.floor(value / unitsPerMs)
  const rest = digits === 3 ? '' : String(value % 1000).padStart(3, '0')
  return `${new Date(ms).toISOString().slice(11, 23)}${rest}`
}

function timestampText(value: bigint, unit: 'millis' | 'micros', local: boolean): string | number {
  // Floor division, also before 1970.
  const micros = unit === 'micros' ? BigInt.asUintN(64, ((value % 1000n) + 1000n) % 1000n) : 0n
  const ms = Number(unit === 'micros' ? (value - micros) / 1000n : value)
  if (Math.abs(ms) > DATE_MS_MAX) return longText(value)
  const rest = unit === 'micros' ? String(micros).padStart(3, '0') : ''
  return `${new Date(ms).toISOString().slice(0, -1)}${rest}${local ? '' : 'Z'}`
}
