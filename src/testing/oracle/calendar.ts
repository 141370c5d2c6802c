import type { CalendarSpec } from '../../topology/node.ts'
import type { Bounds } from './windows.ts'

/**
 * Days, weeks and months of a time zone, found by asking Intl for the date of one instant after another. Nothing is known here of offsets and
 * of changes of the clock.
 */
export function calendarWindow({ unit, timeZone, weekStart }: CalendarSpec, timeMs: number): Bounds {
  const zone = zoneOf(timeZone)
  // Where the clock goes back over midnight, the date of an instant can be one that is over already.
  let day = zone.dayAt(timeMs)
  while (zone.startOf(day + 1) <= timeMs) day++
  const first = firstDay(unit, weekStart, day)
  return { startMs: zone.startOf(first), endMs: zone.startOf(nextFirstDay(unit, first)) }
}

/** Days are counted from 1970-01-01, as if every day had 24 hours. */
function firstDay(unit: CalendarSpec['unit'], weekStart: number, day: number): number {
  let first = day
  if (unit === 'week') while (weekdayOf(first) !== weekStart) first--
  if (unit === 'month') while (dateOf(first).getUTCDate() !== 1) first--
  return first
}

function nextFirstDay(unit: CalendarSpec['unit'], first: number): number {
  if (unit === 'day') return first + 1
  if (unit === 'week') return first + 7
  let next = first + 1
  while (dateOf(next).getUTCDate() !== 1) next++
  return next
}

/** 1 is Monday, 7 Sunday. */
function weekdayOf(day: number): number {
  return dateOf(day).getUTCDay() || 7
}

function dateOf(day: number): Date {
  return new Date(day * DAY_MS)
}

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const STEP_MS = 900_000

class Zone {
  readonly #format: Intl.DateTimeFormat
  readonly #starts = new Map<number, number>()

  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
    })
  }

  /** The date that the zone has at an instant. */
  dayAt(timeMs: number): number {
    const parts = new Map(this.#format.formatToParts(timeMs).map(({ type, value }) => [type, value]))
    const year = Number(parts.get('year'))
    const date = new Date(0)
    date.setUTCFullYear(
      parts.get('era')!.startsWith('B') ? 1 - year : year,
      Number(parts.get('month')) - 1,
      Number(parts.get('day')),
    )
    return date.getTime() / DAY_MS
  }

  /** The first instant that has this date or a later one. */
  startOf(day: number): number {
    const known = this.#starts.get(day)
    if (known !== undefined) return known
    // No zone has ever been more than 16 hours from UTC.
    let after = day * DAY_MS - 17 * HOUR_MS
    while (this.dayAt(after) < day) after += STEP_MS
    let before = after - STEP_MS
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2)
      if (this.dayAt(middle) < day) before = middle
      else after = middle
    }
    this.#starts.set(day, after)
    return after
  }
}

const zones = new Map<string, Zone>()

function zoneOf(timeZone: string): Zone {
  const zone = zones.get(timeZone) ?? new Zone(timeZone)
  zones.set(timeZone, zone)
  return zone
}
