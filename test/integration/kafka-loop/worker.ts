/** One of the processes that the loop starts, stops and kills. Everything it needs is in its environment. */
import { confluentRegistry } from '../../../consumers/registry/index.ts'
import { kafka } from '../../../consumers/kafka/index.ts'
import { deadLetterTopic } from '../../../sinks/dead-letter-topic.ts'
import { s3 } from '../../../sinks/s3/index.ts'
import { kafkaTopics } from '../../../sinks/topic/index.ts'
import { millis, run, seconds } from '../../../src/index.ts'
import { untilEnd } from '../loop-end.ts'
import loop from './events.ts'

const { LOOP_BROKERS = '', LOOP_REGISTRY = '', LOOP_BUCKET = '', LOOP_FLUSH_MS = '1000' } = process.env
const brokers = LOOP_BROKERS.split(',')
const registry = confluentRegistry({ url: LOOP_REGISTRY })

await untilEnd(
  run(loop, {
    source: kafka({
      brokers,
      topic: 'events',
      groupId: 'loop',
      registry,
      group: { sessionTimeoutMs: 6_000, heartbeatMs: 1_000, releaseMs: 10_000 },
    }),
    lake: s3({ bucket: LOOP_BUCKET, prefix: 'lake', requestTimeoutMs: 5_000 }),
    topics: kafkaTopics({ brokers, registry, transactionTimeoutMs: 10_000 }),
    deadLetters: deadLetterTopic({ brokers, topic: 'dead-letters', transactionTimeoutMs: 10_000 }),
    flush: { every: millis(Number(LOOP_FLUSH_MS)) },
    stopWithin: seconds(60),
  }),
)
