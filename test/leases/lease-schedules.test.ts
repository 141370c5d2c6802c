import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { play, schedules } from './lease-schedules.ts'

/** The longest of: the time to live of who died last, twice for an heir that died too; a release; a look at the source. */
const BOUND_MS = 150_000

const RUNS = Number(process.env['MILLRACE_LEASE_RUNS'] ?? 150)

describe('leases, whatever happens', () => {
  it('give every task one owner in the end, evenly, children after their parents; then nothing moves', {
    timeout: 120_000 + RUNS * 1_000,
  }, async () => {
    const seen = { losses: 0, releases: 0, confirmed: 0, refused: 0, ended: 0, namesakes: 0 }
    await fc.assert(
      fc.asyncProperty(schedules, async (schedule) => {
        const world = await play(schedule)
        await world.pass(BOUND_MS)
        const problems = world.problems()
        if (problems.length > 0) throw new Error(`${problems.join('\n')}\n${world.trace.join('\n')}`)
        const { length } = world.turns
        await world.pass(120_000)
        expect(world.turns.slice(length)).toEqual([])
        expect(world.problems()).toEqual([])
        for (const { failure, losses, revocations, logs } of world.processes) {
          expect(failure).toBe(null)
          seen.losses += losses
          seen.releases += revocations
          seen.namesakes += logs.filter((line) => line.includes('under the name of this one')).length
        }
        seen.confirmed += world.confirmations.yes
        seen.refused += world.confirmations.no
        seen.ended += world.shards.filter(({ isEnded }) => isEnded).length
      }),
      { numRuns: RUNS, endOnFailure: true },
    )
    // What never happened has not been tested.
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(0)
  })
})
