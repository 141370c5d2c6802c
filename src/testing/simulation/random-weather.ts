import type { LeaseTimes } from '../../leases/lease-membership.ts'
import type { FlushLimits, RunBindings } from '../../runtime/bindings.ts'
import type { Prng } from './prng.ts'
import { DISTURBANCES, type Weather } from './weather.ts'
import type { BrokerWeather } from './sim-broker.ts'
import type { GroupWeather } from './sim-group.ts'

const SLOW = [null, null, 'merge-0', 'merge-0', '_delta_log', 'dead_letters', 'silver/', '_staged', '-0']
/** Words with the broker and the coordinator, beside those with the store. */
const SLOW_AT_KAFKA = [...SLOW, 'commit', 'produce', 'init', 'heartbeat', 'release', '.json']

/** Each seed has its own climate: some disturbances are left out, so that the others are seen alone. */
export function randomWeather(random: Prng, hasKafka: boolean): Weather {
  const weights = Object.fromEntries(
    DISTURBANCES.map((kind) => [kind, random.chance(0.35) ? 0 : random.unit()]),
  ) as Record<(typeof DISTURBANCES)[number], number>
  if (Object.values(weights).every((weight) => weight === 0)) weights['crash-after'] = 1
  return {
    disturbance: random.pick([0.01, 0.03, 0.1, 0.3]),
    disturbancesMax: random.pick([2, 5, 10, 40]),
    spawnsMax: random.integer(0, 6),
    stickiness: random.pick([0, 0.5, 0.9, 0.97]),
    slow: random.pick(hasKafka ? SLOW_AT_KAFKA : SLOW),
    slowness: random.pick([0.9, 0.97, 0.999]),
    landing: random.pick([0.01, 0.05, 0.3]),
    // A session must not end while its process waits for its turn.
    stepMsMax: random.pick(hasKafka ? [0, 2, 5] : [0, 2, 50]),
    weights,
  }
}

export function randomBrokerWeather(random: Prng): BrokerWeather {
  return {
    markerLoss: random.pick([0, 0, 0.005, 0.05]),
    idExpiry: random.pick([0, 0, 0.005]),
    promptness: random.pick([0.1, 0.5, 0.95]),
    transactionTimeoutMs: random.pick([500, 5_000, 60_000]),
  }
}

export function randomGroupWeather(random: Prng): GroupWeather {
  return {
    heartbeatMs: random.pick([50, 200, 500]),
    sessionMs: random.pick([3_000, 10_000]),
    handoverMs: random.pick([20, 1_000, 60_000]),
    oddness: random.pick([0, 0.002, 0.01, 0.05]),
  }
}

export function randomLeaseTimes(random: Prng): LeaseTimes {
  return {
    heartbeatMs: random.pick([100, 500]),
    ttlMs: random.pick([3_000, 10_000]),
    releaseMs: random.pick([20, 1_000, 10_000]),
    refreshMs: random.pick([200, 2_000]),
  }
}

export function randomFlush(random: Prng): FlushLimits {
  return {
    rowsMax: random.chance(0.2) ? 1000 : random.integer(1, 50),
    bytesMax: random.chance(0.2) ? random.integer(100, 3_000) : 1_000_000,
    everyMs: random.chance(0.2) ? random.pick([5, 100]) : null,
    batchRecordsMax: random.pick([1, 3, 10, 100]),
  }
}

/** As eager as can be, or as the default is: then nothing is deleted in a run that is so short. */
export function randomRetention(random: Prng): RunBindings['retention'] {
  const retention = {
    keepRecords: random.pick([0, 0, 2]),
    recordsMin: random.integer(1, 4),
    deletesMax: random.pick([1, 2_000]),
  }
  return random.chance(0.5) ? retention : undefined
}
