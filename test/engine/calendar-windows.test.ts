import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CalendarWindows } from '../../src/engine/calendar-windows.ts'
import { dayOfMonthStart, monthOf } from '../../src/columns/civil-date.ts'
import { firstMomentOf, TimeZone } from '../../src/engine/time-zone.ts'
import type { CalendarSpec } from '../../src/topology/node.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

function windows(unit: CalendarSpec['unit'], timeZone: string, weekStart = 1): CalendarWindows {
  return new CalendarWindows({ kind: 'calendar', unit, timeZone, weekStart })
}

/** The window that holds a time, as text. */
function windowOf(calendar: CalendarWindows, time: string): readonly [string, string] {
  const startMs = calendar.startOf(Date.parse(time))
  return [textOf(startMs), textOf(calendar.endOf(startMs))]
}

const textOf = (timeMs: number): string => new Date(timeMs).toISOString().replace(/:00\.000Z$/, 'Z')

describe('a day of a time zone', () => {
  it.each([
    // zone, a time within the day, its start, its end, hours
    ['UTC', '2024-02-29T12:00Z', '2024-02-29T00:00Z', '2024-03-01T00:00Z', 24],
    ['Europe/Berlin', '2024-03-31T12:00Z', '2024-03-30T23:00Z', '2024-03-31T22:00Z', 23],
    ['Europe/Berlin', '2024-10-27T12:00Z', '2024-10-26T22:00Z', '2024-10-27T23:00Z', 25],
    ['America/New_York', '2024-11-03T12:00Z', '2024-11-03T04:00Z', '2024-11-04T05:00Z', 25],
    // Half an hour of summer time.
    ['Australia/Lord_Howe', '2024-04-06T18:00Z', '2024-04-06T13:00Z', '2024-04-07T13:30Z', 24.5],
    // 5:45 ahead of UTC, and 5:30 until 1986.
    ['Asia/Kathmandu', '2024-04-06T18:00Z', '2024-04-05T18:15Z', '2024-04-06T18:15Z', 24],
    ['Asia/Kathmandu', '1985-12-31T19:00Z', '1985-12-31T18:30Z', '1986-01-01T18:15Z', 23.75],
    // Clocks go from 0:00 to 1:00: the day has no midnight, and begins at one.
    ['America/Havana', '2024-03-10T12:00Z', '2024-03-10T05:00Z', '2024-03-11T04:00Z', 23],
    ['America/Sao_Paulo', '2018-11-04T12:00Z', '2018-11-04T03:00Z', '2018-11-05T02:00Z', 23],
    // From 1:00 back to 0:00: midnight comes twice, and the first counts.
    ['America/Havana', '2024-11-03T04:30Z', '2024-11-03T04:00Z', '2024-11-04T05:00Z', 25],
    // From 0:00 back to 23:00: the day before has the hour twice.
    ['America/Sao_Paulo', '2018-02-18T02:30Z', '2018-02-17T02:00Z', '2018-02-18T03:00Z', 25],
    // From 0:01 back to 23:01: the hour that comes again belongs to the day that had begun.
    ['America/St_Johns', '2006-10-29T02:45Z', '2006-10-29T02:30Z', '2006-10-30T03:30Z', 25],
    ['America/St_Johns', '2006-10-29T02:29Z', '2006-10-28T02:30Z', '2006-10-29T02:30Z', 24],
    // Samoa had no 30 December 2011.
    ['Pacific/Apia', '2011-12-30T09:59Z', '2011-12-29T10:00Z', '2011-12-30T10:00Z', 24],
    ['Pacific/Apia', '2011-12-30T10:00Z', '2011-12-30T10:00Z', '2011-12-31T10:00Z', 24],
    // Before 1970, and before standard time.
    ['Europe/London', '1969-12-31T22:00Z', '1969-12-30T23:00Z', '1969-12-31T23:00Z', 24],
    ['Europe/London', '1800-01-01T12:00Z', '1800-01-01T00:01:15.000Z', '1800-01-02T00:01:15.000Z', 24],
  ])('%s at %s', (timeZone, time, start, end, hours) => {
    const calendar = windows('day', timeZone)
    expect(windowOf(calendar, time)).toEqual([start, end])
    const startMs = calendar.startOf(Date.parse(time))
    expect((calendar.endOf(startMs) - startMs) / HOUR_MS).toBe(hours)
  })
})

describe('a week', () => {
  it('begins on the day that the program says', () => {
    // 2024-03-31 was a Sunday.
    expect(windowOf(windows('week', 'Europe/Berlin'), '2024-03-31T12:00Z')).toEqual([
      '2024-03-24T23:00Z',
      '2024-03-31T22:00Z',
    ])
    expect(windowOf(windows('week', 'Europe/Berlin', 7), '2024-03-31T12:00Z')).toEqual([
      '2024-03-30T23:00Z',
      '2024-04-06T22:00Z',
    ])
    expect(windowOf(windows('week', 'UTC', 4), '1970-01-01T00:00Z')).toEqual([
      '1970-01-01T00:00Z',
      '1970-01-08T00:00Z',
    ])
    expect(windowOf(windows('week', 'UTC', 5), '1970-01-01T00:00Z')[0]).toBe('1969-12-26T00:00Z')
  })
})

describe('a month', () => {
  it('has the length of its month, and of its clocks', () => {
    expect(windowOf(windows('month', 'Europe/Berlin'), '2024-03-31T21:59Z')).toEqual([
      '2024-02-29T23:00Z',
      '2024-03-31T22:00Z',
    ])
    expect(windowOf(windows('month', 'UTC'), '1900-02-28T00:00Z')[1]).toBe('1900-03-01T00:00Z')
    expect(windowOf(windows('month', 'UTC'), '0000-02-29T00:00Z')[0]).toBe('0000-02-01T00:00Z')
  })

  it('is there for the earliest time that is taken', () => {
    const calendar = windows('month', 'Asia/Tokyo')
    const startMs = calendar.startOf(-8.64e15)
    expect(startMs).toBeLessThanOrEqual(-8.64e15)
    expect(calendar.endOf(startMs)).toBeGreaterThan(-8.64e15)
  })
})

const time = fc.integer({ min: Date.UTC(1850, 0), max: Date.UTC(2040, 0) })
const zone = fc.constantFrom(
  'UTC',
  'Europe/Dublin',
  'America/Havana',
  'America/Sao_Paulo',
  'America/St_Johns',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Pacific/Kwajalein',
  'Africa/Casablanca',
  'Asia/Manila',
)

describe('windows of the calendar', () => {
  it('lie side by side, in whatever order they are asked for', () => {
    const spec = fc.tuple(fc.constantFrom('day', 'week', 'month'), zone, fc.integer({ min: 1, max: 7 }))
    const property = fc.property(spec, fc.array(time, { minLength: 1, maxLength: 8 }), (one, times) => {
      const [unit, timeZone, weekStart] = one
      const calendar = windows(unit, timeZone, weekStart)
      for (const timeMs of times) {
        const startMs = calendar.startOf(timeMs)
        const endMs = calendar.endOf(startMs)
        expect(startMs <= timeMs && timeMs < endMs).toBe(true)
        expect(calendar.startOf(endMs - 1)).toBe(startMs)
        expect(calendar.startOf(endMs)).toBe(endMs)
        expect(windows(unit, timeZone, weekStart).startOf(timeMs)).toBe(startMs)
      }
    })
    fc.assert(property, { numRuns: 60 })
  })

  it('begin when the clock first shows the date, found here minute by minute', () => {
    const changes = [
      ['America/St_Johns', '2006-10-29T03:00Z'],
      ['America/Havana', '2024-11-03T05:00Z'],
      ['Pacific/Apia', '2011-12-30T10:00Z'],
      ['Australia/Lord_Howe', '2024-04-06T15:00Z'],
    ] as const
    for (const [name, change] of changes) {
      const own = new TimeZone(name)
      const fromMs = Date.parse(change) - DAY_MS
      let newest = -Infinity
      for (let timeMs = fromMs; timeMs < fromMs + 2 * DAY_MS; timeMs += 60_000) {
        const day = Math.floor((timeMs + own.offsetMsAt(timeMs)) / DAY_MS)
        if (day > newest && newest > -Infinity) expect(firstMomentOf(own, day * DAY_MS)).toBe(timeMs)
        newest = Math.max(newest, day)
      }
    }
  })
})

describe('dates', () => {
  it('are those of Date, wherever Date has them', () => {
    const property = fc.property(fc.integer({ min: -100_000_000, max: 100_000_000 }), (day) => {
      const date = new Date(day * DAY_MS)
      const month = (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth()
      expect(monthOf(day)).toBe(month)
      expect(dayOfMonthStart(month)).toBe(day - date.getUTCDate() + 1)
    })
    fc.assert(property, { numRuns: 2_000 })
  })
})
