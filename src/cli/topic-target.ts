import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import { PipelineError } from '../errors.ts'
import { KafkaClient, type KafkaOptions } from '../kafka/client.ts'
import { IdempotentProducer } from '../kafka/idempotent-producer.ts'
import type { Log } from '../ports.ts'
import { systemClock } from '../runtime/system.ts'
import { createTopicIfAbsent } from './create-topic.ts'
import { usageError } from './failure.ts'
import { counted, timeText } from './format.ts'
import type { SendTarget } from './send-target.ts'
import type { Terminal } from './terminal.ts'

export interface TopicTargetOptions {
  readonly recording: string
  readonly topic: string
  /** Where it is missing. */
  readonly createTopic: boolean
  readonly partitions: 'keep' | 'hash'
  readonly timestamps: 'keep' | 'now'
}

const WEEK_MS = 7 * 24 * 3_600_000

/** A Kafka topic: each record is stored once. */
export class TopicTarget implements SendTarget {
  readonly #options: TopicTargetOptions
  readonly #client: KafkaClient
  readonly #log: Log
  #producer: IdempotentProducer | null = null
  #isNew = false
  /** The earliest timestamp that was sent. */
  #oldestMs = Number.POSITIVE_INFINITY

  constructor(place: KafkaOptions, log: Log, options: TopicTargetOptions) {
    this.#client = new KafkaClient(place, { clock: systemClock, log })
    this.#log = log
    this.#options = options
  }

  get description(): string {
    return `${this.#options.topic} at ${this.#client.description}`
  }

  async open(partitions: number, terminal: Terminal): Promise<void> {
    const { createTopic, partitions: how } = this.#options
    this.#isNew = createTopic && (await this.#make(partitions, terminal))
    this.#producer = await this.#openProducer()
    if (how === 'keep') this.#checkPartitions(partitions, this.#producer.partitions)
  }

  ready(): Promise<void> {
    return this.#producer!.ready()
  }

  send({ key, value, headers, partition, timestampMs }: RawRecord): Promise<unknown> {
    const { timestamps, partitions } = this.#options
    const sentMs = timestamps === 'keep' ? timestampMs : systemClock.nowMs()
    this.#oldestMs = Math.min(this.#oldestMs, sentMs)
    const record = { key, value, headers, timestampMs: sentMs }
    return this.#producer!.send(record, partitions === 'keep' ? partition : null)
  }

  async flush(): Promise<void> {
    await this.#producer?.flush()
  }

  progress(): string {
    return ''
  }

  async report({ err }: Terminal): Promise<void> {
    if (this.#isNew || this.#oldestMs >= systemClock.nowMs() - WEEK_MS) return
    await err.line(
      `${err.style('yellow', '!')} The records have their recorded timestamps, from ${timeText(this.#oldestMs)} on: a topic whose retention.ms is shorter than that deletes them within minutes. --timestamps now gives them the time of sending.`,
    )
  }

  close(): Promise<void> {
    return this.#client.close()
  }

  /** True where it was missing. Old timestamps would have the brokers delete what was sent. */
  async #make(partitions: number, { out }: Terminal): Promise<boolean> {
    const { topic, timestamps } = this.#options
    const keepsAll = timestamps === 'keep'
    const isNew = await createTopicIfAbsent(this.#client, {
      topic,
      partitions: Math.max(1, partitions),
      keepsAll,
    })
    if (!isNew) return false
    const retention = keepsAll ? ' and retention.ms=-1, because the records keep their old timestamps' : ''
    await out.line(`made the topic ${topic} with ${counted(partitions, 'partition')}${retention}`)
    return true
  }

  async #openProducer(): Promise<IdempotentProducer> {
    const { topic } = this.#options
    try {
      return await IdempotentProducer.open({
        client: this.#client,
        topic,
        clock: systemClock,
        log: this.#log,
      })
    } catch (error) {
      if (!(error instanceof PipelineError) || error.code !== 'TOPIC_NOT_FOUND') throw error
      throw new PipelineError(error.code, error.message, {
        cause: error,
        advice: 'Check the name, or have it made: --create-topic.',
      })
    }
  }

  #checkPartitions(needed: number, present: number): void {
    const { recording, topic } = this.#options
    if (needed <= present) return
    throw usageError(
      `${recording} has a partition ${needed - 1}, and ${topic} has ${counted(present, 'partition')}`,
      `Give the topic ${needed} partitions, or spread the records by their keys: --partitions hash.`,
    )
  }
}
