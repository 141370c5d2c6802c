import { type Duration, hours } from './duration.ts'
import type { WatermarkSpec } from './node.ts'

export interface WatermarkOptions {
  /** A partition without records for so long no longer holds the watermark back. Without it: never. */
  readonly idleAfter?: Duration
  /** Event time beyond arrival time + this is a dead letter, reason 'future'. Default: one hour. */
  readonly futureLimit?: Duration
}

/**
 * One record from a clock that is a day fast would close every window of the day to come. An hour is more than
 * clocks drift and delays reorder; pipelines whose events are dated ahead (bookings, forecasts) set their own.
 */
const FUTURE_LIMIT_DEFAULT = hours(1)

/** Rows may be up to `bound` older than the newest row of their partition: W = max event time − bound. */
export function boundedOutOfOrderness(bound: Duration, options: WatermarkOptions = {}): WatermarkSpec {
  return {
    kind: 'bounded-out-of-orderness',
    boundMs: bound,
    idleAfterMs: options.idleAfter ?? null,
    futureLimitMs: options.futureLimit ?? FUTURE_LIMIT_DEFAULT,
  }
}
