import { replay } from 'millrace/testing'
import { expect, test } from 'vitest'
import { rides } from './rides.ts'

const FIRST_MS = Date.UTC(2026, 0, 5, 12)

/** A trip each minute; every tenth repeats the one before it. */
function trip(index: number) {
  const atMs = FIRST_MS + index * 60_000
  return {
    arrivalMs: atMs,
    row: {
      tripId: `trip-${index % 10 === 9 ? index - 1 : index}`,
      vendor: index % 2 === 0 ? 'a' : 'b',
      pickupAt: atMs,
      dropoffAt: atMs,
      distance: 1,
      fare: index,
      tip: index,
      tolls: 0,
      total: 1,
      passengerCount: 0,
      zone: 1,
      promo: null,
      surcharge: null,
      paymentType: 'card',
      stored: false,
      pickup: { lat: 0, lon: 0 },
    },
  }
}

test('a program with every kind of window, trigger, aggregate and key runs as it says', async () => {
  const { topics, ...spec } = rides()
  expect(topics).toHaveLength(3)
  const records = Array.from({ length: 300 }, (_trip, index) => trip(index))
  const result = await replay(spec, { records })
  const rows = (table: string) => result.rows(table)
  expect(rows('dead_letters')).toEqual([])
  expect(rows('silver/once')).toHaveLength(270)
  expect(rows('gold/total')).toMatchObject([{ window_start: null, window_end: null, trips: 300 }])
  const hours = rows('gold/zone_hours').filter(({ revision }) => revision === 0)
  expect(new Set(hours.map(({ hour_of_day: hour }) => hour))).toEqual(new Set([12, 13, 14, 15, 16]))
  expect(hours[0]).toMatchObject({
    // Sunday in Berlin.
    window_start: '2026-01-03T23:00:00.000Z',
    window_end: '2026-01-10T23:00:00.000Z',
  })
  // None of the hours has more than 100 trips.
  expect(rows('gold/busy')).toEqual([])
  expect(rows('gold/visits')).toMatchObject([{ vendor: 'a' }, { vendor: 'b' }])
  expect(rows('gold/recent')).toHaveLength(300)
  // Trips a minute apart, of two vendors by turns: a trip and the five before it.
  expect(rows('gold/recent').at(-1)).toMatchObject({ revenue: 6 })
  expect(rows('gold/batches')).toMatchObject([
    { vendor: 'a', window_number: 0, revenue: 100 },
    { vendor: 'b', window_number: 0, revenue: 100 },
  ])
})
