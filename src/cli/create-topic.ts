import { PipelineError } from '../errors.ts'
import { type KafkaClient, kafkaFault } from '../kafka/client.ts'
import { systemClock } from '../runtime/system.ts'

export interface NewTopic {
  readonly topic: string
  readonly partitions: number
  /** What is written to it is older than any retention: it keeps everything. */
  readonly keepsAll: boolean
}

const LEADERS_WITHIN_MS = 30_000
const PAUSE_MS = 100

/** Makes a topic, replicated as the brokers have it by default, and waits until it can be written to. False where it is there already. */
export async function createTopicIfAbsent(client: KafkaClient, topic: NewTopic): Promise<boolean> {
  await client.connect()
  if ((await ledPartitions(client, topic.topic)) !== null) return false
  const isNew = await create(client, topic)
  const untilMs = systemClock.nowMs() + LEADERS_WITHIN_MS
  while (((await ledPartitions(client, topic.topic)) ?? 0) < topic.partitions) {
    if (systemClock.nowMs() > untilMs) {
      throw new PipelineError('KAFKA_UNAVAILABLE', `${topic.topic} was made, and has no leaders yet`, {
        advice: 'Wait a moment, and run the command again.',
      })
    }
    await systemClock.sleep(PAUSE_MS)
  }
  return isNew
}

async function create(client: KafkaClient, { topic, partitions, keepsAll }: NewTopic): Promise<boolean> {
  const admin = client.admin()
  try {
    await admin.connect()
    return await admin.createTopics({
      topics: [
        {
          topic,
          numPartitions: partitions,
          // That of the brokers: default.replication.factor.
          replicationFactor: -1,
          configEntries: keepsAll ? [{ name: 'retention.ms', value: '-1' }] : [],
        },
      ],
      // kafkajs gives up where a broker has not heard of the topic yet.
      waitForLeaders: false,
    })
  } catch (error) {
    throw kafkaFault(error, { what: `create the topic ${topic}`, topic })
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

/** How many of its partitions can be written to. Null where there is no such topic. */
async function ledPartitions(client: KafkaClient, topic: string): Promise<number | null> {
  const { topics } = await client.metadata([topic])
  const found = topics[0]
  if (found === undefined || found.errorCode !== 0) return null
  return found.partitions.filter(({ leader }) => leader >= 0).length
}
