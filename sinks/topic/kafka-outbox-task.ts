import type { OutboxEpoch, OutboxMarker, OutboxTask } from '../../src/ports.ts'
import { findPublished } from './find-published.ts'
import { markerText } from './marker.ts'
import type { BatchLimits } from './open-topics.ts'
import { placeMessages } from './placement.ts'
import { type GroupOffsets, TransactionalProducer, type TransactionalProducerOptions } from './transaction.ts'

export interface KafkaOutboxTaskOptions extends TransactionalProducerOptions {
  readonly pipeline: string
  readonly task: string
  readonly marker: OutboxMarker | null
  readonly markerTopic: string
  readonly limits: BatchLimits
}

/** Batches of Kafka's own size for a producer would be 16 KB: an epoch is sent at once, so they may be larger. */
const BATCH_BYTES_MAX = 1024 * 1024

/** One claim of a task's outbox. After a failure that is not retryable it publishes nothing more. */
export class KafkaOutboxTask implements OutboxTask {
  readonly marker: OutboxMarker | null
  readonly #options: KafkaOutboxTaskOptions
  readonly #producer: TransactionalProducer
  #any: number

  constructor(options: KafkaOutboxTaskOptions) {
    this.marker = options.marker
    this.#options = options
    this.#producer = new TransactionalProducer(options)
    // Tasks begin at different partitions.
    this.#any = Math.floor(options.world.entropy.random() * 1024)
  }

  async findPublished(
    life: string,
    epochs: readonly number[],
    topics: readonly string[],
  ): Promise<ReadonlySet<number>> {
    const { client, world, pipeline, task } = this.#options
    return findPublished({ client, world, pipeline, task, life, epochs, topics })
  }

  async publish(epoch: OutboxEpoch): Promise<void> {
    const { directory, limits, markerTopic, task } = this.#options
    if (epoch.messages.length === 0) return
    const batches = placeMessages(epoch.messages, {
      partitionCount: (topic) => directory.partitionCount(topic),
      batchBytesMax: (topic) => Math.min(limits.get(topic) ?? BATCH_BYTES_MAX, BATCH_BYTES_MAX),
      nextAny: () => this.#any++,
    })
    const what = `publish epoch ${epoch.epoch} of ${task}`
    const { transactionalId } = this.#options.identity
    const marker = { topic: markerTopic, partition: 0, offset: epoch.epoch, metadata: markerText(epoch) }
    const groups: GroupOffsets[] = [{ groupId: transactionalId, offsets: [marker], isOptional: false }]
    const shown = await this.#shownOffset(epoch)
    await this.#producer.commit(batches, shown === null ? groups : [...groups, shown], what)
  }

  async close(): Promise<void> {}

  /** A group of another cluster cannot be part of the transaction. */
  async #shownOffset({ groupOffset }: OutboxEpoch): Promise<GroupOffsets | null> {
    if (groupOffset === null) return null
    const { clusterId, groupId, topic, partition, offset } = groupOffset
    if (clusterId !== (await this.#options.client.clusterId())) return null
    const shown = { topic, partition, offset: Number(offset), metadata: '' }
    return { groupId, offsets: [shown], isOptional: true }
  }
}
