import { randomBytes } from 'node:crypto'
import { CompressionTypes, Kafka, logLevel } from 'kafkajs'
import { kafka } from '../consumers/kafka/index.ts'
import type { Log } from '../src/ports.ts'
import { systemClock, systemEntropy } from '../src/runtime/system.ts'
import { findKafka } from '../test/parts/kafka.ts'

/**
 * Records per CPU-second of reading a topic of 4 partitions: our source beside kafkajs's `eachBatch`. Records of 150 bytes, as in
 * the measurements of the design.
 *
 *   node bench/kafka-read.ts [records, default 1,000,000] [none | gzip]
 */
const RECORD_BYTES = 150
const PARTITIONS = 4
const NO_REGISTRY = { description: 'none', schemaById: async () => null }
const BATCH = 4_000

const total = Number(process.argv[2] ?? 1_000_000)
const compression = process.argv[3] === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None

const found = await findKafka()
if (found.kind === 'missing') throw new Error(found.reason)
const brokers = [found.brokers]
const topic = `bench-${randomBytes(4).toString('hex')}`
const client = new Kafka({ brokers, logLevel: logLevel.NOTHING })
const admin = client.admin()
await admin.connect()
await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }] })
await fill()
report('our source', await readOurs())
report('kafkajs eachBatch', await readKafkajs())
await admin.deleteTopics({ topics: [topic] })
await admin.disconnect()
process.exit(0)

async function fill(): Promise<void> {
  const producer = client.producer()
  await producer.connect()
  const text = randomBytes(RECORD_BYTES / 2).toString('hex')
  for (let sent = 0; sent < total; sent += BATCH) {
    const messages = Array.from({ length: Math.min(BATCH, total - sent) }, () => ({
      key: null,
      value: text,
      partition: (sent / BATCH) % PARTITIONS,
    }))
    await producer.send({ topic, messages, compression })
  }
  await producer.disconnect()
}

async function readOurs(): Promise<number> {
  const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet }
  const source = kafka({ brokers, topic, groupId: `${topic}-ours`, registry: NO_REGISTRY }).open({
    clock: systemClock,
    entropy: systemEntropy,
    log: quiet,
    acceptLoss: false,
  })
  const partitions = await source.partitions()
  const before = process.cpuUsage()
  let left = total
  let bytes = 0
  await Promise.all(
    partitions.map(async (partition) => {
      const reader = await source.open(partition, null)
      while (left > 0) {
        const result = await reader.read(8_192)
        if (result.kind !== 'records') continue
        const { batch } = result
        left -= batch.count
        for (let row = 0; row < batch.count; row++) bytes += batch.valueEnd[row]! - batch.valueStart[row]!
      }
      await reader.close()
    }),
  )
  const cpu = cpuSecondsSince(before)
  await source.close()
  if (bytes !== total * RECORD_BYTES) throw new Error(`read ${bytes} bytes`)
  return cpu
}

async function readKafkajs(): Promise<number> {
  const consumer = client.consumer({ groupId: `${topic}-kafkajs`, minBytes: 16 * 1024, maxWaitTimeInMs: 500 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const before = process.cpuUsage()
  let left = total
  await new Promise<void>((resolve) => {
    void consumer.run({
      eachBatch: async ({ batch }) => {
        left -= batch.messages.length
        if (left === 0) resolve()
      },
    })
  })
  const cpu = cpuSecondsSince(before)
  await consumer.disconnect()
  return cpu
}

function cpuSecondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

function report(what: string, cpuSeconds: number): void {
  const perSecond = total / cpuSeconds / 1e6
  console.log(
    `${what}: ${perSecond.toFixed(2)} M records per CPU-second (${cpuSeconds.toFixed(2)} CPU-seconds)`,
  )
}
