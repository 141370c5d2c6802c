import { partitionOfKey } from '../../src/kafka/murmur2.ts'
import { BATCH_OVERHEAD_BYTES, type OutRecord, recordBytesMax } from '../../src/kafka/record-batch.ts'
import type { OutboxMessage } from '../../src/ports.ts'

/** Records of one partition that go in one batch. */
export interface PlacedBatch {
  readonly topic: string
  readonly partition: number
  readonly records: readonly OutRecord[]
  /** At least what it takes on the wire. */
  readonly bytes: number
}

export interface PlacementLimits {
  readonly partitionCount: (topic: string) => number
  /** The largest batch that the topic takes. */
  readonly batchBytesMax: (topic: string) => number
  /** For records without a key: any number, the next one each time. */
  readonly nextAny: () => number
}

/**
 * Puts messages where Kafka's Java client would: by the hash of their key, and those without a key in turn. Batches of a partition are in the
 * order of its messages.
 */
export function placeMessages(
  messages: readonly OutboxMessage[],
  { partitionCount, batchBytesMax, nextAny }: PlacementLimits,
): readonly PlacedBatch[] {
  const batches: PlacedBatch[] = []
  const open = new Map<string, { topic: string; partition: number; records: OutRecord[]; bytes: number }>()
  for (const message of messages) {
    const { topic, key } = message
    const partitions = partitionCount(topic)
    const partition = key === null ? nextAny() % partitions : partitionOfKey(key, partitions)
    const place = `${topic}/${partition}`
    const bytes = recordBytesMax(message)
    let batch = open.get(place)
    if (batch === undefined || batch.bytes + bytes > batchBytesMax(topic)) {
      batch = { topic, partition, records: [], bytes: BATCH_OVERHEAD_BYTES }
      open.set(place, batch)
      batches.push(batch)
    }
    batch.records.push(message)
    batch.bytes += bytes
  }
  return batches
}

/**
 * The batches that can be sent next: the first of each partition, as long as a request is not too large. What is left follows when these
 * are stored, because the broker takes a partition's batches in order only.
 */
export function nextRound(
  batches: readonly PlacedBatch[],
  requestBytesMax: number,
): { readonly round: readonly PlacedBatch[]; readonly rest: readonly PlacedBatch[] } {
  const round: PlacedBatch[] = []
  const rest: PlacedBatch[] = []
  const taken = new Set<string>()
  let bytes = 0
  for (const batch of batches) {
    const place = `${batch.topic}/${batch.partition}`
    const fits = round.length === 0 || bytes + batch.bytes <= requestBytesMax
    if (taken.has(place) || !fits) rest.push(batch)
    else {
      round.push(batch)
      bytes += batch.bytes
    }
    // Also where it did not fit: a later one must not overtake it.
    taken.add(place)
  }
  return { round, rest }
}
