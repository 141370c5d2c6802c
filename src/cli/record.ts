import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createRecordingWriter, type RecordingWriter } from '../../consumers/recording/recording-writer.ts'
import { PipelineError } from '../errors.ts'
import { createLog } from '../runtime/log.ts'
import { stopSignals } from '../runtime/stop-signals.ts'
import { CountProgress } from './count-progress.ts'
import { EXIT, type ExitCode, usageError } from './failure.ts'
import { byteText, counted } from './format.ts'
import { kafkaPlace } from './kafka-place.ts'
import { kinesisPlace, type NamedStream, type NamedTopic } from './kinesis-place.ts'
import { type RecordRun, recordTopic } from './record-topic.ts'
import { registriesOf, remoteRegistry } from './registry-place.ts'
import { capturedText, SchemaCapture } from './schema-capture.ts'
import type { Terminal } from './terminal.ts'

export interface RecordOptions {
  readonly place: NamedTopic | NamedStream
  readonly out: string
  readonly from: 'earliest' | 'latest' | Date
  readonly maxRecords: number | null
  readonly forMs: number | null
  readonly untilEnd: boolean
  readonly overwrite: boolean
  /** Null, as `glue` is: the schemas are not written. */
  readonly registry: string | null
  /** A region, or an endpoint; '' is the region of the stream. */
  readonly glue: string | null
}

const TIMER_MS_MAX = 2 ** 31 - 1

/** `millrace record`: a live topic or stream into a recording, byte for byte. However it ends, but by `kill -9`, the file is whole. */
export async function record(options: RecordOptions, terminal: Terminal): Promise<ExitCode> {
  const { out, err } = terminal
  if (existsSync(options.out) && !options.overwrite) {
    throw usageError(`${options.out} is there already`, 'Choose another name, or give --overwrite.')
  }
  await checkPlace(options.place)
  const schemas = await schemaCapture(options)
  const progress = new CountProgress(err, 'recorded')
  const stop = stopSignals(() =>
    progress.line('Stopping: the file is being finished. Ctrl-C again exits at once, without it.'),
  )
  const writer = createRecordingWriter(options.out)
  try {
    const failure = await capture({ options, schemas, progress, writer, signal: stop.signal })
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

/** Before anything is written: what is wrong with where it is. */
async function checkPlace(place: NamedTopic | NamedStream): Promise<void> {
  if (place.kind === 'topic') await kafkaPlace(place.brokers)
  else kinesisPlace(place)
}

async function schemaCapture({ registry, glue, place, out }: RecordOptions): Promise<SchemaCapture | null> {
  if (registry === null && glue === null) return null
  const confluent = registry === null ? null : await remoteRegistry(registry)
  const region = place.kind === 'stream' ? place.region : null
  return new SchemaCapture(
    registriesOf({ registry: confluent, glue, region }),
    join(dirname(out), 'registry'),
  )
}

interface Capture {
  readonly options: RecordOptions
  readonly schemas: SchemaCapture | null
  readonly progress: CountProgress
  readonly writer: RecordingWriter
  readonly signal: AbortSignal
}

/** Gives what ended the capture after some records; null where it ended as it should. Throws where there is nothing to keep. */
async function capture({ options, schemas, progress, writer, signal }: Capture): Promise<unknown> {
  const { place, from, untilEnd, forMs, maxRecords } = options
  const log = createLog({ level: 'warn', pretty: true, write: (line) => progress.line(line.trimEnd()) })
  const ending = new AbortController()
  signal.addEventListener('abort', () => ending.abort())
  // Longer than a timer takes is longer than anybody waits.
  const timer = forMs === null || forMs > TIMER_MS_MAX ? null : setTimeout(() => ending.abort(), forMs)
  let count = 0
  let bytes = 0
  const run: RecordRun = {
    from,
    untilEnd,
    signal: ending.signal,
    log,
    write(raw) {
      writer.append(raw)
      count++
      bytes += (raw.key?.length ?? 0) + (raw.value?.length ?? 0)
      schemas?.notice(raw.value)
      progress.update(count, () => byteText(bytes))
      return count < (maxRecords ?? Number.POSITIVE_INFINITY)
    },
    follows: (stream, shard, parents) => writer.follow(stream, shard, parents),
  }
  try {
    if (place.kind === 'topic') await recordTopic(place, run)
    // The AWS client takes its time to load.
    else await (await import('./record-stream.ts')).recordStream(place, run)
    return null
  } catch (error) {
    if (count === 0 || (error instanceof PipelineError && error.code === 'RECORDING_UNWRITABLE')) throw error
    return error
  } finally {
    if (timer !== null) clearTimeout(timer)
    progress.clear()
  }
}
