import type { SourceNode } from '../../topology/node.ts'
import { valueAt } from './cell.ts'
import type { Row } from './item.ts'

/** The stage at which a row is refused because it lies too far ahead of its arrival, or null. */
export function futureOf(
  { watermark }: SourceNode,
  row: Row,
  timeMs: number,
  arrivalMs: number,
): 'event-time' | 'watermark' | null {
  if (watermark === null) return null
  const latestMs = arrivalMs + watermark.futureLimitMs
  if (timeMs > latestMs) return 'event-time'
  if (watermark.kind !== 'punctuated') return null
  const value = valueAt(row, watermark.field)
  return value !== null && millisOf(value as number | bigint) > latestMs ? 'watermark' : null
}

/** The watermark of a partition after a row that has an event time. A function of the user may throw. */
export function nextWatermark(
  { watermark }: SourceNode,
  row: Row,
  timeMs: number,
  watermarkMs: number,
): number {
  if (watermark === null) return watermarkMs
  if (watermark.kind === 'bounded-out-of-orderness') return Math.max(watermarkMs, timeMs - watermark.boundMs)
  const value =
    watermark.kind === 'punctuated'
      ? valueAt(row, watermark.field)
      : watermark.watermarkOf(row as never, timeMs)
  if (value === null || value === undefined) return watermarkMs
  const valueMs = millisOf(value as number | bigint)
  return Number.isNaN(valueMs) ? watermarkMs : Math.max(watermarkMs, valueMs)
}

/** Micros are bigints; they are floored. */
export function millisOf(time: number | bigint): number {
  if (typeof time === 'number') return time
  const rest = ((time % 1000n) + 1000n) % 1000n
  return Number((time - rest) / 1000n)
}
