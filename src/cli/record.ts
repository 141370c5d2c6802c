import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { kafka } from '../../consumers/kafka/index.ts'
import type { StartFrom } from '../../consumers/kafka/start.ts'
import { framedSchemaId } from '../../consumers/recording/recording-summary.ts'
import { createRecordingWriter, type RecordingWriter } from '../../consumers/recording/recording-writer.ts'
import { directoryRegistry } from '../../consumers/registry/index.ts'
import { PipelineError } from '../errors.ts'
import { KafkaClient, type KafkaOptions, LATEST } from '../kafka/client.ts'
import { createLog } from '../runtime/log.ts'
import { stopSignals } from '../runtime/stop-signals.ts'
import { systemClock, systemEntropy } from '../runtime/system.ts'
import { CountProgress } from './count-progress.ts'
import { EXIT, type ExitCode, usageError } from './failure.ts'
import { byteText, counted } from './format.ts'
import { kafkaPlace } from './kafka-place.ts'
import { remoteRegistry } from './registry-place.ts'
import { capturedText, SchemaCapture } from './schema-capture.ts'
import type { Terminal } from './terminal.ts'
import { captureTopic } from './topic-capture.ts'

export interface RecordOptions {
  readonly topic: string
  readonly out: string
  readonly brokers: string | null
  readonly from: StartFrom
  readonly maxRecords: number | null
  readonly forMs: number | null
  readonly untilEnd: boolean
  readonly overwrite: boolean
  /** Null: the schemas are not written. */
  readonly registry: string | null
}

const TIMER_MS_MAX = 2 ** 31 - 1

/** Only named where offsets are compared with a group's: nothing joins it, and nothing is committed to it. */
const GROUP = 'millrace-record'

/** `millrace record`: a live topic into a recording, byte for byte. However it ends, but by `kill -9`, the file is whole. */
export async function record(options: RecordOptions, terminal: Terminal): Promise<ExitCode> {
  const { out, err } = terminal
  if (existsSync(options.out) && !options.overwrite) {
    throw usageError(`${options.out} is there already`, 'Choose another name, or give --overwrite.')
  }
  const place = await kafkaPlace(options.brokers)
  const schemas = await schemaCapture(options)
  const progress = new CountProgress(err, 'recorded')
  const stop = stopSignals(() =>
    progress.line('Stopping: the file is being finished. Ctrl-C again exits at once, without it.'),
  )
  const writer = createRecordingWriter(options.out)
  try {
    const failure = await capture({ options, place, schemas, progress, writer, signal: stop.signal })
    // Before the schemas: nobody shall lose the records for the sake of those.
    const summary = writer.close()
    const { records, partitions, bytes } = summary
    await out.line(
      `${options.out}: ${counted(records, 'record')} in ${counted(partitions.length, 'partition')}, ${byteText(bytes)}`,
    )
    await schemas?.finish()
    for (const schema of schemas?.captured ?? []) await out.line(capturedText(schema))
    if (failure !== null) {
      await err.line(
        `${err.style('yellow', '!')} What was read before the error is in ${options.out}, which is whole.`,
      )
      throw failure
    }
    const isIncomplete = schemas?.captured.some(({ kind }) => kind === 'failed') === true
    return stop.exitCode() ?? (isIncomplete ? EXIT.failed : EXIT.done)
  } finally {
    stop.release()
    // Nothing where it was closed.
    writer.abort()
  }
}

async function schemaCapture({ registry, out }: RecordOptions): Promise<SchemaCapture | null> {
  if (registry === null) return null
  return new SchemaCapture(await remoteRegistry(registry), join(dirname(out), 'registry'))
}

interface Capture {
  readonly options: RecordOptions
  readonly place: KafkaOptions
  readonly schemas: SchemaCapture | null
  readonly progress: CountProgress
  readonly writer: RecordingWriter
  readonly signal: AbortSignal
}

/** Gives what ended the capture after some records; null where it ended as it should. Throws where there is nothing to keep. */
async function capture({ options, place, schemas, progress, writer, signal }: Capture): Promise<unknown> {
  const { topic, from, untilEnd, forMs, maxRecords } = options
  const log = createLog({ level: 'warn', pretty: true, write: (line) => progress.line(line.trimEnd()) })
  const world = { clock: systemClock, entropy: systemEntropy, log, acceptLoss: false }
  const binding = kafka({ ...place, topic, groupId: GROUP, registry: directoryRegistry('.'), from })
  const source = binding.open(world)
  const ending = new AbortController()
  signal.addEventListener('abort', () => ending.abort())
  // Longer than a timer takes is longer than anybody waits.
  const timer = forMs === null || forMs > TIMER_MS_MAX ? null : setTimeout(() => ending.abort(), forMs)
  let count = 0
  let bytes = 0
  try {
    const endOffsets = await endsOf(new KafkaClient(place, world), topic)
    await captureTopic({
      source,
      clock: systemClock,
      signal: ending.signal,
      endOffsets,
      untilEnd,
      write(raw) {
        writer.append(raw)
        count++
        bytes += (raw.key?.length ?? 0) + (raw.value?.length ?? 0)
        const id = framedSchemaId(raw.value)
        if (id !== null) schemas?.notice(id)
        progress.update(count, () => byteText(bytes))
        return count < (maxRecords ?? Number.POSITIVE_INFINITY)
      },
    })
    return null
  } catch (error) {
    if (count === 0 || (error instanceof PipelineError && error.code === 'RECORDING_UNWRITABLE')) throw error
    return error
  } finally {
    if (timer !== null) clearTimeout(timer)
    progress.clear()
    await source.close()
  }
}

/** By the ids of the partitions. */
async function endsOf(client: KafkaClient, topic: string): Promise<ReadonlyMap<string, number>> {
  try {
    await client.connect()
    const { topics } = await client.metadata([topic])
    // A topic that is not there: the source says so.
    const partitions = topics[0]?.errorCode === 0 ? topics[0].partitions : []
    const queries = partitions.map(({ partition }) => ({ topic, partition, timestampMs: LATEST }))
    const ends = queries.length === 0 ? [] : await client.listOffsets(queries, 'read_committed')
    return new Map(ends.map(({ partition, offset }) => [`${topic}-${partition}`, offset]))
  } finally {
    await client.close()
  }
}
