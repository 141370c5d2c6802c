import type { AbortedTransaction } from './record-cursor.ts'
import {
  body,
  byTopic,
  type IsolationLevel,
  NO_TOPIC_ID,
  type RawRequest,
  type TopicPartition,
} from './requests.ts'
import { WireReader } from './wire.ts'

export interface FetchLimits {
  /** How long a broker waits for `minBytes`. */
  readonly maxWaitMs: number
  /** Without an answer for so much longer, the connection is given up. */
  readonly answerWithinMs: number
  readonly minBytes: number
  /** Of one answer; one batch that is larger comes all the same, alone. */
  readonly maxBytes: number
  readonly partitionBytes: number
}

export interface FetchFrom extends TopicPartition {
  readonly topicId: string
  readonly offset: number
}

export interface FetchedPartition extends TopicPartition {
  readonly errorCode: number
  readonly highWatermark: number
  /** Behind the last record that 'read_committed' may see. */
  readonly lastStableOffset: number
  readonly logStartOffset: number
  readonly aborted: readonly AbortedTransaction[]
  /** The replica to read from, -1 where it is this one. */
  readonly preferredReplica: number
  /** A view into the answer. */
  readonly records: Buffer | null
}

export interface FetchAnswer {
  readonly errorCode: number
  readonly partitions: readonly FetchedPartition[]
  /** What the records are views into. May be given to `KafkaClient.recycle`. */
  readonly memory: ArrayBufferLike
}

export const FETCH_API_KEY = 1
/** Topics by id, from Kafka 3.1 on: then a topic that was deleted and created again is found out at once. */
const BY_ID = 13
const BY_NAME = 12

/** Fetch v12 or v13, without a session. `version` is the highest that the broker has. */
export function fetchRequest(
  partitions: readonly FetchFrom[],
  limits: FetchLimits,
  isolation: IsolationLevel,
  rack: string,
  version: number,
): RawRequest<FetchAnswer> {
  const isById = version >= BY_ID && partitions.every(({ topicId }) => topicId !== NO_TOPIC_ID)
  const names = new Map(partitions.map(({ topic, topicId }) => [topicId, topic]))
  return {
    apiKey: FETCH_API_KEY,
    apiName: 'Fetch',
    apiVersion: isById ? BY_ID : BY_NAME,
    isFlexible: true,
    timeoutMs: limits.maxWaitMs + limits.answerWithinMs,
    encode: () =>
      //  replica_id, max_wait, min_bytes, max_bytes, isolation_level, session_id, session_epoch,
      //  topics [name or id, partitions [index, leader_epoch, offset, last_fetched_epoch, log_start, max_bytes]], forgotten, rack
      body((out) =>
        out
          .int32(-1)
          .int32(limits.maxWaitMs)
          .int32(limits.minBytes)
          .int32(limits.maxBytes)
          .int8(isolation === 'read_committed' ? 1 : 0)
          .int32(0)
          .int32(-1)
          .compactArray(byTopic(partitions), ([topic, listed]) => {
            if (isById) out.uuid(listed[0]!.topicId)
            else out.compactString(topic)
            out
              .compactArray(listed, ({ partition, offset }) =>
                out
                  .int32(partition)
                  .int32(-1)
                  .int64(offset)
                  .int32(-1)
                  .int64(-1)
                  .int32(limits.partitionBytes)
                  .tags(),
              )
              .tags()
          })
          .compactArray([], () => undefined)
          .compactString(rack)
          .tags(),
      ),
    decode: (buffer) => {
      const input = new WireReader(buffer)
      input.int32() // throttle time
      const errorCode = input.int16()
      input.int32() // session
      const topics = input.compactArray(() => {
        const topic = isById ? (names.get(input.uuid()) ?? '') : input.compactString()
        const fetched = input.compactArray(() => readPartition(input, topic))
        input.skipTags()
        return fetched
      })
      return { errorCode, partitions: topics.flat(), memory: buffer.buffer }
    },
  }
}

function readPartition(input: WireReader, topic: string): FetchedPartition {
  const partition = input.int32()
  const errorCode = input.int16()
  const highWatermark = input.int64()
  const lastStableOffset = input.int64()
  const logStartOffset = input.int64()
  const aborted = input.compactArray(() => {
    const transaction = { producerId: input.int64(), firstOffset: input.int64() }
    input.skipTags()
    return transaction
  })
  const preferredReplica = input.int32()
  const records = input.compactBytes()
  input.skipTags()
  return {
    topic,
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    aborted,
    preferredReplica,
    records,
  }
}
