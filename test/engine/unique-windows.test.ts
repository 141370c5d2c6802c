import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { outcome, uniquePlan } from './ordered-harness.ts'
import { type Arrival, compareArrivals, play, scripts } from './ordered-script.ts'

function naive(arrivals: readonly Arrival[], withinMs: number): readonly Arrival[] {
  const last = new Map<string, number>()
  return [...arrivals].sort(compareArrivals).filter(({ row: { key, timeMs } }) => {
    if (timeMs < (last.get(key) ?? -Infinity) + withinMs) return false
    last.set(key, timeMs)
    return true
  })
}

describe('dedupe over all partitions', () => {
  it('keeps the same rows, in their order, whatever the order of partials, the cuts and the restarts', () => {
    fc.assert(
      fc.property(
        scripts({ boundsMs: [0, 2, 8, 30], partitions: 3, gaps: true }),
        fc.constantFrom(0, 1, 5, 20),
        fc.constantFrom(1, 4, 15),
        (script, allowedLatenessMs, withinMs) => {
          const isLate = ({ row, floorMs }: Arrival) => floorMs > row.timeMs + allowedLatenessMs
          const kept = naive(
            script.partitions.flat().filter((arrival) => !isLate(arrival)),
            withinMs,
          )
          const { merge, late } = play(uniquePlan(withinMs, allowedLatenessMs), script)
          const expected = kept.map(({ row: { key, timeMs, value, gap = null } }) => {
            return { key, at: new Date(timeMs).toISOString(), value, gap }
          })
          expect(merge.all).toEqual(expected)
          expect(outcome(merge.table)).toEqual(outcome(expected))
          expect(late).toEqual(script.partitions.map((own) => own.filter(isLate).map(({ offset }) => offset)))
        },
      ),
      { numRuns: 500 },
    )
  })
})
