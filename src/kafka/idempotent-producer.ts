import { assert, PipelineError } from '../errors.ts'
import type { Clock, Log } from '../ports.ts'
import type { KafkaClient } from './client.ts'
import { kafkaFault, protocolFault } from './faults.ts'
import { partitionOfKey } from './murmur2.ts'
import { type DeliveryOptions, PartitionLane, type Sent } from './partition-lane.ts'
import { type OutRecord, recordBytesMax } from './record-batch.ts'
import { idempotentIdRequest } from './transaction-requests.ts'

export type { Sent } from './partition-lane.ts'

export interface IdempotentProducerOptions {
  readonly client: KafkaClient
  readonly topic: string
  readonly clock: Clock
  readonly log: Log
  /** Default 'none'. */
  readonly compression?: 'none' | 'gzip'
  /** A batch has at most so many bytes before compression, unless it is one record. Default 900,000: brokers take 1 MiB. */
  readonly batchBytesMax?: number
  /** How long a record waits for others to share its batch. Default 5. */
  readonly lingerMs?: number
  /** How long a batch is sent again until it counts as failed. Default 120,000. */
  readonly deliveryTimeoutMs?: number
  /** Beyond so many bytes that are not acknowledged, `ready` waits. Default 32 MiB. */
  readonly queueBytesMax?: number
}

export interface ProducedRecord extends OutRecord {
  readonly timestampMs: number
}

const BATCH_BYTES_MAX = 900_000
const LINGER_MS = 5
const DELIVERY_TIMEOUT_MS = 120_000
const QUEUE_BYTES_MAX = 32 * 1024 * 1024
/** Records without a key go to one partition until it has had so many bytes, so that batches are not small. */
const STICKY_BYTES = 16 * 1024
const METADATA_MAX_AGE_MS = 300_000
const OPEN_PAUSE_MS = 250
const NEW_TOPIC_MS = 3_000
const BROKER_START_MS = 30_000

/**
 * Sends records to one topic; each batch is stored once, in the order of its partition, however often it had to be sent. It speaks the
 * protocol itself: kafkajs's producer (2.2.4) uses the sequence numbers of a batch whose outcome it does not know for the next
 * one, which a broker then may take for the same and drop; it sorts timestamps as text; and it cannot send null headers, nor headers in their order.
 */
export class IdempotentProducer {
  readonly #options: Required<IdempotentProducerOptions>
  readonly #lanes = new Map<number, PartitionLane>()
  readonly #delivery: DeliveryOptions
  #partitions = 0
  #leaders: readonly number[] = []
  #metadataMs = 0
  #queuedBytes = 0
  #roomWaiters: (() => void)[] = []
  #sticky = { partition: 0, bytes: 0 }
  #refreshing: Promise<void> | null = null
  #isClosed = false

  private constructor(options: IdempotentProducerOptions) {
    const {
      compression = 'none',
      batchBytesMax = BATCH_BYTES_MAX,
      lingerMs = LINGER_MS,
      deliveryTimeoutMs = DELIVERY_TIMEOUT_MS,
      queueBytesMax = QUEUE_BYTES_MAX,
    } = options
    this.#options = { ...options, compression, batchBytesMax, lingerMs, deliveryTimeoutMs, queueBytesMax }
    this.#delivery = {
      ...this.#options,
      identity: () => this.#newIdentity(),
      leader: (partition) => this.#leaderOf(partition),
      refresh: () => this.#refresh(),
      settled: (bytes) => this.#settled(bytes),
    }
  }

  /** Reaches the cluster and finds the topic. Throws TOPIC_NOT_FOUND, and what the client throws. */
  static async open(options: IdempotentProducerOptions): Promise<IdempotentProducer> {
    const producer = new IdempotentProducer(options)
    await options.client.connect()
    await producer.#settle(() => producer.#refresh())
    // Who may not write finds out now.
    await producer.#settle(async () => producer.#lane(0).begin(await producer.#newIdentity()))
    return producer
  }

  get partitions(): number {
    return this.#partitions
  }

  /** As Kafka's Java client places it. */
  partitionOf(key: Uint8Array | null, bytes: number): number {
    if (key !== null) return partitionOfKey(key, this.#partitions)
    const sticky = this.#sticky
    if (sticky.bytes >= STICKY_BYTES) {
      this.#sticky = { partition: (sticky.partition + 1) % this.#partitions, bytes }
    } else sticky.bytes += bytes
    return this.#sticky.partition % this.#partitions
  }

  /** Resolves when there is room for more. Whoever sends without waiting for it holds what is sent in memory. */
  async ready(): Promise<void> {
    if (this.#options.clock.nowMs() - this.#metadataMs > METADATA_MAX_AGE_MS) {
      // Added partitions are found some time; an outage is the business of what is sent.
      await this.#refresh().catch(() => {})
    }
    while (this.#queuedBytes > this.#options.queueBytesMax) {
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve))
    }
  }

  /** Resolves when the brokers have stored it. `partition` null: by the key. */
  send(record: ProducedRecord, partition: number | null = null): Promise<Sent> {
    assert(!this.#isClosed, 'the producer is closed')
    const bytes = recordBytesMax(record)
    const target = partition ?? this.partitionOf(record.key, bytes)
    assert(
      target >= 0 && target < this.#partitions,
      `${this.#options.topic} has ${this.#partitions} partitions, not a partition ${target}`,
    )
    this.#queuedBytes += bytes
    return this.#lane(target).add(record, bytes)
  }

  /** Resolves when all that was sent is stored or has failed. */
  async flush(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.flush()))
  }

  /** Flushes first. The client stays open. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.flush()
  }

  #lane(partition: number): PartitionLane {
    let lane = this.#lanes.get(partition)
    if (lane === undefined) {
      lane = new PartitionLane(partition, this.#delivery)
      this.#lanes.set(partition, lane)
    }
    return lane
  }

  #settled(bytes: number): void {
    this.#queuedBytes -= bytes
    if (this.#queuedBytes > this.#options.queueBytesMax) return
    const waiters = this.#roomWaiters
    this.#roomWaiters = []
    for (const resume of waiters) resume()
  }

  /** A topic that was made a moment ago is unknown to some brokers, and a broker that has just started is not ready for everything. */
  async #settle(action: () => Promise<void>): Promise<void> {
    const { clock } = this.#options
    const startMs = clock.nowMs()
    for (;;) {
      try {
        return await action()
      } catch (error) {
        const limitMs = limitOf(error)
        if (clock.nowMs() - startMs >= limitMs) throw error
        await clock.sleep(OPEN_PAUSE_MS)
      }
    }
  }

  async #refresh(): Promise<void> {
    this.#refreshing ??= this.#readMetadata().finally(() => {
      this.#refreshing = null
    })
    await this.#refreshing
  }

  async #readMetadata(): Promise<void> {
    const { client, topic, clock } = this.#options
    const { topics } = await client.metadata([topic])
    const found = topics[0]
    if (found === undefined || found.errorCode === UNKNOWN_TOPIC) {
      throw new PipelineError('TOPIC_NOT_FOUND', `there is no topic ${topic} at ${client.description}`, {
        advice:
          'Make it first (kafka-topics --create), and check the name: topics are not made by writing to them.',
      })
    }
    if (found.errorCode !== 0) throw protocolFault(found.errorCode, { what: `write to ${topic}`, topic })
    this.#partitions = Math.max(this.#partitions, found.partitions.length)
    this.#leaders = found.partitions.map(({ leader }) => leader)
    this.#metadataMs = clock.nowMs()
  }

  async #leaderOf(partition: number): Promise<number> {
    const { topic } = this.#options
    if ((this.#leaders[partition] ?? -1) < 0) await this.#refresh()
    const leader = this.#leaders[partition] ?? -1
    if (leader < 0)
      throw protocolFault(LEADER_NOT_AVAILABLE, { what: `write to ${topic}-${partition}`, topic })
    return leader
  }

  async #newIdentity() {
    const { client, topic } = this.#options
    const context = { what: `begin to write to ${topic}`, topic }
    const { errorCode, ...identity } = await client.send(null, idempotentIdRequest(), context)
    if (errorCode !== 0) throw kafkaFault(protocolFault(errorCode, context), context)
    return identity
  }
}

const UNKNOWN_TOPIC = 3
const LEADER_NOT_AVAILABLE = 5

/** For how long opening is tried again after this error. */
function limitOf(error: unknown): number {
  if (!(error instanceof PipelineError)) return 0
  if (error.code === 'TOPIC_NOT_FOUND') return NEW_TOPIC_MS
  return error.retryable ? BROKER_START_MS : 0
}
