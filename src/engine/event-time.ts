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
    const low = words[row * 2]! >>> 0
    const high = words[row * 2 + 1]!
    // 2^32 = 1000 × 4294967 + 296: divided in two parts, the micros stay exact also beyond 2^53.
    out[row - from] = isMicros
      ? high * 4294967 + Math.floor((high * 296 + low) / 1000)
      : high * 4294967296 + low
  }
  if (column.validity === null) return
  for (let row = from; row < to; row++) if (!isValid(column, row)) out[row - from] = Number.NaN
}
