import { days, hours, millis, minutes, seconds } from 'millrace'
import { describe, expect, test } from 'vitest'
import { formatDuration } from '../../src/topology/duration.ts'

describe('durations', () => {
  test('are milliseconds', () => {
    expect([millis(5), seconds(2), minutes(1), hours(1), days(1)]).toEqual([
      5, 2_000, 60_000, 3_600_000, 86_400_000,
    ])
  })

  test('may be given as fractions, and are whole milliseconds all the same', () => {
    expect(seconds(0.1)).toBe(100)
    expect(hours(1.1)).toBe(3_960_000)
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, '5' as unknown as number])(
    'are not made of %s',
    (count) => {
      expect(() => minutes(count)).toThrow(expect.objectContaining({ code: 'INVALID_DURATION' }))
    },
  )

  test.each([
    [0, '0 s'],
    [1, '1 ms'],
    [1_500, '1 s 500 ms'],
    [60_000, '1 min'],
    [5_400_000, '1 h 30 min'],
    [-3_600_000, '−1 h'],
    [90_000_000, '1 d 1 h'],
  ])('%i ms reads as %s', (durationMs, text) => {
    expect(formatDuration(durationMs)).toBe(text)
  })
})
