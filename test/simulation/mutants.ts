import type { FlushLimits, RunBindings } from '../../src/runtime/bindings.ts'
import { runPipeline } from '../../src/runtime/run-pipeline.ts'
import { ALL_RULES, type ProtocolRules } from '../../src/runtime/rules.ts'
import { type Disturbance, DISTURBANCES, type Weather } from '../../src/testing/simulation/weather.ts'
import type { BrokerWeather } from '../../src/testing/simulation/sim-broker.ts'
import { EVERY_CARE, type OutboxCare } from '../../src/testing/simulation/sim-outbox.ts'
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
  readonly snapshots?: RunBindings['snapshots']
  /** In a world with a Kafka. */
  readonly kafka?: boolean
  /** … where the partitions are shards. */
  readonly shards?: boolean
}

/** An outbox without one of its cares: some seed must show that it was needed. */
export interface OutboxMutant {
  readonly care: keyof OutboxCare
  readonly story: string
  readonly firstSeed?: number
  readonly weather?: Weather
  readonly broker?: Partial<BrokerWeather>
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
    firstSeed: 119,
    weather: PAUSES,
  },
  {
    rule: 'nonceOnExists',
    story: 'an owner takes its own record for that of another, and stops',
    firstSeed: 15,
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
    firstSeed: 151,
    weather: PAUSES,
  },
  { rule: 'txnBeforeCommit', story: 'what a crashed owner published is published again', firstSeed: 21 },
  { rule: 'txnAfterLostRace', story: 'two owners publish the same epoch', firstSeed: 21 },
  { rule: 'txnOfEveryTask', story: 'one task of a group commit publishes an epoch again', firstSeed: 113 },
  { rule: 'publishAfterRecord', story: 'an epoch that was never recorded is published', firstSeed: 17 },
  { rule: 'redoAll', story: 'of two unpublished epochs the older is forgotten', firstSeed: 113 },
  { rule: 'redoAscending', story: 'the newer epoch moves the marker past the older', firstSeed: 113 },
  { rule: 'markerPerTable', story: 'one table has the epoch, and the others never get it', firstSeed: 43 },
  { rule: 'orphanAboveData', story: 'a claimant deletes files that are published' },
  { rule: 'orphanOlderClaim', story: 'a sleeper deletes what its successor staged', weather: PAUSES },
  { rule: 'namesCarryOwner', story: 'a sleeper overwrites what its successor published', weather: PAUSES },
  { rule: 'recordsInOrder', story: 'epochs are handed on in the order of their uploads' },
  { rule: 'sealOldChains', story: 'the owner of a replaced incarnation goes on', freshChance: 0.5 },
  {
    rule: 'fenceOldIncarnation',
    story: 'a sleeper adds the files of a replaced incarnation',
    firstSeed: 80,
    weather: PAUSES,
    freshChance: 0.5,
  },
  { rule: 'switchRemovesFiles', story: 'the rows of both incarnations are there', freshChance: 0.5 },
  {
    rule: 'removeWithAdd',
    story: 'a reader finds a result twice, until its older file is taken out',
    firstSeed: 14,
  },
  {
    rule: 'redoRemoves',
    story: 'a redo adds the newer result and leaves the older one',
    firstSeed: 100,
    flush: { ...EPOCH_A_RECORD, rowsMax: 5 },
    weather: weather(['crash-before'], { disturbance: 0.02, slow: '_delta_log', slowness: 0.97 }),
  },
  {
    rule: 'netRemoves',
    story: 'one commit adds a file and removes it, which leaves it there',
    firstSeed: 178,
  },
  {
    rule: 'restoreFiles',
    story: 'a restored merge does not know which files hold the older results',
    firstSeed: 105,
  },
  {
    rule: 'cutAtRecordedTime',
    story: 'a restored merge takes early results for written that were not due, or not for written that were',
    firstSeed: 113,
    flush: { ...EPOCH_A_RECORD, rowsMax: 5 },
    snapshots: { smallPanes: 0, everyEpochs: 16 },
  },
  { rule: 'mergeAfterRecord', story: 'the merge folds an epoch that was never recorded', firstSeed: 44 },
  { rule: 'claimsMoveNoWatermark', story: 'windows close before the first record' },
  {
    rule: 'keepFiredPanes',
    story: 'the row of an idle partition replaces the result instead of adding to it',
    firstSeed: 392,
  },
  {
    rule: 'allSourcesHoldWatermark',
    story: 'the merge catches up with one partition and closes windows before it has heard of the other',
    firstSeed: 395,
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
  {
    rule: 'parentsFirst',
    story: 'a shard is read before what came before it, with the watermark and the keys of a moment',
    firstSeed: 18,
    shards: true,
  },
  {
    rule: 'inheritWatermark',
    story: 'rows of a shard that follows another are on time again that were late',
    firstSeed: 104,
    shards: true,
  },
  {
    rule: 'inheritKeys',
    story: 'a record that was sent twice is kept twice, because its shard was split in between',
    firstSeed: 18,
    shards: true,
  },
  {
    rule: 'parentHoldsWatermark',
    story: 'windows close between the end of a shard and the first word of those that follow it',
    firstSeed: 18,
    shards: true,
  },
  {
    rule: 'markerAtLeast',
    story: 'epochs below the marker are published again',
    firstSeed: 33,
    kafka: true,
  },
  {
    rule: 'scanWhenMarkerUnknown',
    story: 'a group that expired, or was reset, brings the messages of an epoch a second time',
    firstSeed: 302,
    kafka: true,
  },
  {
    rule: 'claimAfterDoubt',
    story: 'an answer that was lost ends a process that nobody replaces',
    firstSeed: 154,
    kafka: true,
  },
  {
    rule: 'retakeOnlyIfConfirmed',
    story: 'a member that does not hear of its loss takes the task from its new owner, again and again',
    firstSeed: 707,
    kafka: true,
  },
  {
    rule: 'deletePublishedOnly',
    story: 'a record is deleted before a table, or a topic, has what it promises',
    firstSeed: 298,
    kafka: true,
  },
  {
    rule: 'retainMergeSnapshot',
    story: 'the merge is to fold again what has been deleted',
    firstSeed: 81,
    kafka: true,
  },
  {
    rule: 'retainForEverySlice',
    story: 'an epoch is deleted that one slice of the merge has folded, and another has not',
    firstSeed: 971,
    kafka: true,
  },
  {
    rule: 'retainNamedState',
    story: 'a restore misses the dedupe keys that an older epoch staged',
    firstSeed: 14,
    kafka: true,
  },
  {
    rule: 'raiseBeforeDelete',
    story: 'a chain has lost its beginning before every table is marked above it',
    firstSeed: 14,
    kafka: true,
  },
]

export const OUTBOX_MUTANTS: readonly OutboxMutant[] = [
  {
    care: 'fenceBeforeMarker',
    story: 'the former owner publishes between the marker that was read and the fence',
    firstSeed: 609,
    weather: { ...PAUSES, slow: 'init', slowness: 0.97 },
  },
  {
    care: 'stableMarker',
    story: 'the marker of a transaction that is committed is not there yet',
    firstSeed: 44,
  },
  {
    care: 'markerInTransaction',
    story: 'messages are committed, and the process dies before the marker is',
    firstSeed: 395,
  },
  {
    care: 'stopInDoubt',
    story: 'an end of a transaction whose answer was lost is followed by the same messages again',
    firstSeed: 141,
    weather: weather(['in-flight', 'response-lost', 'dropped'], {
      landing: 0.3,
      slow: 'commit',
      slowness: 0.9,
    }),
    broker: { promptness: 0.95 },
  },
]

/** The first of `seeds` seeds that shows the absence of the rule; null where none does. */
export async function catchMutant(mutant: Mutant, seeds: number): Promise<SeedOutcome | null> {
  const { rule, flush, snapshots, freshChance, firstSeed = 1, kafka = false, shards = false } = mutant
  const over = {
    ...(flush === undefined ? {} : { flush }),
    ...(snapshots === undefined ? {} : { snapshots }),
  }
  const rules = { ...ALL_RULES, [rule]: false }
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const outcome = await runSeed(seed, {
      run: (spec, bindings) => runPipeline(spec, { ...bindings, ...over }, rules),
      weather: mutant.weather ?? null,
      freshChance: freshChance ?? null,
      kafka,
      shards,
    })
    if (outcome.failures.length > 0) return outcome
  }
  return null
}

export async function catchOutboxMutant(mutant: OutboxMutant, seeds: number): Promise<SeedOutcome | null> {
  const { care, firstSeed = 1, weather: climate = null, broker } = mutant
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const outcome = await runSeed(seed, {
      kafka: true,
      care: { ...EVERY_CARE, [care]: false },
      weather: climate,
      ...(broker === undefined ? {} : { broker }),
    })
    if (outcome.failures.length > 0) return outcome
  }
  return null
}
