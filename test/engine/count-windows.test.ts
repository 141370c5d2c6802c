import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { outcome, windowPlan } from './ordered-harness.ts'
import { type Arrival, compareArrivals, play, scripts } from './ordered-script.ts'

function naive(arrivals: readonly Arrival[], size: number): Record<string, unknown>[] {
  const rows: Record<string, unknown>[] = []
  for (const key of ['a', 'b']) {
    const own = arrivals.filter(({ row }) => row.key === key).sort(compareArrivals)
    for (let number = 0; (number + 1) * size <= own.length; number++) {
      const inside = own.slice(number * size, (number + 1) * size)
      rows.push({
        key,
        window_start: new Date(inside[0]!.row.timeMs).toISOString(),
        window_end: new Date(inside.at(-1)!.row.timeMs + 1).toISOString(),
        window_number: number,
        rows: size,
        total: inside.reduce((sum, { row }) => sum + row.value, 0),
        values: inside.map(({ row }) => row.value),
      })
    }
  }
  return rows
}

describe('count windows', () => {
  it('take so many rows of a key in their order, whatever the order of partials, the cuts and the restarts', () => {
    fc.assert(
      fc.property(
        scripts({ boundsMs: [0, 2, 8, 30], partitions: 3 }),
        fc.constantFrom(0, 1, 5, 20),
        fc.integer({ min: 1, max: 4 }),
        (script, allowedLatenessMs, rows) => {
          const isLate = ({ row, floorMs }: Arrival) => floorMs > row.timeMs + allowedLatenessMs
          const onTime = script.partitions.flat().filter((arrival) => !isLate(arrival))
          const expected = naive(onTime, rows)
          const plan = windowPlan({ kind: 'count', rows }, { allowedLatenessMs })
          const { merge, late } = play(plan, script)
          expect(outcome(merge.table)).toEqual(outcome(expected))
          expect(outcome(merge.finals)).toEqual(outcome(expected))
          expect(late).toEqual(script.partitions.map((own) => own.filter(isLate).map(({ offset }) => offset)))
        },
      ),
      { numRuns: 500 },
    )
  })

  it('take every row once where some come after their time, from a partition that was idle', () => {
    fc.assert(
      fc.property(
        scripts({ boundsMs: [0, 8], partitions: 3, idle: true }),
        fc.integer({ min: 1, max: 3 }),
        (script, rows) => {
          const { merge } = play(windowPlan({ kind: 'count', rows }, { allowedLatenessMs: 5 }), script)
          const isOnTime = ({ row, floorMs }: Arrival) => floorMs <= row.timeMs + 5
          for (const key of ['a', 'b']) {
            const onTime = script.partitions.flat().filter((one) => one.row.key === key && isOnTime(one))
            const results = merge.all.filter((result) => result['key'] === key)
            const values = results.flatMap((result) => result['values'] as readonly number[])
            expect(results.map((result) => result['window_number'])).toEqual([...results.keys()])
            expect(values).toHaveLength(onTime.length - (onTime.length % rows))
            expect(new Set(values).size).toBe(values.length)
          }
        },
      ),
      { numRuns: 200 },
    )
  })
})
