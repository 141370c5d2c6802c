import type { FlushLimits } from '../../src/runtime/bindings.ts'
import { runPipeline } from '../../src/runtime/run-pipeline.ts'
import { ALL_RULES, type ProtocolRules } from '../../src/runtime/rules.ts'
import { type Disturbance, DISTURBANCES, type Weather } from '../../src/testing/simulation/scheduler.ts'
import { runSeed, type SeedOutcome } from './run-seed.ts'

/** The pipeline with one rule of the protocol taken out: some seed must show that the rule was needed. */
export interface Mutant {
  readonly rule: keyof ProtocolRules
  /** What the rule's absence does, in a few words. */
  readonly story: string
  /** A seed that shows it at this day's code; the search begins there. */
  readonly firstSeed?: number
  /** Null: the weather that the seed draws. */
  readonly weather?: Weather
  readonly freshChance?: number
  readonly flush?: FlushLimits
}

function weather(kinds: readonly Disturbance[], over: Partial<Weather> = {}): Weather {
  const weights = Object.fromEntries(DISTURBANCES.map((kind) => [kind, kinds.includes(kind) ? 1 : 0]))
  return {
    disturbance: 0.1,
    disturbancesMax: 20,
    spawnsMax: 5,
    stickiness: 0.9,
    slow: null,
    slowness: 0,
    landing: 0.05,
    stepMsMax: 2,
    ...over,
    weights: weights as Weather['weights'],
  }
}

const EPOCH_A_RECORD: FlushLimits = { rowsMax: 1, bytesMax: 1_000_000, everyMs: null, batchRecordsMax: 100 }
const PAUSES = weather(['pause', 'spawn'])

export const MUTANTS: readonly Mutant[] = [
  {
    rule: 'claimBeforeWork',
    story: 'a sleeper that was replaced deletes or repeats what its successor wrote',
    firstSeed: 16,
    weather: PAUSES,
  },
  {
    rule: 'nonceOnExists',
    story: 'an owner takes its own record for that of another, and stops',
    weather: weather(['in-flight'], { disturbance: 0.3, disturbancesMax: 60, landing: 0.5, spawnsMax: 0 }),
  },
  {
    rule: 'ambiguousPutIsRead',
    story: 'a record that never arrived counts as put',
    weather: weather(['dropped', 'in-flight']),
  },
  {
    rule: 'claimIsHead',
    story: 'a claimant restores from a list that others have moved on',
    firstSeed: 59,
    weather: PAUSES,
  },
  { rule: 'txnBeforeCommit', story: 'what a crashed owner published is published again' },
  { rule: 'txnAfterLostRace', story: 'two owners publish the same epoch' },
  { rule: 'txnOfEveryTask', story: 'one task of a group commit publishes an epoch again', firstSeed: 50 },
  { rule: 'publishAfterRecord', story: 'an epoch that was never recorded is published' },
  { rule: 'redoAll', story: 'of two unpublished epochs the older is forgotten', firstSeed: 90 },
  { rule: 'redoAscending', story: 'the newer epoch moves the marker past the older', firstSeed: 90 },
  { rule: 'markerPerTable', story: 'one table has the epoch, and the others never get it', firstSeed: 30 },
  { rule: 'orphanAboveData', story: 'a claimant deletes files that are published' },
  { rule: 'orphanOlderClaim', story: 'a sleeper deletes what its successor staged', weather: PAUSES },
  { rule: 'namesCarryOwner', story: 'a sleeper overwrites what its successor published', weather: PAUSES },
  { rule: 'recordsInOrder', story: 'epochs are handed on in the order of their uploads' },
  { rule: 'sealOldChains', story: 'the owner of a replaced incarnation goes on', freshChance: 0.5 },
  {
    rule: 'fenceOldIncarnation',
    story: 'a sleeper adds the files of a replaced incarnation',
    firstSeed: 22,
    weather: PAUSES,
    freshChance: 0.5,
  },
  { rule: 'switchRemovesFiles', story: 'the rows of both incarnations are there', freshChance: 0.5 },
  { rule: 'mergeAfterRecord', story: 'the merge folds an epoch that was never recorded', firstSeed: 1 },
  { rule: 'claimsMoveNoWatermark', story: 'windows close before the first record' },
  {
    rule: 'keepFiredPanes',
    story: 'the row of an idle partition replaces the result instead of adding to it',
    firstSeed: 178,
  },
  {
    rule: 'allSourcesHoldWatermark',
    story: 'the merge catches up with one partition and closes windows before it has heard of the other',
    firstSeed: 372,
    flush: EPOCH_A_RECORD,
    weather: weather(['crash-before'], {
      disturbance: 0.005,
      disturbancesMax: 2,
      spawnsMax: 1,
      stickiness: 0,
      slow: 'merge-0',
      slowness: 0.9999,
    }),
  },
]

/** The first of `seeds` seeds that shows the absence of the rule; null where none does. */
export async function catchMutant(mutant: Mutant, seeds: number): Promise<SeedOutcome | null> {
  const { rule, flush, freshChance, firstSeed = 1 } = mutant
  const rules = { ...ALL_RULES, [rule]: false }
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const outcome = await runSeed(seed, {
      run: (spec, bindings) =>
        runPipeline(spec, flush === undefined ? bindings : { ...bindings, flush }, rules),
      weather: mutant.weather ?? null,
      freshChance: freshChance ?? null,
    })
    if (outcome.failures.length > 0) return outcome
  }
  return null
}
