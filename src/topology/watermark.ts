import { type Duration, hours } from './duration.ts'
import type { FieldOf, InstantKind } from './kinds.ts'
import type { WatermarkLimits, WatermarkSpec } from './node.ts'

export interface WatermarkOptions {
  /** A partition without records for so long no longer holds the watermark back. Without it: never. */
  readonly idleAfter?: Duration
  /** Event time beyond arrival time + this is a dead letter, reason 'future'. Default: one hour. */
  readonly futureLimit?: Duration
  /**
   * A partition whose watermark is further ahead of the slowest than this is not read until the others come near, so that a backlog costs no memory.
   * Without it: never. Results do not depend on it.
   */
  readonly alignWithin?: Duration
}

export type BoundedWatermark = Extract<WatermarkSpec, { kind: 'bounded-out-of-orderness' }>
export type PunctuatedWatermark<Field extends string = string> = WatermarkLimits & {
  readonly kind: 'punctuated'
  readonly field: Field
}
export type CustomWatermark<Row = never> = WatermarkLimits & {
  readonly kind: 'custom'
  readonly watermarkOf: (row: Row, eventTimeMs: number) => number | null
}

/** What a stream of such rows takes. */
export type WatermarkOf<Row, Kinds> =
  | BoundedWatermark
  | PunctuatedWatermark<FieldOf<Kinds, InstantKind>>
  | CustomWatermark<Row>

/**
 * One record from a clock that is a day fast would close every window of the day to come. An hour is more than
 * clocks drift and delays reorder; pipelines whose events are dated ahead (bookings, forecasts) set their own.
 */
const FUTURE_LIMIT_DEFAULT = hours(1)

/** Rows may be up to `bound` older than the newest row of their partition: W = newest event time − bound. */
export function boundedOutOfOrderness(bound: Duration, options: WatermarkOptions = {}): BoundedWatermark {
  return { kind: 'bounded-out-of-orderness', boundMs: bound, ...limits(options) }
}

/** Rows of a partition come in the order of event time, rows of the same millisecond beside each other: W = newest event time. */
export function ascending(options: WatermarkOptions = {}): BoundedWatermark {
  return { kind: 'bounded-out-of-orderness', boundMs: 0, ...limits(options) }
}

/**
 * A timestamp field of the record, which may be null, carries the watermark: the producer knows that nothing older follows. W = max(W, the field).
 * The row itself is judged against the W before it.
 */
export function punctuated<const Field extends string>(
  field: Field,
  options: WatermarkOptions = {},
): PunctuatedWatermark<Field> {
  return { kind: 'punctuated', field, ...limits(options) }
}

/**
 * A function of each row and its event time that returns a watermark in milliseconds, or null to leave it. W never goes back, whatever the function says. It must depend
 * on what it is given alone: what it remembers from row to row is not part of a checkpoint. Rows for which it throws are dead letters 'processing', stage 'watermark'.
 */
export function customWatermark<Row>(
  watermarkOf: (row: Row, eventTimeMs: number) => number | null,
  options: WatermarkOptions = {},
): CustomWatermark<Row> {
  return { kind: 'custom', watermarkOf, ...limits(options) }
}

function limits({ idleAfter, futureLimit, alignWithin }: WatermarkOptions): WatermarkLimits {
  return {
    idleAfterMs: idleAfter ?? null,
    futureLimitMs: futureLimit ?? FUTURE_LIMIT_DEFAULT,
    ...(alignWithin === undefined ? {} : { alignWithinMs: alignWithin }),
  }
}
