/**
 * Where lorawan.ts runs for real: a Kafka topic in, a lake in S3, topics out. Start it once or many times.
 *
 *   npm run stack                                       (or docker compose -f docker-compose.kafka.yml up -d --wait)
 *   npx millrace produce --recording examples/lorawan/frames.avro --topic frames --create-topic --registry "$MILLRACE_REGISTRY_URL"
 *   npx millrace run examples/lorawan/main.ts
 */
import { minutes, run, seconds } from 'millrace'
import { kafka } from 'millrace/consumers/kafka'
import { confluentRegistry } from 'millrace/consumers/registry'
import { deadLetterTopic } from 'millrace/sinks/dead-letter-topic'
import { s3 } from 'millrace/sinks/s3'
import { kafkaTopics } from 'millrace/sinks/topic'
import lorawan from './lorawan.ts'

const brokers = (process.env['MILLRACE_KAFKA_BROKERS'] ?? '127.0.0.1:9092').split(',')
const registry = confluentRegistry({
  url: process.env['MILLRACE_REGISTRY_URL'] ?? 'http://127.0.0.1:8081/apis/ccompat/v7',
})
// A cluster of your own has its topics made by those who run it.
const createTopics = { partitions: 3, replicationFactor: 1 }

await run(lorawan, {
  source: kafka({ brokers, topic: 'frames', groupId: 'lorawan', registry, refreshEvery: minutes(1) }),
  // Credentials, region and endpoint come from the environment, as for every AWS tool.
  lake: s3({ bucket: process.env['MILLRACE_S3_BUCKET'] ?? 'millrace', prefix: 'lorawan' }),
  topics: kafkaTopics({ brokers, registry, createTopics }),
  deadLetters: deadLetterTopic({ brokers, topic: 'frames.dead-letters', createTopics }),
  flush: { every: seconds(10) },
})
