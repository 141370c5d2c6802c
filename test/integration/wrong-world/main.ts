/**
 * A main file as a user writes one, started with `millrace run`. What is wrong with its world is in its environment.
 */
import { kafka } from '../../../consumers/kafka/index.ts'
import { confluentRegistry } from '../../../consumers/registry/index.ts'
import { deadLetterTopic } from '../../../sinks/dead-letter-topic.ts'
import { s3 } from '../../../sinks/s3/index.ts'
import { kafkaTopics } from '../../../sinks/topic/index.ts'
import { millis, run, seconds } from '../../../src/index.ts'
import { sensors } from './sensors.ts'

const {
  BROKERS = '',
  KAFKA_USER = '',
  KAFKA_PASSWORD = '',
  REGISTRY = '',
  BUCKET = '',
  NAME = '',
  TOPIC = '',
  DEAD_LETTERS = '',
  RESULTS = '',
  RECORDS = '',
  TELLS = '',
  FLUSH_MS = '200',
  STOP_SECONDS = '30',
} = process.env

const brokers = BROKERS.split(',')
const sasl = { mechanism: 'plain', username: KAFKA_USER, password: KAFKA_PASSWORD } as const
const cluster = KAFKA_USER === '' ? { brokers } : { brokers, sasl }
const registry = confluentRegistry({ url: REGISTRY })
const stop = new AbortController()

const { outcome, records, tables } = await run(sensors(NAME, RESULTS), {
  source: kafka({
    ...cluster,
    topic: TOPIC,
    groupId: NAME,
    registry,
    // A member that could not say goodbye is waited for.
    group: { sessionTimeoutMs: 3_000, heartbeatMs: 1_000, releaseMs: 5_000 },
  }),
  lake: s3({ bucket: BUCKET, prefix: NAME, requestTimeoutMs: 5_000 }),
  ...(RESULTS === '' ? {} : { topics: kafkaTopics({ ...cluster, registry }) }),
  ...(DEAD_LETTERS === '' ? {} : { deadLetters: deadLetterTopic({ ...cluster, topic: DEAD_LETTERS }) }),
  flush: { every: millis(Number(FLUSH_MS)) },
  stopWithin: seconds(Number(STOP_SECONDS)),
  // Ends by itself after so many records, or by a signal.
  ...(RECORDS === '' ? {} : { signal: stop.signal }),
  onProgress: (progress) => {
    if (TELLS !== '') console.error(JSON.stringify({ level: 'info', msg: `read ${progress.records}` }))
    if (RECORDS !== '' && progress.records >= Number(RECORDS)) stop.abort()
  },
})
const rows = Object.fromEntries(tables.map((table) => [table.path, table.rows]))
console.log(JSON.stringify({ outcome, records, rows }))
