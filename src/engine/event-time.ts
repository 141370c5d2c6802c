import { type Column, isValid } from '../columns/column.ts'
import { assert } from '../errors.ts'

/**
 * Milliseconds since 1970 of a timestamp column's rows `[from, to)`, micros floored; NaN for null. out[row − from] is written.
 */
export function readEventTimes(column: Column, from: number, to: number, out: Float64Array): void {
  assert(column.storage === 'int64' && column.field.type.kind === 'timestamp', 'event time is a timestamp')
  const words = column.words
  const isMicros = column.field.type.unit === 'micros'
  for (let row = from; row < to; row++) {
    const value = words[row * 2 + 1]! * 4294967296 + (words[row * 2]! >>> 0)
    out[row - from] = isMicros ? Math.floor(value / 1000) : value
  }
  if (column.validity === null) return
  for (let row = from; row < to; row++) if (!isValid(column, row)) out[row - from] = Number.NaN
}
