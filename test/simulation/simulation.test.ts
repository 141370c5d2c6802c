import { describe, expect, it } from 'vitest'
import { REGRESSIONS } from './regressions.ts'
import { describeFailure, runSeed } from './run-seed.ts'

/**
 * Random pipelines over random input, run by several processes at once that crash, sleep and lose answers; what they leave must be what the
 * oracle says: in lakes alone, in worlds with a Kafka, where they form a group and write to topics, and in such worlds where the partitions are shards that are split and
 * merged. MILLRACE_SEEDS=n runs n seeds of each, MILLRACE_FIRST_SEED=n begins there, MILLRACE_SEED=n runs that one alone, with MILLRACE_WORLD=kafka or shards in such a world.
 */
const { MILLRACE_SEED, MILLRACE_SEEDS, MILLRACE_FIRST_SEED, MILLRACE_WORLD } = process.env
const only = MILLRACE_SEED === undefined ? null : Number(MILLRACE_SEED)
const first = Number(MILLRACE_FIRST_SEED ?? 1)
const count = Number(MILLRACE_SEEDS ?? 300)
/** One test holds so many seeds: a test of its own for each would cost more than the seed. */
const SEEDS_A_TEST = 25

type World = 'lake' | 'kafka' | 'shards'

async function play(seed: number, world: World): Promise<void> {
  const outcome = await runSeed(seed, { kafka: world === 'kafka', shards: world === 'shards' })
  if (outcome.failures.length > 0) expect.fail(describeFailure(outcome))
}

// Not by `runIf`: with CI set a test that is skipped is a failure, and these two are never wanted together.
if (only !== null)
  it(`seed ${only} gives what the oracle says`, () => play(only, (MILLRACE_WORLD ?? 'lake') as World))
else describe('seeds', allSeeds)

function allSeeds(): void {
  for (const { seed, story, kafka = false, shards = false } of REGRESSIONS) {
    it(`seed ${seed}: ${story}`, () => play(seed, shards ? 'shards' : kafka ? 'kafka' : 'lake'))
  }

  const worlds = { lake: '', kafka: ' of a world with a Kafka', shards: ' of a world with shards' }
  for (const world of ['lake', 'kafka', 'shards'] as const) {
    for (let from = first; from < first + count; from += SEEDS_A_TEST) {
      const to = Math.min(from + SEEDS_A_TEST, first + count)
      it(`seeds ${from} to ${to - 1}${worlds[world]} give what the oracle says`, {
        timeout: SEEDS_A_TEST * 10_000,
      }, async () => {
        for (let seed = from; seed < to; seed++) await play(seed, world)
      })
    }
  }

  it('a seed runs the same way each time', async () => {
    for (const seed of [3, 14, 15]) {
      for (const world of [{}, { kafka: true }, { shards: true }]) {
        const once = await runSeed(seed, world)
        const again = await runSeed(seed, world)
        expect(again.result.trace).toEqual(once.result.trace)
      }
    }
  })

  it('disturbs in every way', async () => {
    const counts: Record<string, number> = {}
    for (let seed = 1; seed <= 60; seed++) {
      const { result } = await runSeed(seed)
      for (const [kind, times] of Object.entries(result.counts)) counts[kind] = (counts[kind] ?? 0) + times
    }
    for (const [kind, times] of Object.entries(counts)) expect(times, kind).toBeGreaterThan(0)
  })

  it('reshards in every way', { timeout: 300_000 }, async () => {
    const counts = { followed: 0, merged: 0, forgotten: 0, byLeases: 0, byGroup: 0, movedOn: 0 }
    for (let seed = 1; seed <= 60 && Object.values(counts).includes(0); seed++) {
      const { trace, kafka } = (await runSeed(seed, { shards: true })).result
      const has = (what: RegExp): number => (trace.some((line) => what.test(line)) ? 1 : 0)
      counts.followed += has(/open readings-\d at null after readings-\d~\d+(~\d)? /)
      counts.merged += has(/open readings-\d at null after readings-\d~\d+(~\d)? readings-/)
      counts.forgotten += kafka!.forgotten
      counts.byLeases += has(/\/_leases\//)
      counts.byGroup += has(/group: /)
      counts.movedOn += has(/open readings-\d at readings-\d~\d+~\d/)
    }
    for (const [kind, times] of Object.entries(counts)) expect(times, kind).toBeGreaterThan(0)
  })

  // Some are rare: as many seeds as it takes.
  it('meets every trouble of groups and transactions', { timeout: 300_000 }, async () => {
    const counts: Record<string, number> = {}
    const hasMetAll = () => Object.values(counts).every((times) => times > 0)
    for (let seed = 1; seed === 1 || (seed <= 500 && !hasMetAll()); seed++) {
      const { kafka } = (await runSeed(seed, { kafka: true })).result
      for (const [kind, times] of Object.entries({ ...kafka!.broker.counts, ...kafka!.group.counts }))
        counts[kind] = (counts[kind] ?? 0) + times
    }
    for (const [kind, times] of Object.entries(counts)) expect(times, kind).toBeGreaterThan(0)
  })
}
