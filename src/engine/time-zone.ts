import { assert } from '../errors.ts'

const HOUR_MS = 3_600_000
/** No zone has ever been further from UTC: Manila was 15:56 behind, Juneau 15:02 ahead. */
const OFFSET_MAX_MS = 16 * HOUR_MS
/** Of `Date`. Nothing is known of the clocks beyond. */
const DATE_MAX_MS = 8.64e15

/** What the clocks of a place show: offsets from UTC, from the time zone database that comes with the runtime. */
export class TimeZone {
  readonly #format: Intl.DateTimeFormat

  /** Of a name that the program was refused without. */
  constructor(name: string) {
    this.#format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' })
  }

  /** Local time − UTC at a moment. About a microsecond. */
  offsetMsAt(timeMs: number): number {
    const text = this.#format.format(Math.max(-DATE_MAX_MS, Math.min(DATE_MAX_MS, timeMs)))
    // 'GMT', 'GMT+05:45', and before standard time 'GMT-00:01:15'.
    const match = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text)
    assert(match !== null, `an offset in ${text}`)
    const [, sign, hours = 0, minutes = 0, seconds = 0] = match
    const offsetMs = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000
    return sign === '-' ? -offsetMs : offsetMs
  }
}

/**
 * The first moment at which the clocks of a zone show a local time (in milliseconds since 1970-01-01T00:00 local) or a later one. An hour at a time: clocks
 * have never been changed twice within one.
 */
export function firstMomentOf(zone: Pick<TimeZone, 'offsetMsAt'>, localMs: number): number {
  const firstMs = localMs - OFFSET_MAX_MS
  const lastMs = localMs + OFFSET_MAX_MS
  let offsetMs = zone.offsetMsAt(firstMs)
  for (let fromMs = firstMs; ; fromMs += HOUR_MS) {
    assert(fromMs < lastMs, 'every local time comes, or is skipped')
    const toMs = fromMs + HOUR_MS
    const nextOffsetMs = zone.offsetMsAt(toMs)
    const changeMs = nextOffsetMs === offsetMs ? toMs : changeBetween(zone, fromMs, toMs, offsetMs)
    // Up to the change the clocks run evenly.
    if (localMs - offsetMs < changeMs) return localMs - offsetMs
    if (nextOffsetMs !== offsetMs && changeMs + nextOffsetMs >= localMs) return changeMs
    offsetMs = nextOffsetMs
  }
}

/** The first moment in (from, to] at which the offset is no longer that of `from`: bisection. */
function changeBetween(
  zone: Pick<TimeZone, 'offsetMsAt'>,
  fromMs: number,
  toMs: number,
  offsetMs: number,
): number {
  let before = fromMs
  let after = toMs
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2)
    if (zone.offsetMsAt(middle) === offsetMs) before = middle
    else after = middle
  }
  return after
}
