/**
 * The main job from a real broker to a real S3 server: 8 partitions of trips → bronze, silver and windows, at the default flush, in one
 * process. Events per CPU-second of that process, bytes and requests to S3 per million events, peak memory.
 *
 *   npm run bench:kafka                 8 × 1,000,000 events
 *   npm run bench:kafka -- 100000       8 × 100,000
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import { createTopic, startKafka } from '../test/parts/kafka.ts'
import { freshBucket, startS3 } from '../test/parts/s3.ts'
import { tripBatches } from './trips.ts'

const PARTITIONS = 8
const perPartition = Number(process.argv[2] ?? 1_000_000)
const records = PARTITIONS * perPartition
const SPAN_MS_PER_MILLION = 230 * 60_000
const PART_RECORDS = 200_000
const SEND_RECORDS = 5_000

const broker = await startKafka()
const store = await startS3()
try {
  await createTopic(broker.brokers, 'trips', { partitions: PARTITIONS })
  await produce(broker.brokers)
  const bucket = await freshBucket(store)
  const job = fileURLToPath(new URL('kafka-job.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [job], {
    env: {
      ...process.env,
      BENCH_BROKERS: broker.brokers,
      BENCH_RECORDS: String(records),
      BENCH_BUCKET: bucket,
      AWS_ENDPOINT_URL_S3: store.endpoint,
      AWS_REGION: store.region,
      AWS_ACCESS_KEY_ID: store.accessKeyId,
      AWS_SECRET_ACCESS_KEY: store.secretAccessKey,
    },
    maxBuffer: 1e8,
  })
  report(JSON.parse(stdout.trim().split('\n').at(-1)!) as Result)
} finally {
  await broker.dispose()
  await store.dispose()
}

interface Result {
  readonly records: number
  readonly epochs: number
  readonly cpuSeconds: number
  readonly wallSeconds: number
  readonly readSeconds: number
  readonly peakMegabytes: number
  readonly requests: Readonly<Record<string, number>>
  readonly bytesUp: number
  readonly rows: Readonly<Record<string, number>>
}

function report(result: Result): void {
  const millions = result.records / 1e6
  const whole = (value: number): string => Math.round(value).toLocaleString('en')
  const requests = Object.entries(result.requests).map(
    ([kind, count]) => `${kind} ${(count / millions).toFixed(1)}`,
  )
  console.log(`${whole(result.records)} events, ${result.epochs} epochs, rows ${JSON.stringify(result.rows)}`)
  console.log(`${whole(result.records / result.cpuSeconds)} events per CPU-second`)
  console.log(
    `${result.cpuSeconds.toFixed(1)} CPU-s, ${result.wallSeconds.toFixed(1)} s in all, read after ${result.readSeconds.toFixed(1)} s`,
  )
  console.log(
    `to S3 per million events: ${(result.bytesUp / 1e6 / millions).toFixed(1)} MB; ${requests.join(', ')}`,
  )
  console.log(`${result.peakMegabytes} MB at most`)
}

/** Trips in turn over the partitions, so that each is in event-time order but for the disorder that trips have. */
async function produce(brokers: string): Promise<void> {
  const client = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING })
  const producer = client.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  const span = (SPAN_MS_PER_MILLION * PART_RECORDS) / 1_000_000
  for (let made = 0; made < records; made += PART_RECORDS) {
    const count = Math.min(PART_RECORDS, records - made)
    const batches = tripBatches({ records: count, spanMs: span, startMs: (made / PART_RECORDS) * span })
    for (const batch of batches) {
      for (let from = 0; from < batch.count; from += SEND_RECORDS) {
        const messages = []
        for (let i = from; i < Math.min(batch.count, from + SEND_RECORDS); i++) {
          const value = Buffer.from(batch.arena.slice(batch.valueStart[i], batch.valueEnd[i]))
          messages.push({ value, partition: i % PARTITIONS })
        }
        await producer.send({ topic: 'trips', messages, acks: 1 })
      }
    }
    if (process.stderr.isTTY) process.stderr.write(`\rproduced ${made + count} of ${records}`)
  }
  await producer.disconnect()
}
