import type { OracleResult } from '../../src/testing/oracle/oracle.ts'
import { computeOracle } from '../../src/testing/oracle/oracle.ts'
import { jsonlEncoder } from '../../src/testing/simulation/jsonl-encoder.ts'
import {
  simulate,
  type SimulationOptions,
  type SimulationResult,
} from '../../src/testing/simulation/simulation.ts'
import { newestIncarnation, unreadInput } from '../../src/testing/simulation/at-rest.ts'
import type { SimBroker } from '../../src/testing/simulation/sim-broker.ts'
import { EVERY_CARE, type OutboxCare } from '../../src/testing/simulation/sim-outbox.ts'
import type { SimKafkaOptions } from '../../src/testing/simulation/sim-kafka.ts'
import { verifyChains } from '../../src/testing/simulation/verify-chains.ts'
import { isResult } from '../../src/testing/simulation/verify-results.ts'
import { verifyRetakes } from '../../src/testing/simulation/verify-retakes.ts'
import { type RowsOfFile, verifyLake, verifySummary } from '../../src/testing/simulation/verify.ts'
import {
  verifyDeadLetters,
  verifyTopics,
  type VerifyTopicsOptions,
} from '../../src/testing/simulation/verify-topics.ts'
import { runPipeline } from '../../src/runtime/run-pipeline.ts'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { WRITER_SCHEMAS } from './reading-schema.ts'
import { shardWorkload, type ShardWorkload } from './shard-workload.ts'
import { kafkaWorkload, type KafkaWorkload, randomWorkload, type Workload } from './workload.ts'

export interface SeedOutcome {
  readonly seed: number
  /** Empty where the seed holds. */
  readonly failures: readonly string[]
  readonly result: SimulationResult
  readonly oracle: OracleResult
  readonly workload: Workload
  /** Null: a lake alone. */
  readonly world: 'kafka' | 'shards' | null
}

export interface SeedOptions {
  readonly run?: SimulationOptions['run']
  readonly format?: SimulationOptions['format']
  /** Reads the files of another encoder than the default one. */
  readonly readFiles?: (objects: SimulationResult['objects']) => Promise<RowsOfFile>
  /** What the tables cannot hold as it is. */
  readonly adaptOracle?: (oracle: OracleResult, workload: Workload) => OracleResult
  readonly weather?: SimulationOptions['weather']
  readonly freshChance?: number | null
  /** With a broker, outside topics, and mostly a group. */
  readonly kafka?: boolean
  /** The same, where the partitions are shards that are split and merged. */
  readonly shards?: boolean
  readonly care?: OutboxCare
  readonly broker?: SimKafkaOptions['broker']
}

/** Plays one seed and compares what it left with the oracle. */
export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedOutcome> {
  const shards = options.shards === true ? shardWorkload(seed) : null
  const kafka = shards ?? (options.kafka === true ? kafkaWorkload(seed) : null)
  const workload = kafka ?? randomWorkload(seed)
  const { spec, partitions } = workload
  const oracle = computeOracle(spec, partitions)
  const result = await simulate({
    seed,
    spec,
    recording: { partitions },
    schemas: WRITER_SCHEMAS,
    run: options.run ?? runPipeline,
    format: options.format ?? ((store) => deltaFormat(store, jsonlEncoder)),
    opensCircuit: oracle.opened.size > 0,
    weather: options.weather ?? null,
    freshChance: options.freshChance ?? (shards?.forgetsShards === true ? 0 : null),
    kafka:
      kafka === null
        ? null
        : {
            ...kafkaOptions(kafka, oracle),
            ...shardOptions(shards),
            care: options.care ?? EVERY_CARE,
            broker: options.broker ?? {},
          },
  })
  const failures = [...result.failures]
  if (failures.length === 0) {
    const rowsOfFile = await options.readFiles?.(result.objects)
    const expected = options.adaptOracle?.(oracle, workload) ?? oracle
    const inTopic = kafka?.deadLetterTopic != null
    failures.push(...verifyLake(spec, expected, result.objects, rowsOfFile, inTopic))
    failures.push(...verifyChains(result.objects, spec.name, kafka?.added))
    if (result.summary !== null) failures.push(...verifySummary(oracle, result.summary, inTopic))
    if (kafka !== null && result.kafka !== null) {
      failures.push(...verifyRetakes(result.trace, result.objects))
      result.kafka.broker.settle()
      failures.push(...verifyTopics(topicsOf(kafka, oracle, result.objects, result.kafka.broker)))
    }
  }
  const world = shards !== null ? 'shards' : kafka !== null ? 'kafka' : null
  return { seed, failures, result, oracle, workload, world }
}

function shardOptions(shards: ShardWorkload | null): Partial<SimKafkaOptions> {
  if (shards === null) return {}
  const { reshards, forgetsShards, byLeases } = shards
  return { reshards, forgetsShards, byLeases }
}

function topicsOf(
  { spec, deadLetterTopic }: KafkaWorkload,
  oracle: OracleResult,
  objects: ReadonlyMap<string, Uint8Array>,
  broker: SimBroker,
): VerifyTopicsOptions {
  const incarnation = newestIncarnation(objects, spec.name)
  return { spec, oracle, deadLetterTopic, read: (topic) => broker.committed(topic), incarnation }
}

function kafkaOptions(workload: KafkaWorkload, oracle: OracleResult): SimKafkaOptions {
  const { spec, partitions, deadLetterTopic, added } = workload
  const results = spec.tables.filter(({ input }) => isResult(input))
  const paths = new Set(results.map(({ layer, name }) => `${layer}/${name}`))
  const rowTables = { ...spec, tables: spec.tables.filter(({ input }) => !isResult(input)) }
  const rowOracle = { ...oracle, tables: new Map([...oracle.tables].filter(([path]) => !paths.has(path))) }
  return {
    // Where the breaker opens no process can go on.
    isShared: workload.isShared && oracle.opened.size === 0,
    deadLetterTopic,
    hasTopics: (spec.topics ?? []).length > 0,
    added,
    atRest: (objects, broker) => {
      const unread = unreadInput(objects, spec, { partitions })
      if (unread.length > 0) return unread
      const rows = withoutTables(objects, paths)
      return [
        ...verifyLake(rowTables, rowOracle, rows, undefined, deadLetterTopic !== null),
        ...verifyDeadLetters(topicsOf(workload, oracle, objects, broker)),
      ]
    },
  }
}

/** Results wait for the end of the input: the others are there as soon as all is read. */
function withoutTables(
  objects: ReadonlyMap<string, Uint8Array>,
  tables: ReadonlySet<string>,
): ReadonlyMap<string, Uint8Array> {
  return new Map([...objects].filter(([key]) => !tables.has(key.split('/', 2).join('/'))))
}

const TRACE_LINES = 100
const FAILURES_SHOWN = 10

/** What a person needs to go on from a seed that fails. */
export function describeFailure(outcome: SeedOutcome): string {
  const { seed, failures } = outcome
  const world = outcome.world === null ? '' : `MILLRACE_WORLD=${outcome.world} `
  return [
    `seed ${seed} fails. To repeat it:`,
    `  ${world}MILLRACE_SEED=${seed} npx vitest run test/simulation/simulation.test.ts`,
    ...failures.slice(0, FAILURES_SHOWN).map((failure) => `- ${failure}`),
    ...(failures.length > FAILURES_SHOWN ? [`- … and ${failures.length - FAILURES_SHOWN} more`] : []),
    ...traceOf(outcome),
  ].join('\n')
}

/** Operations before the first table version that is wrong, or else the last; reads that went well are left out. */
function traceOf({ failures, result }: SeedOutcome): readonly string[] {
  const { trace } = result
  let end = trace.length
  for (const failure of failures) {
    const match = /(\S+) version (\d+)/.exec(failure)
    if (match === null) continue
    const log = `create ${match[1]}/_delta_log/${match[2]!.padStart(20, '0')}.json -> created`
    const at = trace.findIndex((line) => line.includes(log))
    if (at >= 0) end = Math.min(end, at + 1)
  }
  const told = trace.slice(0, end).filter((line) => !/: (get|list) .* -> (none|\d+)/.test(line))
  return [
    `The last ${TRACE_LINES} of ${trace.length} operations${end < trace.length ? ` before the first wrong version` : ''}, without reads:`,
    ...told.slice(-TRACE_LINES).map((line) => `  ${line}`),
  ]
}
