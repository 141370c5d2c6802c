import { assert } from '../errors.ts'
import type { CalendarSpec } from '../topology/node.ts'
import { dayOfMonthStart, monthOf } from '../columns/civil-date.ts'
import { firstMomentOf, TimeZone } from './time-zone.ts'
import type { AlignedWindows } from './window.ts'

const DAY_MS = 86_400_000
/** 1970-01-01 was a Thursday, the fourth day of ISO 8601's week. */
const WEEKDAY_OF_EPOCH = 4
/** Windows of which the boundaries are kept: days of 179 years. */
const KNOWN_MAX = 65_536

/**
 * Days, weeks and months of a time zone. A date begins at its first moment, and never again: where the clock goes back over midnight, the hour that comes twice
 * belongs to the new day, and a date that a zone skipped has no window. To ask the time zone for a boundary takes microseconds, so those found are kept.
 */
export class CalendarWindows implements AlignedWindows {
  readonly #spec: CalendarSpec
  readonly #zone: TimeZone
  /** Sorted; of each start its end. Windows that nobody has asked for lie between. */
  #startsMs: number[] = []
  #endsMs: number[] = []

  constructor(spec: CalendarSpec) {
    this.#spec = spec
    this.#zone = new TimeZone(spec.timeZone)
  }

  startOf(timeMs: number): number {
    return this.#startsMs[this.#indexOf(timeMs)]!
  }

  endOf(startMs: number): number {
    return this.#endsMs[this.#indexOf(startMs)]!
  }

  /** Of the window that holds a time. */
  #indexOf(timeMs: number): number {
    const after = this.#countUpTo(timeMs)
    if (after > 0 && timeMs < this.#endsMs[after - 1]!) return after - 1
    if (this.#startsMs.length === KNOWN_MAX) {
      this.#startsMs = []
      this.#endsMs = []
      return this.#indexOf(timeMs)
    }
    const { startMs, endMs } = this.#find(timeMs)
    this.#startsMs.splice(after, 0, startMs)
    this.#endsMs.splice(after, 0, endMs)
    return after
  }

  /** How many starts are at or before a time: binary search. */
  #countUpTo(timeMs: number): number {
    const starts = this.#startsMs
    let low = 0
    let high = starts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (starts[middle]! <= timeMs) low = middle + 1
      else high = middle
    }
    return low
  }

  #find(timeMs: number): { readonly startMs: number; readonly endMs: number } {
    const zone = this.#zone
    // The date on the wall, or a later one that has begun before the clock went back.
    let day = Math.floor((timeMs + zone.offsetMsAt(timeMs)) / DAY_MS)
    while (firstMomentOf(zone, (day + 1) * DAY_MS) <= timeMs) day++
    const first = this.#firstDayOf(day)
    const startMs = firstMomentOf(zone, first * DAY_MS)
    const endMs = firstMomentOf(zone, this.#nextFirstDay(first) * DAY_MS)
    assert(startMs <= timeMs && timeMs < endMs, 'a window holds the time that it was found for')
    return { startMs, endMs }
  }

  /** Of the window that holds a date; both are days since 1970-01-01. */
  #firstDayOf(day: number): number {
    const { unit, weekStart } = this.#spec
    if (unit === 'day') return day
    if (unit === 'month') return dayOfMonthStart(monthOf(day))
    const daysIn = (day + WEEKDAY_OF_EPOCH - weekStart) % 7
    return day - (daysIn < 0 ? daysIn + 7 : daysIn)
  }

  #nextFirstDay(first: number): number {
    const { unit } = this.#spec
    if (unit === 'day') return first + 1
    return unit === 'week' ? first + 7 : dayOfMonthStart(monthOf(first) + 1)
  }
}
