import { shardOfTask } from '../../consumers/kinesis/shard-task.ts'
import { KafkaClient } from '../kafka/client.ts'
import { systemClock, systemEntropy } from '../runtime/system.ts'
import { pipelineChains, pipelineOf } from './chain-facts.ts'
import { EXIT, type ExitCode, usageError } from './failure.ts'
import { kafkaPlace } from './kafka-place.ts'
import type { NamedKinesis } from './kinesis-place.ts'
import { beyond, type InputLag, type LagLimit, type LagReport } from './lag-report.ts'
import { lagText, shardLagText } from './lag-text.ts'
import { measureLag } from './measure-lag.ts'
import { type OpenLake, openLake } from './open-lake.ts'
import { SILENT } from './silent-log.ts'
import type { Channel, Terminal } from './terminal.ts'

export interface LagOptions {
  readonly lake: string
  readonly brokers: string | null
  readonly kinesis: NamedKinesis
  /** Null: the only one of the lake. */
  readonly pipeline: string | null
  /** Beside those that the pipeline has begun. */
  readonly topics: readonly string[]
  /** Null: the one that the pipeline has begun. */
  readonly stream: string | null
  /** Of each shard. */
  readonly countMax: number
  readonly transactionalIdPrefix: string
  readonly isJson: boolean
  /** Null: once. */
  readonly everyMs: number | null
  readonly limit: LagLimit | null
}

const CLEAR_SCREEN = '\u001b[2J\u001b[H'

/** How far a pipeline is behind one kind of input, now. */
interface Gauge {
  measure(): Promise<{ readonly report: LagReport<InputLag>; readonly text: (out: Channel) => string }>
  close(): Promise<void>
}

/** `millrace lag`: how far a pipeline is behind its topics, or its stream. Looks from outside, so it works whether the pipeline runs or not. */
export async function lag(options: LagOptions, terminal: Terminal): Promise<ExitCode> {
  const lake = await openLake(options.lake)
  try {
    await lake.checkThere()
    const pipeline = await pipelineOf(lake.store, options.pipeline)
    const isStream = await readsStream(lake, pipeline, options)
    const gauge = isStream
      ? await streamGauge(lake, pipeline, options)
      : await topicGauge(lake, pipeline, options)
    try {
      return await watch(gauge, options, terminal)
    } finally {
      await gauge.close()
    }
  } finally {
    await lake.close()
  }
}

/** As the tasks of the pipeline are called; where it has none yet, by what is named. */
async function readsStream(
  { store }: OpenLake,
  pipeline: string,
  { stream, topics }: LagOptions,
): Promise<boolean> {
  const { tasks } = await pipelineChains(store, pipeline)
  const isStream = tasks.some((task) => shardOfTask(task) !== null)
  if (isStream && topics.length > 0) {
    throw usageError(`${pipeline} reads a Kinesis stream, not topics`, 'Leave --topic out.')
  }
  return isStream || (stream !== null && topics.length === 0)
}

async function watch(gauge: Gauge, options: LagOptions, terminal: Terminal): Promise<ExitCode> {
  for (;;) {
    const { report, text } = await gauge.measure()
    const isWatching = options.everyMs !== null
    if (isWatching && terminal.out.interactive && !options.isJson) await terminal.out.write(CLEAR_SCREEN)
    const exitCode = await show(report, text, options, terminal)
    if (options.everyMs === null) return exitCode
    await systemClock.sleep(options.everyMs)
  }
}

const WORLD = { clock: systemClock, entropy: systemEntropy, log: SILENT }
/** A few tries, then the error: somebody looks at this. */
const RETRY = { ...WORLD, signal: AbortSignal.abort() }

async function topicGauge({ store }: OpenLake, pipeline: string, options: LagOptions): Promise<Gauge> {
  const { topics, transactionalIdPrefix } = options
  const client = new KafkaClient(await kafkaPlace(options.brokers), WORLD)
  const sources = { store, client, pipeline, topics, transactionalIdPrefix, retry: RETRY }
  return {
    async measure() {
      await client.connect()
      const report = await measureLag(sources)
      return { report, text: (out) => lagText(report, out) }
    },
    close: () => client.close(),
  }
}

async function streamGauge({ store }: OpenLake, pipeline: string, options: LagOptions): Promise<Gauge> {
  const { stream, kinesis, brokers, transactionalIdPrefix, countMax, limit } = options
  // The AWS client takes its time to load.
  const { openKinesis } = await import('./open-kinesis.ts')
  const { measureStreamLag } = await import('./measure-stream-lag.ts')
  const api = openKinesis(kinesis, SILENT)
  const client = brokers === null ? null : new KafkaClient(await kafkaPlace(brokers), WORLD)
  // Enough to say whether it is beyond.
  const recordsMax = Math.max(countMax, limit !== null && 'records' in limit ? limit.records + 1 : 0)
  const sources = { store, api, client, pipeline, stream, recordsMax, transactionalIdPrefix, retry: RETRY }
  return {
    async measure() {
      await client?.connect()
      const report = await measureStreamLag(sources)
      return { report, text: (out) => shardLagText(report, out) }
    },
    async close() {
      api.close()
      await client?.close()
    },
  }
}

async function show(
  report: LagReport<InputLag>,
  text: (out: Channel) => string,
  { isJson, everyMs, limit }: LagOptions,
  { out, err }: Terminal,
): Promise<ExitCode> {
  if (isJson) await out.line(JSON.stringify(report, null, everyMs === null ? 2 : 0))
  else await out.write(text(out))
  const over = limit === null ? [] : beyond(report, limit)
  if (over.length === 0) return EXIT.done
  await err.line(`${err.style('red', 'above --max-lag:')} ${over.join(', ')}`)
  return EXIT.behind
}
