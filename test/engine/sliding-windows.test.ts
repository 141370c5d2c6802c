import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { outcome, windowPlan } from './ordered-harness.ts'
import { type Arrival, compareArrivals, IDLE, play, scripts } from './ordered-script.ts'

const SIZE_MS = 12

/** The first window, by its end − 1, that a row is on time for. */
function firstOf({ row, floorMs }: Arrival, latenessMs: number): number {
  let first = row.timeMs
  if (floorMs === -Infinity) return first
  while (floorMs >= first + 1 + latenessMs) first++
  return first
}

/** Decision 0007, looking at all rows at once. */
function naive(arrivals: readonly Arrival[], latenessMs: number): Record<string, unknown>[] {
  const rows: Record<string, unknown>[] = []
  for (const key of ['a', 'b']) {
    const own = arrivals.filter(({ row }) => row.key === key)
    const ends = own.filter((arrival) => firstOf(arrival, latenessMs) === arrival.row.timeMs)
    for (const endMs of new Set(ends.map(({ row }) => row.timeMs))) {
      const inside = own
        .filter(({ row }) => row.timeMs >= endMs - SIZE_MS && row.timeMs <= endMs)
        .filter((arrival) => firstOf(arrival, latenessMs) <= endMs)
        .sort(compareArrivals)
      rows.push({
        key,
        window_start: new Date(endMs - SIZE_MS).toISOString(),
        window_end: new Date(endMs + 1).toISOString(),
        rows: inside.length,
        total: inside.reduce((sum, { row }) => sum + row.value, 0),
        values: inside.map(({ row }) => row.value),
      })
    }
  }
  return rows
}

describe('sliding windows', () => {
  it.each([
    [14, 400],
    [90, 60],
  ])(
    'end at each row, whatever the order of partials, the cuts, the restarts, and idleness',
    (rowsMax, numRuns) => {
      fc.assert(
        fc.property(
          scripts({ boundsMs: [0, 2, 8, 30], partitions: 3, idle: true, rowsMax }),
          fc.constantFrom(0, 1, 5, 20),
          fc.boolean(),
          (script, allowedLatenessMs, newest) => {
            const arrivals = script.partitions.flat()
            const expected = naive(arrivals, allowedLatenessMs)
            const plan = windowPlan({ kind: 'sliding', sizeMs: SIZE_MS }, { allowedLatenessMs })
            const { merge, late } = play(plan, script, newest)
            expect(outcome(merge.topic.values())).toEqual(outcome(expected))
            if (newest) expect(outcome(merge.table)).toEqual(outcome(expected))
            if (script.steps.every(([kind]) => kind !== IDLE)) {
              expect(outcome(merge.finals)).toEqual(outcome(expected))
            }
            const isLate = (arrival: Arrival) =>
              firstOf(arrival, allowedLatenessMs) > arrival.row.timeMs + SIZE_MS
            expect(late).toEqual(
              script.partitions.map((own) => own.filter(isLate).map(({ offset }) => offset)),
            )
            expect(merge.window.openPanes).toBe(0)
          },
        ),
        { numRuns },
      )
    },
  )
})
