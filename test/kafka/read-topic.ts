import { randomUUID } from 'node:crypto'
import { type IHeaders, Kafka, logLevel } from 'kafkajs'

export interface SeenRecord {
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly { readonly key: string; readonly value: Buffer | null }[]
}

/** All that a topic holds now, read by kafkajs and not by us, in the order of the partitions and their offsets. */
export async function readTopic(brokers: string, topic: string): Promise<readonly SeenRecord[]> {
  const client = new Kafka({ clientId: 'judge', brokers: brokers.split(','), logLevel: logLevel.NOTHING })
  const admin = client.admin()
  await admin.connect()
  const ends = new Map(
    (await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, Number(high)]),
  )
  await admin.disconnect()
  const left = new Set([...ends].filter(([, end]) => end > 0).map(([partition]) => partition))
  const records: SeenRecord[] = []
  if (left.size === 0) return records
  const consumer = client.consumer({ groupId: `judge-${randomUUID()}`, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise<void>((resolve, reject) => {
    consumer.on('consumer.crash', ({ payload }) => payload.restart || reject(payload.error))
    void consumer.run({
      eachMessage: async ({ partition, message }) => {
        const offset = Number(message.offset)
        records.push({
          partition,
          offset,
          timestampMs: Number(message.timestamp),
          key: message.key,
          value: message.value,
          headers: headersOf(message.headers),
        })
        if (offset + 1 >= ends.get(partition)!) left.delete(partition)
        if (left.size === 0) resolve()
      },
    })
  })
  await consumer.disconnect()
  return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}

function headersOf(headers: IHeaders = {}): SeenRecord['headers'] {
  return Object.entries(headers).flatMap(([key, values]) =>
    (Array.isArray(values) ? values : [values]).map((value) => ({
      key,
      value: value === undefined || value === null ? null : Buffer.from(value),
    })),
  )
}
