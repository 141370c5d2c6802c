import { PipelineError } from '../../src/errors.ts'
import { kafkaFault, type KafkaClient, protocolErrorName, protocolFault } from '../../src/kafka/client.ts'
import { BATCH_OVERHEAD_BYTES, RECORD_OVERHEAD_BYTES } from '../../src/kafka/record-batch.ts'
import type { SourceWorld } from '../../src/ports.ts'
import type { CreateTopics } from './outbox-options.ts'
import type { TopicDirectory } from './topic-directory.ts'
import { topicRightsRequest } from './topic-rights.ts'
import { topicSettingsRequest } from './topic-settings.ts'

export interface OpenTopicsOptions {
  readonly client: KafkaClient
  readonly world: SourceWorld
  readonly directory: TopicDirectory
  readonly createTopics: CreateTopics | null
  /** True where records without a key are sent, and all records of a key are to be kept. */
  readonly refuseCompacted: boolean
}

/** What a batch takes in each topic, at most. */
export type BatchLimits = ReadonlyMap<string, number>

/** Kafka's default for max.message.bytes, where we may not ask. */
const BATCH_BYTES_DEFAULT = 1_048_588
/** A batch larger than that is not worth it: it is held in memory three times on its way. */
const BATCH_BYTES_MAX = 64 * 1024 * 1024
/** Below, the headers of a dead letter would not fit. */
const BATCH_BYTES_MIN = 65_536 + 1_024

const TOPIC_AUTHORIZATION_FAILED = 'TOPIC_AUTHORIZATION_FAILED'

/** Finds what would make a publication fail for good. Throws TOPIC_NOT_FOUND, TOPIC_FORBIDDEN, TOPIC_COMPACTED, TOPIC_LIMIT. */
export async function openTopics(
  topics: readonly string[],
  options: OpenTopicsOptions,
): Promise<BatchLimits> {
  const { client, createTopics } = options
  await client.connect()
  const missing = await missingTopics(topics, options)
  if (missing.length > 0) {
    if (createTopics === null) throw notFound(missing, client)
    await create(missing, createTopics, options)
    const still = await missingTopics(topics, options)
    if (still.length > 0) throw notFound(still, client)
  }
  await checkRights(topics, client)
  return readLimits(topics, options)
}

/** Learns the partitions of the others. */
async function missingTopics(
  topics: readonly string[],
  { client, directory }: OpenTopicsOptions,
): Promise<readonly string[]> {
  const metadata = await client.metadata(topics)
  directory.learn(metadata.topics)
  return metadata.topics.flatMap(({ topic, errorCode }) => {
    const name = protocolErrorName(errorCode)
    if (name === TOPIC_AUTHORIZATION_FAILED) throw forbidden(topic, 'see')
    if (errorCode === 0) return []
    if (name === 'UNKNOWN_TOPIC_OR_PARTITION') return [topic]
    throw protocolFault(errorCode, { what: `open the topic ${topic}`, topic })
  })
}

function notFound(topics: readonly string[], { description }: KafkaClient): PipelineError {
  const names = topics.join(', ')
  const what = topics.length === 1 ? `there is no topic ${names}` : `there are no topics ${names}`
  return new PipelineError('TOPIC_NOT_FOUND', `${what} at ${description}`, {
    advice:
      'Create it with the partitions and replicas that it is to have, or let Millrace do so: createTopics: { partitions, replicationFactor }.',
  })
}

function forbidden(topic: string, action: string): PipelineError {
  return new PipelineError('TOPIC_FORBIDDEN', `this program may not ${action} the topic ${topic}`, {
    advice: `Give whoever the brokers take it for the ACLs Read and Write on the topic ${topic}; docs/topics.md lists all that is needed.`,
  })
}

async function create(
  topics: readonly string[],
  { partitions, replicationFactor }: CreateTopics,
  { client, world }: OpenTopicsOptions,
): Promise<void> {
  const context = { what: `create the topics ${topics.join(', ')}` }
  const admin = client.admin()
  try {
    await admin.connect()
    await admin.createTopics({
      topics: topics.map((topic) => ({ topic, numPartitions: partitions, replicationFactor })),
      waitForLeaders: true,
    })
    world.log.info({ topics, partitions, replicationFactor }, 'created topics')
  } catch (error) {
    throw kafkaFault(error, context)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

async function checkRights(topics: readonly string[], client: KafkaClient): Promise<void> {
  const rights = await client.send(null, topicRightsRequest(topics), { what: 'ask what we may do' })
  for (const { topic, mayRead, mayWrite } of rights) {
    if (mayWrite === false) throw forbidden(topic, 'write to')
    // The marker's offset is of a partition of the topic, and lost markers are looked for in the topics.
    if (mayRead === false) throw forbidden(topic, 'read')
  }
}

async function readLimits(topics: readonly string[], options: OpenTopicsOptions): Promise<BatchLimits> {
  const { client, world, refuseCompacted } = options
  const limits = new Map<string, number>()
  const names = ['max.message.bytes', 'cleanup.policy']
  const answers = await client.send(null, topicSettingsRequest(topics, names), { what: 'ask for limits' })
  for (const { topic, errorCode, settings } of answers) {
    const known = errorCode === 0 ? Number(settings.get('max.message.bytes') ?? Number.NaN) : Number.NaN
    if (errorCode !== 0) {
      const error = protocolErrorName(errorCode)
      world.log.warn(
        { topic, error },
        `may not ask for the limits of the topic: assuming ${BATCH_BYTES_DEFAULT} bytes`,
      )
    }
    const bytes = Number.isFinite(known) ? known : BATCH_BYTES_DEFAULT
    if (bytes < BATCH_BYTES_MIN) throw tooSmall(topic, bytes)
    if (refuseCompacted && (settings.get('cleanup.policy') ?? '').includes('compact')) throw compacted(topic)
    limits.set(topic, Math.min(bytes, BATCH_BYTES_MAX))
  }
  return limits
}

function tooSmall(topic: string, bytes: number): PipelineError {
  return new PipelineError('TOPIC_LIMIT', `the topic ${topic} takes messages of ${bytes} bytes`, {
    advice: `Set max.message.bytes to ${BATCH_BYTES_MIN} or more: dead letters say in headers what happened.`,
  })
}

function compacted(topic: string): PipelineError {
  return new PipelineError('TOPIC_COMPACTED', `the topic ${topic} is compacted`, {
    advice:
      'Compaction would delete all dead letters of a key but the last, and refuses those without a key. Set cleanup.policy=delete.',
  })
}

/** What the smallest of the topics takes as one message: key, value and headers. */
export function messageBytesMaxOf(limits: BatchLimits): number {
  return Math.min(...limits.values()) - BATCH_OVERHEAD_BYTES - RECORD_OVERHEAD_BYTES
}
