import { messageOf, PipelineError } from '../../src/errors.ts'
import {
  type CommittedOffset,
  type IsolationLevel,
  KafkaClient,
  type KafkaOptions,
  NO_TOPIC_ID,
} from '../../src/kafka/client.ts'
import type { GroupOffset, PartitionReader, Source, SourcePartition, SourceWorld } from '../../src/ports.ts'
import { Fetcher, type FetcherLimits } from './fetcher.ts'
import { groupMembership, type GroupOptions } from './group.ts'
import type { GroupMember } from './group-member.ts'
import { PartitionFeed } from './partition-feed.ts'
import { encodePosition, parsePosition } from './position.ts'
import { topicRecreated } from './source-error.ts'
import { checkOffset, startOffset, type StartFrom } from './start.ts'
import { sourcePartition, type TopicChoice, Topics } from './topics.ts'

export interface KafkaSourceOptions {
  readonly kafka: KafkaOptions
  readonly topics: TopicChoice
  readonly group: GroupOptions
  readonly from: StartFrom
  readonly isolation: IsolationLevel
  readonly limits: FetcherLimits
}

/**
 * Topics of one cluster as a source. Positions are those of the chain; the users' consumer group hands out the partitions and shows how far
 * they are published, and is never asked where to go on.
 */
export class KafkaSource implements Source {
  readonly membership: GroupMember
  readonly #options: KafkaSourceOptions
  readonly #world: SourceWorld
  readonly #client: KafkaClient
  readonly #topics: Topics
  readonly #fetcher: Fetcher
  /** Topic ids by topic, as they were last seen. */
  #topicIds = new Map<string, string>()
  /** The partitions that were there when the source was opened: one that is added later begins at its beginning. */
  #firstPartitions: ReadonlySet<string> | null = null
  #clusterId: string | null = null
  #committed: Promise<ReadonlyMap<string, number>> | null = null

  constructor(options: KafkaSourceOptions, world: SourceWorld) {
    const { kafka, topics, group, isolation, limits } = options
    const client = new KafkaClient(kafka, world)
    this.#options = options
    this.#world = world
    this.#client = client
    this.#topics = new Topics(client, topics)
    this.#fetcher = new Fetcher({ client, world, limits, isolation })
    const source = { client, topics: () => this.#topics.counts(), partition: sourcePartition }
    this.membership = groupMembership(group, source, world)
  }

  get description(): string {
    return `${this.#topics.description} at ${this.#client.description}`
  }

  get clusterId(): string | null {
    return this.#clusterId
  }

  async partitions(): Promise<readonly SourcePartition[]> {
    await this.#client.connect()
    this.#clusterId = await this.#client.clusterId()
    const topics = await this.#topics.list()
    for (const { topic, topicId } of topics) this.#topicIds.set(topic, topicId)
    const partitions = topics.flatMap(({ topic, partitions: numbers }) =>
      numbers.map(({ partition }) => sourcePartition(topic, partition)),
    )
    this.#firstPartitions ??= new Set(partitions.map(({ id }) => id))
    return partitions
  }

  async open(partition: SourcePartition, position: string | null): Promise<PartitionReader> {
    const topicId = await this.#topicIdOf(partition)
    const offset =
      position === null ? await this.#begin(partition) : await this.#resume(partition, topicId, position)
    void this.#compareWithGroup(partition, offset, position !== null)
    const feed = new PartitionFeed({
      partition,
      topicId,
      offset,
      start:
        position === null && this.#options.from !== 'earliest' ? encodePosition(topicId, offset) : undefined,
      isolation: this.#options.isolation,
      clock: this.#world.clock,
      readWaitMs: this.#options.limits.maxWaitMs * 2,
      changed: (changed) => this.#fetcher.changed(changed),
    })
    this.#fetcher.add(feed)
    return feed
  }

  groupOffset({ topic, partition }: SourcePartition, position: string): GroupOffset | null {
    const clusterId = this.#clusterId
    if (clusterId === null) return null
    const { groupId } = this.#options.group
    return { clusterId, groupId, topic, partition, offset: String(parsePosition(position).offset) }
  }

  showPublished(offset: GroupOffset): void {
    this.membership.showPublished(offset)
  }

  async close(): Promise<void> {
    const stopped = this.#fetcher.close()
    await this.#client.close()
    await stopped
  }

  async #begin(partition: SourcePartition): Promise<number> {
    const { from, isolation } = this.#options
    const isNew = this.#firstPartitions !== null && !this.#firstPartitions.has(partition.id)
    return startOffset(this.#client, partition, isNew ? 'earliest' : from, isolation)
  }

  async #resume(partition: SourcePartition, topicId: string, position: string): Promise<number> {
    const { topicId: readTopicId, offset } = parsePosition(position)
    if (topicId !== readTopicId && topicId !== NO_TOPIC_ID && readTopicId !== NO_TOPIC_ID) {
      throw topicRecreated(partition.topic, readTopicId, topicId)
    }
    return checkOffset(this.#client, partition, offset, this.#world)
  }

  /** As it is now: it may have been created again since the partitions were listed. */
  async #topicIdOf({ topic }: SourcePartition): Promise<string> {
    const { topics } = await this.#client.metadata([topic])
    const topicId = topics.find((found) => found.topic === topic && found.errorCode === 0)?.topicId
    if (topicId !== undefined) this.#topicIds.set(topic, topicId)
    const known = topicId ?? this.#topicIds.get(topic)
    if (known !== undefined) return known
    throw new PipelineError('KAFKA_UNAVAILABLE', `nobody knows topic ${topic} at the moment`, {
      retryable: true,
    })
  }

  /** For people who set the group's offsets and wonder why that has no effect. Nothing depends on it. */
  async #compareWithGroup(
    { id, topic, partition }: SourcePartition,
    offset: number,
    isResumed: boolean,
  ): Promise<void> {
    const { log } = this.#world
    const { groupId } = this.#options.group
    try {
      this.#committed ??= this.#groupOffsets()
      const groupsOffset = (await this.#committed).get(`${topic}/${partition}`)
      if (groupsOffset === undefined || groupsOffset === offset) return
      const why = isResumed
        ? 'the pipeline goes on where its own records end, not where the group is: the group only shows how far it was published'
        : 'the pipeline is new and begins where it is told to, not where the group is: that is never read'
      log.info({ partition: id, group: groupId, groupOffset: groupsOffset, offset }, why)
    } catch (error) {
      this.#committed = null
      log.debug({ group: groupId, error: messageOf(error) }, 'the offsets of the group are not known')
    }
  }

  async #groupOffsets(): Promise<ReadonlyMap<string, number>> {
    const committed = await this.#client.fetchOffsets(this.#options.group.groupId, null)
    const known = ({ offset }: CommittedOffset): boolean => offset >= 0
    return new Map(
      committed.filter(known).map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]),
    )
  }
}
