import { PipelineError } from '../errors.ts'
import type { Clock, Log } from '../ports.ts'
import { ConnectionPool, type Lane } from './connection-pool.ts'
import { type FaultContext, kafkaFault, protocolFault } from './faults.ts'
import { type Admin, newKafka, type Producer, type ProducerConfig } from './kafkajs.ts'
import { type KafkaOptions, type ResolvedKafkaOptions, resolveKafkaOptions } from './options.ts'
import {
  byTopic,
  type ClusterMetadata,
  type CommittedOffset,
  type CoordinatorType,
  findCoordinatorRequest,
  type IsolationLevel,
  listOffsetsRequest,
  type ListedOffset,
  metadataRequest,
  offsetFetchRequest,
  type OffsetQuery,
  type RawRequest,
  type TopicPartition,
} from './requests.ts'

export type { KafkaOptions, KafkaSasl, KafkaTls } from './options.ts'
export type { Lane } from './connection-pool.ts'
export type { Admin, Message, Producer, ProducerConfig, Transaction } from './kafkajs.ts'
export * from './requests.ts'
export { resolveKafkaOptions } from './options.ts'
export { type FaultContext, kafkaFault, protocolFault } from './faults.ts'
export { isRetryableCode, protocolErrorName } from './protocol-error.ts'

/** What a client needs of the process around it. */
export interface KafkaWorld {
  readonly clock: Clock
  readonly log: Log
}

const FIRST_TRIES = 3
const FIRST_PAUSE_MS = 500

/**
 * One cluster. Every method throws PipelineError: KAFKA_UNREACHABLE and KAFKA_UNAVAILABLE are retryable, KAFKA_AUTHENTICATION,
 * KAFKA_AUTHORIZATION, KAFKA_TLS, KAFKA_TOO_OLD and KAFKA_FAILED are not. Nothing is tried again in here, but the first connection.
 */
export class KafkaClient {
  readonly options: ResolvedKafkaOptions
  readonly #world: KafkaWorld
  readonly #pool: ConnectionPool
  readonly #leaders = new Map<string, number>()
  #connected: Promise<void> | null = null
  #clusterId: string | null = null

  constructor(options: KafkaOptions, world: KafkaWorld) {
    this.options = resolveKafkaOptions(options)
    this.#world = world
    this.#pool = new ConnectionPool(this.options, world.log)
  }

  /** For people: the brokers as given. */
  get description(): string {
    return this.options.brokers.map(({ host, port }) => `${host}:${port}`).join(',')
  }

  /**
   * Reaches any broker, once. A cluster that nobody has ever reached is an address that is wrong, more often than not: after a few tries
   * KAFKA_UNREACHABLE is thrown as an error that waiting does not mend. Afterwards an outage is only an outage.
   */
  async connect(): Promise<void> {
    this.#connected ??= this.#connectFirst()
    try {
      await this.#connected
    } catch (error) {
      this.#connected = null
      throw error
    }
  }

  async #connectFirst(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#metadata([], `reach Kafka at ${this.description}`)
        return
      } catch (error) {
        if (!(error instanceof PipelineError) || !error.retryable) throw error
        if (attempt === FIRST_TRIES) {
          const { code, message, advice } = error
          throw new PipelineError(code, message, {
            cause: error,
            ...(advice === undefined ? {} : { advice }),
          })
        }
        await this.#world.clock.sleep(FIRST_PAUSE_MS * attempt)
      }
    }
  }

  /** Of these topics, or of all (null). A topic's own trouble is its `errorCode`. Learns the brokers and the leaders. */
  async metadata(topics: readonly string[] | null): Promise<ClusterMetadata> {
    return this.#metadata(topics, 'read the cluster’s metadata')
  }

  async #metadata(topics: readonly string[] | null, what: string): Promise<ClusterMetadata> {
    const metadata = await this.send(null, metadataRequest(topics), { what })
    if (metadata.brokers.length === 0) {
      throw new PipelineError('KAFKA_UNAVAILABLE', 'the cluster has no brokers at the moment', {
        retryable: true,
      })
    }
    this.#pool.learn(metadata.brokers)
    this.#clusterId = metadata.clusterId
    for (const { topic, partitions } of metadata.topics) {
      for (const { partition, leader } of partitions) this.#leaders.set(`${topic}/${partition}`, leader)
    }
    return metadata
  }

  async clusterId(): Promise<string> {
    if (this.#clusterId === null) await this.metadata([])
    return this.#clusterId!
  }

  /**
   * Sends to a broker by its node id, or to any (null). A broker answers the requests of one connection in turn, so what may wait there
   * (a fetch, a join) has a lane, which is a connection, of its own.
   */
  async send<T>(
    nodeId: number | null,
    request: RawRequest<T>,
    context: FaultContext,
    lane: Lane = 'default',
  ): Promise<T> {
    try {
      return await this.#pool.send(nodeId, request, lane)
    } catch (error) {
      throw kafkaFault(error, context)
    }
  }

  /** The highest version of an API that the broker has. */
  async maxVersion(nodeId: number | null, apiKey: number, lane: Lane = 'default'): Promise<number> {
    try {
      return await this.#pool.maxVersion(nodeId, apiKey, lane)
    } catch (error) {
      throw kafkaFault(error, { what: 'ask a broker for its versions' })
    }
  }

  /** The node that keeps this group or transactional id. It moves: after NOT_COORDINATOR ask again. */
  async coordinator(key: string, type: CoordinatorType): Promise<number> {
    const what = `find the coordinator of ${type} ${key}`
    const context = { what, groupId: key, transactionalId: key }
    const broker = await this.send(null, findCoordinatorRequest(key, type), context)
    this.#pool.learn([broker])
    return broker.nodeId
  }

  /** In no particular order. Throws the first error of a partition. */
  async listOffsets(
    queries: readonly OffsetQuery[],
    isolation: IsolationLevel = 'read_uncommitted',
  ): Promise<readonly ListedOffset[]> {
    const leaders = await this.#leadersOf(queries)
    const answers = await Promise.all(
      [...leaders].map(([nodeId, listed]) =>
        this.send(nodeId, listOffsetsRequest(listed, isolation), { what: 'list offsets' }),
      ),
    )
    const offsets = answers.flat()
    for (const { topic, partition, errorCode } of offsets) {
      if (errorCode === 0) continue
      this.#leaders.delete(`${topic}/${partition}`)
      throw protocolFault(errorCode, { what: `list the offsets of ${topic}-${partition}`, topic })
    }
    return offsets
  }

  /** What a group has committed. Null: for every partition that it has. Throws the first error of a partition. */
  async fetchOffsets(
    groupId: string,
    partitions: readonly TopicPartition[] | null,
    { requireStable = false }: { readonly requireStable?: boolean } = {},
  ): Promise<readonly CommittedOffset[]> {
    const context = { what: `read the offsets of group ${groupId}`, groupId }
    const nodeId = await this.coordinator(groupId, 'group')
    const offsets = await this.send(nodeId, offsetFetchRequest(groupId, partitions, requireStable), context)
    for (const { topic, errorCode } of offsets) {
      if (errorCode !== 0) throw protocolFault(errorCode, { ...context, topic })
    }
    return offsets
  }

  /** kafkajs's own. Whoever asks for it connects and disconnects it, and maps its errors with `kafkaFault`. */
  admin(): Admin {
    return newKafka(this.options, this.#world.log).admin()
  }

  /** kafkajs's own, as `admin`. Creates no topics. */
  producer(config: ProducerConfig = {}): Producer {
    return newKafka(this.options, this.#world.log).producer({ allowAutoTopicCreation: false, ...config })
  }

  /** Memory of an answer to a fetch: nobody looks at it any more. */
  recycle(memory: ArrayBufferLike): void {
    this.#pool.memory.give(memory)
  }

  /** Requests on their way fail. */
  async close(): Promise<void> {
    await this.#pool.close()
  }

  async #leadersOf<T extends TopicPartition>(partitions: readonly T[]): Promise<Map<number, T[]>> {
    const known = ({ topic, partition }: T): number => this.#leaders.get(`${topic}/${partition}`) ?? -1
    if (partitions.some((partition) => known(partition) < 0)) {
      await this.metadata(byTopic(partitions).map(([topic]) => topic))
    }
    const byNode = new Map<number, T[]>()
    for (const partition of partitions) {
      const leader = known(partition)
      if (leader < 0) {
        const { topic } = partition
        throw protocolFault(5, { what: `find the leader of ${topic}-${partition.partition}`, topic })
      }
      const listed = byNode.get(leader)
      if (listed === undefined) byNode.set(leader, [partition])
      else listed.push(partition)
    }
    return byNode
  }
}
