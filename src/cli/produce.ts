import { RecordingFile } from '../../consumers/recording/container.ts'
import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import { framedSchemaId } from '../../consumers/recording/recording-summary.ts'
import { recordsByBlock, summariseReadable } from '../../consumers/recording/scan.ts'
import { directoryRegistry } from '../../consumers/registry/index.ts'
import type { Log } from '../ports.ts'
import { createLog } from '../runtime/log.ts'
import { stopSignals } from '../runtime/stop-signals.ts'
import { systemClock } from '../runtime/system.ts'
import { CountProgress } from './count-progress.ts'
import { EXIT, type ExitCode, usageError } from './failure.ts'
import { counted, countText, durationText } from './format.ts'
import { kafkaPlace } from './kafka-place.ts'
import type { NamedStream, NamedTopic } from './kinesis-place.ts'
import { registryBeside } from './recording-place.ts'
import { remoteRegistry } from './registry-place.ts'
import { SchemaTranslation } from './schema-translation.ts'
import { type Rate, SendPace } from './send-pace.ts'
import type { SendTarget } from './send-target.ts'
import { StreamTarget, type StreamTargetOptions } from './stream-target.ts'
import type { Terminal } from './terminal.ts'
import { TopicTarget, type TopicTargetOptions } from './topic-target.ts'

export interface ProduceOptions {
  readonly recording: string
  readonly to: TopicPlace | StreamPlace
  /** Null: the schema ids stay as they are. */
  readonly registry: string | null
  /** The folder with the schemas of the recording; null: `registry` beside it. */
  readonly schemas: string | null
  readonly subjectPerSchema: boolean
  /** Of the recording, where it has several. */
  readonly sourceTopic: string | null
  readonly rate: Rate
  readonly loop: boolean
}

type TopicPlace = NamedTopic & Omit<TopicTargetOptions, 'recording'>
type StreamPlace = NamedStream & StreamTargetOptions

/** `millrace produce`: the records of a recording into a topic, or a stream, byte for byte. */
export async function produce(options: ProduceOptions, terminal: Terminal): Promise<ExitCode> {
  const progress = new CountProgress(terminal.err, 'sent')
  const log = createLog({
    level: 'warn',
    pretty: terminal.err.interactive,
    write: (line) => progress.line(line.trimEnd()),
  })
  const target = await targetOf(options, log)
  const file = await RecordingFile.open(options.recording)
  const stop = stopSignals(() =>
    progress.line('Stopping: what was sent is being acknowledged. Ctrl-C again exits at once.'),
  )
  try {
    const content = await contentOf(file, options)
    const translation = await translationFor(options)
    // Before the first record is sent: a schema that is refused is found in time.
    await translation?.learn(content.schemaIds)
    await target.open(content.partitions, terminal)
    const { signal } = stop
    const sender = new Sender({ file, content, translation, target, options, progress, signal })
    const startMs = performance.now()
    try {
      await sender.send()
    } finally {
      progress.clear()
      await terminal.out.line(summaryOf(sender, target, options, performance.now() - startMs))
    }
    await report(translation, options, terminal)
    await target.report(terminal)
    return stop.exitCode() ?? EXIT.done
  } finally {
    stop.release()
    await target.close()
    await file.close()
  }
}

async function targetOf({ to, recording }: ProduceOptions, log: Log): Promise<SendTarget> {
  if (to.kind === 'topic') return new TopicTarget(await kafkaPlace(to.brokers), log, { recording, ...to })
  // The AWS client takes its time to load.
  const { openKinesis } = await import('./open-kinesis.ts')
  return new StreamTarget(openKinesis(to, log), to)
}

function summaryOf(
  { acknowledged }: Sender,
  target: SendTarget,
  { recording, to }: ProduceOptions,
  tookMs: number,
): string {
  const what = `${counted(acknowledged, 'record')} of ${recording} to ${target.description} in ${durationText(tookMs)}`
  if (to.kind === 'topic') return what
  return `${what}, ${countText(Math.round(acknowledged / Math.max(tookMs / 1_000, 0.001)))}/s`
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

async function translationFor(options: ProduceOptions): Promise<SchemaTranslation | null> {
  const { registry, recording, to, subjectPerSchema } = options
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
    topic: to.kind === 'topic' ? to.topic : to.stream,
    subjectPerSchema,
  })
}

interface SenderOptions {
  readonly file: RecordingFile
  readonly content: Content
  readonly translation: SchemaTranslation | null
  readonly target: SendTarget
  readonly options: ProduceOptions
  readonly progress: CountProgress
  readonly signal: AbortSignal
}

class Sender {
  acknowledged = 0
  readonly #parts: SenderOptions
  readonly #pace: SendPace
  #failure: unknown = null

  constructor(parts: SenderOptions) {
    this.#parts = parts
    this.#pace = new SendPace(parts.options.rate, systemClock, parts.signal)
  }

  /** Resolves when all is acknowledged: to the end of the recording, or until the signal. */
  async send(): Promise<void> {
    const { file, options, target } = this.#parts
    try {
      do {
        this.#pace.restart()
        for await (const records of recordsByBlock(file)) {
          await this.#sendBlock(records)
          if (this.#isOver) break
        }
      } while (options.loop && !this.#isOver)
    } finally {
      await target.flush()
    }
    if (this.#failure !== null) throw this.#failure
  }

  get #isOver(): boolean {
    return this.#parts.signal.aborted || this.#failure !== null
  }

  async #sendBlock(all: readonly RawRecord[]): Promise<void> {
    const { content, translation, target, progress } = this.#parts
    const records = all.filter(({ topic }) => topic === content.topic)
    await translation?.learn(idsIn(records))
    for (const record of records) {
      await this.#pace.wait(record.arrivalMs)
      await target.ready()
      if (this.#isOver) return
      this.#sendRecord(record)
      progress.update(this.acknowledged, () => target.progress())
    }
  }

  #sendRecord(record: RawRecord): void {
    const { translation, target } = this.#parts
    const value = translation?.translate(record.value) ?? record.value
    target.send({ ...record, value }).then(
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
