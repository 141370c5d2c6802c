import { kafka } from '../../consumers/kafka/index.ts'
import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import { directoryRegistry } from '../../consumers/registry/index.ts'
import { KafkaClient, LATEST } from '../kafka/client.ts'
import type { Log } from '../ports.ts'
import { systemClock, systemEntropy } from '../runtime/system.ts'
import { kafkaPlace } from './kafka-place.ts'
import type { NamedTopic } from './kinesis-place.ts'
import { captureTopic } from './topic-capture.ts'

/** What is read of a topic or a stream, and who gets it. */
export interface RecordRun {
  readonly from: 'earliest' | 'latest' | Date
  readonly untilEnd: boolean
  readonly signal: AbortSignal
  readonly log: Log
  /** False ends it. */
  readonly write: (record: RawRecord) => boolean
  /** Of a shard that follows others. */
  readonly follows: (stream: string, shard: number, parents: readonly number[]) => void
}

/** Only named where offsets are compared with a group's: nothing joins it, and nothing is committed to it. */
const GROUP = 'millrace-record'

export async function recordTopic({ topic, brokers }: NamedTopic, run: RecordRun): Promise<void> {
  const { from, untilEnd, signal, log, write } = run
  const place = await kafkaPlace(brokers)
  const world = { clock: systemClock, entropy: systemEntropy, log, acceptLoss: false }
  const binding = kafka({ ...place, topic, groupId: GROUP, registry: directoryRegistry('.'), from })
  const source = binding.open(world)
  try {
    const endOffsets = await endsOf(new KafkaClient(place, world), topic)
    await captureTopic({ source, clock: systemClock, signal, endOffsets, untilEnd, write })
  } finally {
    await source.close()
  }
}

/** By the ids of the partitions. */
async function endsOf(client: KafkaClient, topic: string): Promise<ReadonlyMap<string, number>> {
  try {
    await client.connect()
    const { topics } = await client.metadata([topic])
    // A topic that is not there: the source says so.
    const partitions = topics[0]?.errorCode === 0 ? topics[0].partitions : []
    const queries = partitions.map(({ partition }) => ({ topic, partition, timestampMs: LATEST }))
    const ends = queries.length === 0 ? [] : await client.listOffsets(queries, 'read_committed')
    return new Map(ends.map(({ partition, offset }) => [`${topic}-${partition}`, offset]))
  } finally {
    await client.close()
  }
}
