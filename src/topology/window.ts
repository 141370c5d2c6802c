import { type Duration, millis } from './duration.ts'
import { given } from './given.ts'
import type { OrNull, PathOf } from './kinds.ts'
import type {
  CalendarSpec,
  CountSpec,
  GlobalSpec,
  HoppingSpec,
  LatePolicy,
  SessionSpec,
  SlidingSpec,
  TriggerSpec,
  TumblingSpec,
} from './node.ts'

export interface TumblingOptions {
  /** Where windows start, relative to 1970-01-01T00:00:00Z. Default: zero. hours(-1) makes days of UTC+1. */
  readonly offset?: Duration
}

export interface CalendarOptions {
  /** IANA name, as in 'Europe/Berlin'. Default: 'UTC'. */
  readonly timeZone?: string
}

export interface WeekOptions extends CalendarOptions {
  /** Default: 'monday'. */
  readonly weekStartsOn?: Weekday
}

const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const

export type Weekday = (typeof WEEKDAYS)[number]

/**
 * Windows [start, start + size) side by side. Days, weeks and months are those of a time zone: from midnight to midnight, 23 or 25 hours where
 * the clocks change. A day of 24 hours is days(1).
 */
export function tumbling(size: Duration, options?: TumblingOptions): TumblingSpec
export function tumbling(unit: 'week', options?: WeekOptions): CalendarSpec
export function tumbling(unit: CalendarSpec['unit'], options?: CalendarOptions): CalendarSpec
export function tumbling(
  size: Duration | CalendarSpec['unit'],
  options: TumblingOptions & WeekOptions = {},
): TumblingSpec | CalendarSpec {
  if (typeof size === 'number')
    return { kind: 'tumbling', sizeMs: size, offsetMs: options.offset ?? millis(0) }
  const { timeZone = 'UTC', weekStartsOn = 'monday' } = options
  return { kind: 'calendar', unit: size, timeZone, weekStart: WEEKDAYS.indexOf(weekStartsOn) + 1 }
}

export interface HoppingOptions extends TumblingOptions {
  /**
   * From the start of a window to the start of the next. A row is in size / every windows. Where this is longer than the
   * size, rows between two windows are in none: they are in no result, and not late either.
   */
  readonly every: Duration
}

/** Windows [start, start + size), one from each multiple of `every`, so that they overlap, mostly. */
export function hopping(size: Duration, options: HoppingOptions): HoppingSpec {
  const { every, offset } = given(options)
  return { kind: 'hopping', sizeMs: size, hopMs: every as Duration, offsetMs: offset ?? millis(0) }
}

/** A window for each row: the rows of its key in [its event time − size, its event time], both ends included. Rows of one millisecond share theirs. */
export function sliding(size: Duration): SlidingSpec {
  return { kind: 'sliding', sizeMs: size }
}

export interface SessionOptions<Field extends string = string> {
  /** An int or long field: the gap of the row in milliseconds. Null, zero and less: the default gap. */
  readonly gapField?: Field
}

/** Rows of a key that follow each other within the gap: a session ends when so much event time goes by without a row. Sessions that touch are one. */
export function session<const Field extends string = never>(
  gap: Duration,
  options: SessionOptions<Field> = {},
): SessionSpec & { readonly gapField: Field | null } {
  return { kind: 'session', gapMs: gap, gapField: options.gapField ?? null }
}

/** So many rows of a key, in the order of event time. Its results have a `window_number`, from 0. What is left over at the end of a recording makes no result. */
export function countWindow(rows: number): CountSpec {
  return { kind: 'count', rows }
}

/** All rows of a key, for ever. Results come early (`early: …`), and at the end of a recording. */
export function globalWindow(): GlobalSpec {
  return { kind: 'global' }
}

/** Windows that can give results before they are final, and refine them. */
export type TimeWindow<Kinds> =
  | TumblingSpec
  | CalendarSpec
  | HoppingSpec
  | (SessionSpec & { readonly gapField: PathOf<Kinds, OrNull<'int' | 'long'>> | null })

/** Windows whose results come once. */
export type OrderedWindow = SlidingSpec | CountSpec

/** One or both: whichever is due first. */
export type EarlyOptions = EarlyEvery | EarlyRows

export interface EarlyEvery {
  /** A window that has changed is written again when so much arrival time has gone by since it was written last. */
  readonly every: Duration
  readonly rows?: number
}

export interface EarlyRows {
  readonly every?: Duration
  /** … or when so many rows have come since. */
  readonly rows: number
}

export interface FinalWindowOptions<Late extends LatePolicy = LatePolicy> {
  /**
   * How long after its end a window still takes rows. There is no default: it is the choice between early results and
   * complete ones. The final result comes when the watermark reaches end + this.
   */
  readonly allowedLateness: Duration
  /** What becomes of rows that come later still. Default: 'dead-letter', so that nothing is lost. */
  readonly late?: Late
}

export interface WindowOptions<Late extends LatePolicy = LatePolicy> extends FinalWindowOptions<Late> {
  /** Results before the window has ended, each of all rows so far. Default: none. */
  readonly early?: EarlyOptions
  /** A result as soon as the watermark reaches the end, and another for each change within the allowed lateness. Default: one result, when the window is final. */
  readonly refine?: boolean
}

/** A window that never ends has no late rows. */
export interface GlobalWindowOptions {
  readonly early?: EarlyOptions
}

/** Of a window over results: they come when they are final, and are never late by themselves. */
export interface ResultWindowOptions {
  /** Default: zero. */
  readonly allowedLateness?: Duration
  readonly early?: EarlyOptions
  readonly refine?: boolean
}

/** A caller in plain JavaScript may say neither, which the checks refuse. */
function earlyRows(early: EarlyOptions | undefined): TriggerSpec {
  if (early === undefined) return {}
  if (early.rows !== undefined) return { earlyEveryRows: early.rows }
  return early.every === undefined ? { earlyEveryRows: Number.NaN } : {}
}

/** Null where the result comes once: such nodes have no trigger. */
export function triggerOf({ early, refine }: Pick<WindowOptions, 'early' | 'refine'>): TriggerSpec | null {
  const trigger: TriggerSpec = {
    ...(early?.every === undefined ? {} : { earlyEveryMs: early.every }),
    ...earlyRows(early),
    ...(refine ? { refine } : {}),
  }
  return Object.keys(trigger).length === 0 ? null : trigger
}
