import { randomBytes } from 'node:crypto'
import { Kafka, logLevel, type Message, Partitioners } from 'kafkajs'
import { kafka, type KafkaSourceBindingOptions } from '../../../consumers/kafka/index.ts'
import type { KafkaSource } from '../../../consumers/kafka/source.ts'
import { PipelineError } from '../../../src/errors.ts'
import type { PartitionReader, SourcePartition } from '../../../src/ports.ts'
import { systemClock, systemEntropy } from '../../../src/runtime/system.ts'
import { collectingLog, type LogLine } from '../../support/collecting-log.ts'

export interface OpenOptions extends Partial<KafkaSourceBindingOptions> {
  readonly brokers: readonly string[]
  readonly acceptLoss?: boolean
  readonly lines?: LogLine[]
}

/** Close it. */
export function openSource({ acceptLoss = false, lines = [], ...options }: OpenOptions): KafkaSource {
  const binding = kafka({
    groupId: `group-${name()}`,
    registry: { description: 'none', schemaById: async () => null },
    ...options,
    fetch: { maxWaitMs: 100, minBytes: 1, ...options.fetch },
  })
  const world = { clock: systemClock, entropy: systemEntropy, log: collectingLog(lines), acceptLoss }
  return binding.open(world) as KafkaSource
}

/** A name that nobody else has. */
export const name = (): string => randomBytes(5).toString('hex')

export interface SeenRecord {
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly timestampMs: number
  readonly arrivalMs: number
  readonly headers: readonly (readonly [string, string | null])[] | null
  readonly positionAfter: string
}

/** Reads until `enough` says so, or the partition is at its end. */
export async function readSome(
  reader: PartitionReader,
  enough: (records: readonly SeenRecord[]) => boolean = () => false,
  recordsMax = 1_000,
): Promise<SeenRecord[]> {
  const records: SeenRecord[] = []
  while (!enough(records)) {
    const result = await reader.read(recordsMax)
    if (result.kind !== 'records') break
    const { batch } = result
    const text = (start: number, end: number): string | null =>
      end < 0 ? null : new TextDecoder().decode(batch.arena.subarray(start, end))
    for (let row = 0; row < batch.count; row++) {
      records.push({
        offset: batch.offsets[row]!,
        key: text(batch.keyStart[row]!, batch.keyEnd[row]!),
        value: text(batch.valueStart[row]!, batch.valueEnd[row]!),
        timestampMs: batch.timestampsMs[row]!,
        arrivalMs: batch.arrivalsMs[row]!,
        headers:
          batch.headers?.[row]?.map(({ key, value }) => [
            key,
            value === null ? null : new TextDecoder().decode(value),
          ]) ?? null,
        positionAfter: batch.positionAfter(row),
      })
    }
  }
  return records
}

/** All records of a partition from a position on. */
export async function readPartition(
  source: KafkaSource,
  partition: SourcePartition,
  position: string | null = null,
): Promise<SeenRecord[]> {
  const reader = await source.open(partition, position)
  try {
    return await readSome(reader)
  } finally {
    await reader.close()
  }
}

/** Lists the partitions, and reads the first one; closes the source. */
export async function readFirst(options: OpenOptions, position: string | null = null): Promise<SeenRecord[]> {
  const source = openSource(options)
  try {
    const [first] = await source.partitions()
    return await readPartition(source, first!, position)
  } finally {
    await source.close()
  }
}

/** 'CODE: message' of what is thrown; 'nothing' where nothing is. */
export async function thrownBy(act: () => Promise<unknown>): Promise<PipelineError> {
  try {
    await act()
  } catch (error) {
    if (error instanceof PipelineError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** kafkajs, for what a test does to a topic. */
export function testClient(brokers: string): Kafka {
  return new Kafka({ clientId: 'test', brokers: brokers.split(','), logLevel: logLevel.NOTHING })
}

export async function send(brokers: string, topic: string, ...batches: Message[][]): Promise<void> {
  const producer = testClient(brokers).producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  try {
    for (const messages of batches) await producer.send({ topic, messages })
  } finally {
    await producer.disconnect()
  }
}
