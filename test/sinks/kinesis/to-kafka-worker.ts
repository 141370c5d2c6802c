/** A process that reads a stream and writes to Kafka, until it is killed or asked to stop. Everything it needs is in its environment. */
import { kinesis } from '../../../consumers/kinesis/index.ts'
import { writableDirectoryRegistry } from '../../../consumers/registry/index.ts'
import { deadLetterTopic } from '../../../sinks/dead-letter-topic.ts'
import { directory } from '../../../sinks/directory.ts'
import { kafkaTopics } from '../../../sinks/topic/index.ts'
import { millis, run, seconds } from '../../../src/index.ts'
import { programOf } from './to-kafka-program.ts'

const {
  KINESIS = '',
  STREAM = '',
  BROKERS = '',
  SCHEMAS = '',
  LAKE = '',
  RESULTS = '',
  DEAD = '',
} = process.env
const brokers = BROKERS.split(',')
const registry = writableDirectoryRegistry(SCHEMAS)

await run(programOf(RESULTS), {
  source: kinesis({
    region: 'eu-west-1',
    endpoint: KINESIS,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    stream: STREAM,
    registry,
    // It gets its shards back at once.
    workerName: 'worker',
  }),
  lake: directory(LAKE),
  topics: kafkaTopics({ brokers, registry }),
  deadLetters: deadLetterTopic({ brokers, topic: DEAD }),
  flush: { every: millis(200) },
  stopWithin: seconds(60),
})
process.exit(0)
