import { body, byTopic, type RawRequest, type TopicPartition } from './requests.ts'
import { WireReader } from './wire.ts'

/**
 * The requests of a transaction (KIP-98). They give error codes and throw none: what a code means depends on how far the transaction is.
 */

/** What a coordinator gave to the owner of a transactional id: later owners have a higher epoch, and fence it. */
export interface ProducerIdentity {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
}

export interface PartitionError extends TopicPartition {
  readonly errorCode: number
  /** What the broker says beside the code. */
  readonly detail?: string | null
}

/** InitProducerId v1. Aborts what an earlier owner has open, and is answered CONCURRENT_TRANSACTIONS until that is done. */
export function initProducerIdRequest(
  transactionalId: string,
  transactionTimeoutMs: number,
): RawRequest<{ readonly errorCode: number; readonly producer: ProducerIdentity }> {
  return {
    apiKey: 22,
    apiName: 'InitProducerId',
    apiVersion: 1,
    isFlexible: false,
    encode: () => body((out) => out.string(transactionalId).int32(transactionTimeoutMs)),
    decode: (buffer) => {
      const input = new WireReader(buffer)
      input.int32() // throttle time
      const errorCode = input.int16()
      const producer = { transactionalId, producerId: input.int64(), producerEpoch: input.int16() }
      return { errorCode, producer }
    },
  }
}

/** InitProducerId v1 without a transactional id: for a producer that sends each batch until it is stored, once. */
export function idempotentIdRequest(): RawRequest<{
  readonly errorCode: number
  readonly producerId: number
  readonly producerEpoch: number
}> {
  return {
    apiKey: 22,
    apiName: 'InitProducerId',
    apiVersion: 1,
    isFlexible: false,
    encode: () => body((out) => out.nullableString(null).int32(0)),
    decode: (buffer) => {
      const input = new WireReader(buffer)
      input.int32() // throttle time
      return { errorCode: input.int16(), producerId: input.int64(), producerEpoch: input.int16() }
    },
  }
}

/** AddPartitionsToTxn v2. */
export function addPartitionsRequest(
  producer: ProducerIdentity,
  partitions: readonly TopicPartition[],
): RawRequest<readonly PartitionError[]> {
  const { transactionalId, producerId, producerEpoch } = producer
  return {
    apiKey: 24,
    apiName: 'AddPartitionsToTxn',
    apiVersion: 2,
    isFlexible: false,
    encode: () =>
      //  transactional_id, producer_id, producer_epoch, topics [name, partitions]
      body((out) =>
        out
          .string(transactionalId)
          .int64(producerId)
          .int16(producerEpoch)
          .array(byTopic(partitions), ([topic, listed]) =>
            out.string(topic).array(listed, ({ partition }) => out.int32(partition)),
          ),
      ),
    decode: readPartitionErrors,
  }
}

/** AddOffsetsToTxn v2: the offsets of this group are to be part of the transaction. */
export function addOffsetsRequest(producer: ProducerIdentity, groupId: string): RawRequest<number> {
  const { transactionalId, producerId, producerEpoch } = producer
  return {
    apiKey: 25,
    apiName: 'AddOffsetsToTxn',
    apiVersion: 2,
    isFlexible: false,
    encode: () =>
      body((out) => out.string(transactionalId).int64(producerId).int16(producerEpoch).string(groupId)),
    decode: readErrorCode,
  }
}

export interface TransactionalOffset extends TopicPartition {
  /** Of the next record. */
  readonly offset: number
  readonly metadata: string
}

/** TxnOffsetCommit v2: goes to the group's coordinator. Without member and generation, as whoever is no member of the group sends it. */
export function txnOffsetCommitRequest(
  producer: ProducerIdentity,
  groupId: string,
  offsets: readonly TransactionalOffset[],
): RawRequest<readonly PartitionError[]> {
  const { transactionalId, producerId, producerEpoch } = producer
  return {
    apiKey: 28,
    apiName: 'TxnOffsetCommit',
    apiVersion: 2,
    isFlexible: false,
    encode: () =>
      //  transactional_id, group_id, producer_id, producer_epoch, topics [name, partitions [index, offset, leader_epoch, metadata]]
      body((out) =>
        out
          .string(transactionalId)
          .string(groupId)
          .int64(producerId)
          .int16(producerEpoch)
          .array(byTopic(offsets), ([topic, listed]) =>
            out.string(topic).array(listed, ({ partition, offset, metadata }) => {
              out.int32(partition).int64(offset).int32(-1).string(metadata)
            }),
          ),
      ),
    decode: readPartitionErrors,
  }
}

/** EndTxn v2. Sent again it gives the same answer, for as long as the producer begins no other transaction. */
export function endTxnRequest(producer: ProducerIdentity, end: 'commit' | 'abort'): RawRequest<number> {
  const { transactionalId, producerId, producerEpoch } = producer
  return {
    apiKey: 26,
    apiName: 'EndTxn',
    apiVersion: 2,
    isFlexible: false,
    encode: () =>
      body((out) =>
        out
          .string(transactionalId)
          .int64(producerId)
          .int16(producerEpoch)
          .boolean(end === 'commit'),
      ),
    decode: readErrorCode,
  }
}

export interface ProducedPartition extends PartitionError {
  /** Of the first record of the batch; -1 where the broker does not say. */
  readonly baseOffset: number
}

export interface ProducedBatch extends TopicPartition {
  readonly batch: Uint8Array
}

const ALL_IN_SYNC_REPLICAS = -1

/** Produce v8, of at most one batch for each partition. */
export function produceRequest(
  transactionalId: string | null,
  batches: readonly ProducedBatch[],
  timeoutMs: number,
): RawRequest<readonly ProducedPartition[]> {
  return {
    apiKey: 0,
    apiName: 'Produce',
    apiVersion: 8,
    isFlexible: false,
    encode: () =>
      //  transactional_id, acks, timeout_ms, topics [name, partitions [index, records]]
      body((out) =>
        out
          .nullableString(transactionalId)
          .int16(ALL_IN_SYNC_REPLICAS)
          .int32(timeoutMs)
          .array(byTopic(batches), ([topic, listed]) =>
            out.string(topic).array(listed, ({ partition, batch }) => out.int32(partition).bytes(batch)),
          ),
      ),
    decode: (buffer) => {
      const input = new WireReader(buffer)
      const topics = input.array(() => {
        const topic = input.string()
        return input.array((): ProducedPartition => {
          const partition = input.int32()
          const errorCode = input.int16()
          const baseOffset = input.int64()
          for (let times = 0; times < 2; times++) input.int64() // append time, log start
          const errors = input.array(() => {
            input.int32() // index in the batch
            return input.nullableString()
          })
          const detail = input.nullableString() ?? errors[0] ?? null
          return { topic, partition, errorCode, detail, baseOffset }
        })
      })
      return topics.flat()
    },
  }
}

function readErrorCode(buffer: Buffer): number {
  const input = new WireReader(buffer)
  input.int32() // throttle time
  return input.int16()
}

function readPartitionErrors(buffer: Buffer): readonly PartitionError[] {
  const input = new WireReader(buffer)
  input.int32() // throttle time
  const topics = input.array(() => {
    const topic = input.string()
    return input.array(() => ({ topic, partition: input.int32(), errorCode: input.int16() }))
  })
  return topics.flat()
}
