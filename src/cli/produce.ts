import { RecordingFile } from '../../consumers/recording/container.ts'
import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import { framedSchemaId } from '../../consumers/recording/recording-summary.ts'
import { recordsByBlock, summariseReadable } from '../../consumers/recording/scan.ts'
import { directoryRegistry } from '../../consumers/registry/index.ts'
import { PipelineError } from '../errors.ts'
import { KafkaClient } from '../kafka/client.ts'
import { IdempotentProducer } from '../kafka/idempotent-producer.ts'
import type { Log } from '../ports.ts'
import { createLog } from '../runtime/log.ts'
import { stopSignals } from '../runtime/stop-signals.ts'
import { systemClock } from '../runtime/system.ts'
import { CountProgress } from './count-progress.ts'
import { createTopicIfAbsent } from './create-topic.ts'
import { EXIT, type ExitCode, usageError } from './failure.ts'
import { counted, countText, durationText, timeText } from './format.ts'
import { kafkaPlace } from './kafka-place.ts'
import { registryBeside } from './recording-place.ts'
import { remoteRegistry } from './registry-place.ts'
import { SchemaTranslation } from './schema-translation.ts'
import { type Rate, SendPace } from './send-pace.ts'
import type { Terminal } from './terminal.ts'

export interface ProduceOptions {
  readonly recording: string
  readonly topic: string
  /** Where it is missing. */
  readonly createTopic: boolean
  readonly brokers: string | null
  /** Null: the schema ids stay as they are. */
  readonly registry: string | null
  /** The folder with the schemas of the recording; null: `registry` beside it. */
  readonly schemas: string | null
  readonly subjectPerSchema: boolean
  /** Of the recording, where it has several. */
  readonly sourceTopic: string | null
  readonly rate: Rate
  readonly partitions: 'keep' | 'hash'
  readonly timestamps: 'keep' | 'now'
  readonly loop: boolean
}

/** `millrace produce`: the records of a recording into a topic, byte for byte. */
export async function produce(options: ProduceOptions, terminal: Terminal): Promise<ExitCode> {
  const place = await kafkaPlace(options.brokers)
  const file = await RecordingFile.open(options.recording)
  const progress = new CountProgress(terminal.err, 'sent')
  const log = createLog({
    level: 'warn',
    pretty: terminal.err.interactive,
    write: (line) => progress.line(line.trimEnd()),
  })
  const client = new KafkaClient(place, { clock: systemClock, log })
  const stop = stopSignals(() =>
    progress.line('Stopping: what was sent is being acknowledged. Ctrl-C again exits at once.'),
  )
  try {
    const content = await contentOf(file, options)
    const translation = await translationFor(options)
    // Before the first record is sent: a schema that is refused is found in time.
    await translation?.learn(content.schemaIds)
    const isNew = options.createTopic && (await makeTopic(client, content.partitions, options, terminal))
    const producer = await openProducer(options, client, log)
    if (options.partitions === 'keep') checkPartitions(content.partitions, producer.partitions, options)
    const sender = new Sender({
      file,
      content,
      translation,
      producer,
      options,
      progress,
      signal: stop.signal,
    })
    const startMs = performance.now()
    try {
      await sender.send()
    } finally {
      progress.clear()
      const took = durationText(performance.now() - startMs)
      await terminal.out.line(
        `${counted(sender.acknowledged, 'record')} of ${options.recording} to ${options.topic} at ${client.description} in ${took}`,
      )
    }
    await report(translation, options, terminal)
    if (!isNew) await warnOfRetention(sender, terminal)
    return stop.exitCode() ?? EXIT.done
  } finally {
    stop.release()
    await client.close()
    await file.close()
  }
}

/** True where it was missing. Old timestamps would have the brokers delete what was sent. */
async function makeTopic(
  client: KafkaClient,
  partitions: number,
  { topic, timestamps }: ProduceOptions,
  { out }: Terminal,
): Promise<boolean> {
  const keepsAll = timestamps === 'keep'
  if (!(await createTopicIfAbsent(client, { topic, partitions: Math.max(1, partitions), keepsAll })))
    return false
  const retention = keepsAll ? ' and retention.ms=-1, because the records keep their old timestamps' : ''
  await out.line(`made the topic ${topic} with ${counted(partitions, 'partition')}${retention}`)
  return true
}

async function openProducer(
  { topic }: ProduceOptions,
  client: KafkaClient,
  log: Log,
): Promise<IdempotentProducer> {
  try {
    return await IdempotentProducer.open({ client, topic, clock: systemClock, log })
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code !== 'TOPIC_NOT_FOUND') throw error
    throw new PipelineError(error.code, error.message, {
      cause: error,
      advice: 'Check the name, or have it made: --create-topic.',
    })
  }
}

interface Content {
  /** Of the recording: whose records are sent. */
  readonly topic: string
  /** The highest number and one. */
  readonly partitions: number
  /** In the frames of its values. Empty where the recording has other topics too, whose ids may be among those that are known. */
  readonly schemaIds: readonly number[]
}

async function contentOf(file: RecordingFile, { sourceTopic, recording }: ProduceOptions): Promise<Content> {
  const summary = file.summary ?? (await summariseReadable(file)).summary
  const topics = [...new Set(summary.partitions.map(({ topic }) => topic))]
  const topic = sourceTopic ?? topics[0] ?? ''
  if (
    (sourceTopic === null && topics.length > 1) ||
    (sourceTopic !== null && !topics.includes(sourceTopic))
  ) {
    throw usageError(
      sourceTopic === null ? `${recording} has several topics` : `${recording} has no topic ${sourceTopic}`,
      `Name one with --source-topic: ${topics.join(', ')}.`,
    )
  }
  const numbers = summary.partitions
    .filter((entry) => entry.topic === topic)
    .map(({ partition }) => partition)
  const schemaIds = topics.length === 1 ? summary.schemaIds : []
  return { topic, partitions: Math.max(-1, ...numbers) + 1, schemaIds }
}

function checkPartitions(needed: number, present: number, { recording, topic }: ProduceOptions): void {
  if (needed <= present) return
  throw usageError(
    `${recording} has a partition ${needed - 1}, and ${topic} has ${counted(present, 'partition')}`,
    `Give the topic ${needed} partitions, or spread the records by their keys: --partitions hash.`,
  )
}

async function translationFor(options: ProduceOptions): Promise<SchemaTranslation | null> {
  const { registry, recording, topic, subjectPerSchema } = options
  if (registry === null) return null
  const folder = options.schemas ?? registryBeside(recording)
  if (folder === null) {
    throw usageError(
      `there is no folder registry beside ${recording}`,
      'Name the folder with the schemas of the recording (1-trip.avsc, …): --schemas <dir>.',
    )
  }
  return new SchemaTranslation({
    from: directoryRegistry(folder),
    to: await remoteRegistry(registry),
    topic,
    subjectPerSchema,
  })
}

interface SenderOptions {
  readonly file: RecordingFile
  readonly content: Content
  readonly translation: SchemaTranslation | null
  readonly producer: IdempotentProducer
  readonly options: ProduceOptions
  readonly progress: CountProgress
  readonly signal: AbortSignal
}

class Sender {
  acknowledged = 0
  /** The earliest timestamp that was sent. */
  oldestMs = Number.POSITIVE_INFINITY
  readonly #parts: SenderOptions
  readonly #pace: SendPace
  #failure: unknown = null

  constructor(parts: SenderOptions) {
    this.#parts = parts
    this.#pace = new SendPace(parts.options.rate, systemClock, parts.signal)
  }

  /** Resolves when all is acknowledged: to the end of the recording, or until the signal. */
  async send(): Promise<void> {
    const { file, options, producer } = this.#parts
    try {
      do {
        this.#pace.restart()
        for await (const records of recordsByBlock(file)) {
          await this.#sendBlock(records)
          if (this.#isOver) break
        }
      } while (options.loop && !this.#isOver)
    } finally {
      await producer.flush()
    }
    if (this.#failure !== null) throw this.#failure
  }

  get #isOver(): boolean {
    return this.#parts.signal.aborted || this.#failure !== null
  }

  async #sendBlock(all: readonly RawRecord[]): Promise<void> {
    const { content, translation, producer, progress } = this.#parts
    const records = all.filter(({ topic }) => topic === content.topic)
    await translation?.learn(idsIn(records))
    for (const record of records) {
      await this.#pace.wait(record.arrivalMs)
      await producer.ready()
      if (this.#isOver) return
      this.#sendRecord(record)
      progress.update(this.acknowledged)
    }
  }

  #sendRecord({ key, value, headers, partition, timestampMs }: RawRecord): void {
    const { translation, producer, options } = this.#parts
    const sentMs = options.timestamps === 'keep' ? timestampMs : systemClock.nowMs()
    this.oldestMs = Math.min(this.oldestMs, sentMs)
    const record = { key, value: translation?.translate(value) ?? value, headers, timestampMs: sentMs }
    producer.send(record, options.partitions === 'keep' ? partition : null).then(
      () => void this.acknowledged++,
      (error: unknown) => void (this.#failure ??= error),
    )
  }
}

function* idsIn(records: readonly RawRecord[]): Generator<number> {
  for (const { value } of records) {
    const id = framedSchemaId(value)
    if (id !== null) yield id
  }
}

const WEEK_MS = 7 * 24 * 3_600_000

async function report(
  translation: SchemaTranslation | null,
  options: ProduceOptions,
  { out }: Terminal,
): Promise<void> {
  const ids = translation?.ids ?? []
  const known = ids.filter(([, to]) => to !== null)
  const unknown = ids.filter(([, to]) => to === null)
  if (known.length > 0) {
    await out.line(
      `schema ids in ${options.registry}: ${known.map(([from, to]) => `${from} → ${to}`).join(', ')}`,
    )
  }
  if (unknown.length > 0) {
    await out.line(
      `sent as they are, with ids that the recording's schemas do not have: ${unknown.map(([id]) => countText(id)).join(', ')}`,
    )
  }
}

async function warnOfRetention({ oldestMs }: Sender, { err }: Terminal): Promise<void> {
  if (oldestMs < systemClock.nowMs() - WEEK_MS) {
    await err.line(
      `${err.style('yellow', '!')} The records have their recorded timestamps, from ${timeText(oldestMs)} on: a topic whose retention.ms is shorter than that deletes them within minutes. --timestamps now gives them the time of sending.`,
    )
  }
}
