import { assert, PipelineError } from '../../src/errors.ts'
import { KafkaClient, type KafkaOptions, protocolErrorName } from '../../src/kafka/client.ts'
import { initProducerIdRequest, type ProducerIdentity } from '../../src/kafka/transaction-requests.ts'
import type {
  Outbox,
  OutboxMarker,
  OutboxTask,
  SchemaRegistry,
  SourceWorld,
  TopicEncoder,
  TopicShape,
} from '../../src/ports.ts'
import { attempt } from './attempt.ts'
import { CoordinatorCalls, isRefusal } from './coordinator-calls.ts'
import { groupRightsRequest } from './group-rights.ts'
import { KafkaOutboxTask } from './kafka-outbox-task.ts'
import { parseMarker } from './marker.ts'
import { type BatchLimits, messageBytesMaxOf, openTopics } from './open-topics.ts'
import type { ResolvedTopicOptions } from './outbox-options.ts'
import { TopicDirectory } from './topic-directory.ts'
import { registerEncoder } from './topic-encoder.ts'
import { Tries } from './tries.ts'

export interface KafkaOutboxOptions extends ResolvedTopicOptions {
  readonly kafka: KafkaOptions
  /** Tells the transactional ids and groups of a run's outboxes apart. */
  readonly kind: 'out' | 'dlq'
  /** Null where there are no shapes. */
  readonly registry: SchemaRegistry | null
  readonly world: SourceWorld
}

/** A claim waits so long for the end of its predecessor's transaction; then the caller is told to come back. */
const CLAIM_LIMIT_MS = 10_000
/** As a broker would say it of a commit. */
const GROUP_AUTHORIZATION_FAILED = 30

/**
 * Kafka topics, exactly once: each task has a transactional id of its own, without the incarnation in it, and a group of the same name, whose only
 * offset is the marker.
 */
export class KafkaOutbox implements Outbox {
  readonly #options: KafkaOutboxOptions
  readonly #client: KafkaClient
  readonly #directory: TopicDirectory
  #limits: BatchLimits = new Map()
  /** The marker lies on partition 0 of it. */
  #markerTopic: string | null = null

  constructor(options: KafkaOutboxOptions, client?: KafkaClient) {
    this.#options = options
    this.#client = client ?? new KafkaClient(options.kafka, options.world)
    this.#directory = new TopicDirectory(this.#client)
  }

  get description(): string {
    return this.#client.description
  }

  /** Known when the topics are open. */
  get messageBytesMax(): number {
    return messageBytesMaxOf(this.#limits)
  }

  async open(topics: readonly string[], shapes: readonly TopicShape[]): Promise<readonly TopicEncoder[]> {
    const { world, createTopics, kind, registry } = this.#options
    const names = [...new Set(topics)].sort()
    assert(names.length > 0, 'an outbox has topics')
    this.#limits = await openTopics(names, {
      client: this.#client,
      world,
      directory: this.#directory,
      createTopics,
      refuseCompacted: kind === 'dlq',
    })
    this.#markerTopic = names[0]!
    const encoders: TopicEncoder[] = []
    for (const shape of shapes) {
      assert(registry !== null, 'a topic of results has a registry')
      encoders.push(await registerEncoder(shape, registry))
    }
    return encoders
  }

  clusterId(): Promise<string> {
    return this.#client.clusterId()
  }

  async claim(pipeline: string, task: string): Promise<OutboxTask> {
    const markerTopic = this.#markerTopic
    assert(markerTopic !== null, 'an outbox is opened before it is claimed')
    const { transactionalIdPrefix, kind, transactionTimeoutMs, world } = this.#options
    const id = `${transactionalIdPrefix}-${pipeline}-${task}-${kind}`
    const identity = await this.#fence(id)
    const [marker] = await Promise.all([this.#readMarker(id, markerTopic), this.#checkGroup(id)])
    world.log.debug({ task, transactionalId: id, producerEpoch: identity.producerEpoch, marker }, 'claimed')
    return new KafkaOutboxTask({
      client: this.#client,
      directory: this.#directory,
      world,
      identity,
      transactionTimeoutMs,
      pipeline,
      task,
      marker,
      markerTopic,
      limits: this.#limits,
    })
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  /** Whoever had the id before can commit nothing more; what they had open is aborted when this resolves. */
  async #fence(id: string): Promise<ProducerIdentity> {
    const { world, transactionTimeoutMs } = this.#options
    const coordinator = new CoordinatorCalls(this.#client, id, 'transaction')
    const context = { what: `fence ${id}`, transactionalId: id }
    const tries = new Tries(world, CLAIM_LIMIT_MS)
    for (;;) {
      let identity: ProducerIdentity | null = null
      const result = await attempt(async () => {
        const request = initProducerIdRequest(id, transactionTimeoutMs)
        const answer = await coordinator.send(request, context, ({ errorCode }) => isRefusal(errorCode))
        identity = answer.producer
        if (protocolErrorName(answer.errorCode) === 'INVALID_TRANSACTION_TIMEOUT') {
          throw new PipelineError(
            'OPTION_INVALID',
            `the brokers allow no transaction of ${transactionTimeoutMs} ms`,
            { advice: 'Lower transactionTimeoutMs, or raise transaction.max.timeout.ms of the brokers.' },
          )
        }
        return { code: answer.errorCode, context }
      })
      if (result.verdict === 'done' && identity !== null) return identity
      if (result.verdict === 'done') continue
      // Somebody else fences at the same moment: the last one has it.
      const isPassing = result.verdict === 'again' || result.verdict === 'fenced'
      if (!isPassing) throw result.error
      if (await tries.more()) continue
      throw retryable(result.error)
    }
  }

  /** The marker is written in the first transaction: by then records promise what it is to hold. */
  async #checkGroup(groupId: string): Promise<void> {
    const context = { what: `ask what we may do with group ${groupId}`, groupId }
    const calls = new CoordinatorCalls(this.#client, groupId, 'group')
    const tries = new Tries(this.#options.world, CLAIM_LIMIT_MS)
    for (;;) {
      const result = await attempt(async () => {
        const request = groupRightsRequest(groupId)
        const answer = await calls.send(request, context, ({ errorCode }) => isRefusal(errorCode))
        const code = answer.mayRead === false ? GROUP_AUTHORIZATION_FAILED : answer.errorCode
        return { code, context }
      })
      if (result.verdict === 'done') return
      if (result.verdict !== 'again' || !(await tries.more())) throw result.error
    }
  }

  /** After the fence: a transaction of the predecessor that is being committed is waited for (`require_stable`, KIP-447). */
  async #readMarker(id: string, topic: string): Promise<OutboxMarker | null> {
    const tries = new Tries(this.#options.world, CLAIM_LIMIT_MS)
    for (;;) {
      try {
        const options = { requireStable: true }
        const [offset] = await this.#client.fetchOffsets(id, [{ topic, partition: 0 }], options)
        return offset === undefined || offset.offset < 0 ? null : parseMarker(offset.metadata)
      } catch (error) {
        if (!(error instanceof PipelineError) || !error.retryable || !(await tries.more())) throw error
      }
    }
  }
}

function retryable(error: PipelineError): PipelineError {
  return error.retryable
    ? error
    : new PipelineError(error.code, error.message, { retryable: true, cause: error })
}
