import { protocolFault } from './faults.ts'
import { WireReader, WireWriter } from './wire.ts'

/** A request of ours: one version of one API, with its body in bytes. The header is the connection's business. */
export interface RawRequest<T> {
  readonly apiKey: number
  readonly apiName: string
  readonly apiVersion: number
  /** Versions with tagged fields have them in the header too. */
  readonly isFlexible: boolean
  /** Where the broker may hold the answer back for longer than a request usually takes. */
  readonly timeoutMs?: number
  encode(): Buffer
  decode(body: Buffer): T
}

/** Any topic id of a broker that knows none. */
export const NO_TOPIC_ID = '00000000-0000-0000-0000-000000000000'

export interface ClusterMetadata {
  readonly clusterId: string
  readonly brokers: readonly BrokerMetadata[]
  readonly topics: readonly TopicMetadata[]
}

export interface BrokerMetadata {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export interface TopicMetadata {
  readonly topic: string
  /** Another one when the topic was deleted and created again. */
  readonly topicId: string
  readonly isInternal: boolean
  readonly errorCode: number
  /** In the order of their numbers. */
  readonly partitions: readonly PartitionMetadata[]
}

export interface PartitionMetadata {
  readonly partition: number
  /** -1 where there is none at the moment. */
  readonly leader: number
  readonly leaderEpoch: number
  readonly errorCode: number
}

/** Metadata v10 (Kafka 2.8), the first with topic ids. Null: all topics. Creates none. */
export function metadataRequest(topics: readonly string[] | null): RawRequest<ClusterMetadata> {
  return {
    apiKey: 3,
    apiName: 'Metadata',
    apiVersion: 10,
    isFlexible: true,
    encode: () =>
      //  topics [topic_id uuid, name], allow_auto_topic_creation, include cluster and topic authorized operations
      body((out) =>
        out
          .compactArray(topics, (topic) => out.uuid(NO_TOPIC_ID).compactNullableString(topic).tags())
          .boolean(false)
          .boolean(false)
          .boolean(false)
          .tags(),
      ),
    decode: (buffer) => {
      const input = new WireReader(buffer)
      input.int32() // throttle time
      const brokers = input.compactArray(() => {
        const broker = {
          nodeId: input.int32(),
          host: input.compactString(),
          port: input.int32(),
          rack: input.compactNullableString(),
        }
        input.skipTags()
        return broker
      })
      const clusterId = input.compactNullableString() ?? ''
      input.int32() // controller
      return { clusterId, brokers, topics: input.compactArray(() => readTopic(input)) }
    },
  }
}

function readTopic(input: WireReader): TopicMetadata {
  const errorCode = input.int16()
  const topic = input.compactNullableString() ?? ''
  const topicId = input.uuid()
  const isInternal = input.boolean()
  const partitions = input.compactArray(() => {
    const partition = {
      errorCode: input.int16(),
      partition: input.int32(),
      leader: input.int32(),
      leaderEpoch: input.int32(),
    }
    for (let list = 0; list < 3; list++) input.compactArray(() => input.int32()) // replicas, in sync, offline
    input.skipTags()
    return partition
  })
  input.int32() // authorized operations
  input.skipTags()
  partitions.sort((a, b) => a.partition - b.partition)
  return { topic, topicId, isInternal, errorCode, partitions }
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export const EARLIEST = -2
export const LATEST = -1

export interface OffsetQuery extends TopicPartition {
  /** EARLIEST, LATEST, or a time in milliseconds: then the first offset whose timestamp is not below it, -1 where there is none. */
  readonly timestampMs: number
}

export interface ListedOffset extends TopicPartition {
  readonly errorCode: number
  readonly offset: number
  readonly timestampMs: number
}

export type IsolationLevel = 'read_uncommitted' | 'read_committed'

/** ListOffsets v4. With 'read_committed' LATEST is the last stable offset. */
export function listOffsetsRequest(
  queries: readonly OffsetQuery[],
  isolation: IsolationLevel,
): RawRequest<readonly ListedOffset[]> {
  return {
    apiKey: 2,
    apiName: 'ListOffsets',
    apiVersion: 4,
    isFlexible: false,
    encode: () =>
      //  replica_id, isolation_level, topics [name, partitions [index, current_leader_epoch, timestamp]]
      body((out) =>
        out
          .int32(-1)
          .int8(isolation === 'read_committed' ? 1 : 0)
          .array(byTopic(queries), ([topic, partitions]) =>
            out.string(topic).array(partitions, ({ partition, timestampMs }) => {
              out.int32(partition).int32(-1).int64(timestampMs)
            }),
          ),
      ),
    decode: (buffer) => {
      const input = new WireReader(buffer)
      input.int32() // throttle time
      const topics = input.array(() => {
        const topic = input.string()
        return input.array(() => {
          const partition = input.int32()
          const errorCode = input.int16()
          const timestampMs = input.int64()
          const offset = input.int64()
          input.int32() // leader epoch
          return { topic, partition, errorCode, timestampMs, offset }
        })
      })
      return topics.flat()
    },
  }
}

export interface CommittedOffset extends TopicPartition {
  /** Of the next record; -1 where the group has none. */
  readonly offset: number
  readonly metadata: string | null
  readonly errorCode: number
}

/** OffsetFetch v7. Null partitions: all that the group has. `requireStable` waits out transactions that are being committed (KIP-447). */
export function offsetFetchRequest(
  groupId: string,
  partitions: readonly TopicPartition[] | null,
  requireStable: boolean,
): RawRequest<readonly CommittedOffset[]> {
  return {
    apiKey: 9,
    apiName: 'OffsetFetch',
    apiVersion: 7,
    isFlexible: true,
    encode: () =>
      //  group_id, topics [name, partition_indexes], require_stable
      body((out) =>
        out
          .compactString(groupId)
          .compactArray(partitions === null ? null : byTopic(partitions), ([topic, listed]) => {
            out.compactString(topic).compactArray(listed, ({ partition }) => out.int32(partition))
            out.tags()
          })
          .boolean(requireStable)
          .tags(),
      ),
    decode: (buffer) => {
      const input = new WireReader(buffer)
      input.int32() // throttle time
      const topics = input.compactArray(() => {
        const topic = input.compactString()
        const committed = input.compactArray(() => {
          const partition = input.int32()
          const offset = input.int64()
          input.int32() // leader epoch
          const metadata = input.compactNullableString()
          const errorCode = input.int16()
          input.skipTags()
          return { topic, partition, offset, metadata, errorCode }
        })
        input.skipTags()
        return committed
      })
      const errorCode = input.int16()
      if (errorCode !== 0) {
        throw protocolFault(errorCode, { what: `read the offsets of group ${groupId}`, groupId })
      }
      return topics.flat()
    },
  }
}

export type CoordinatorType = 'group' | 'transaction'

/** FindCoordinator v2. Throws what the broker answers. */
export function findCoordinatorRequest(key: string, type: CoordinatorType): RawRequest<BrokerMetadata> {
  return {
    apiKey: 10,
    apiName: 'FindCoordinator',
    apiVersion: 2,
    isFlexible: false,
    encode: () => body((out) => out.string(key).int8(type === 'group' ? 0 : 1)),
    decode: (buffer) => {
      const input = new WireReader(buffer)
      input.int32() // throttle time
      const errorCode = input.int16()
      const detail = input.nullableString()
      const broker = { nodeId: input.int32(), host: input.string(), port: input.int32(), rack: null }
      if (errorCode !== 0) {
        const what = `find the coordinator of ${type} ${key}`
        throw protocolFault(errorCode, { what, groupId: key, transactionalId: key }, detail)
      }
      return broker
    },
  }
}

export interface ApiVersionRange {
  readonly apiKey: number
  readonly minVersion: number
  readonly maxVersion: number
}

/** ApiVersions v0, which every broker answers, before authentication too. */
export function apiVersionsRequest(): RawRequest<readonly ApiVersionRange[]> {
  return {
    apiKey: 18,
    apiName: 'ApiVersions',
    apiVersion: 0,
    isFlexible: false,
    encode: () => Buffer.alloc(0),
    decode: (buffer) => {
      const input = new WireReader(buffer)
      const errorCode = input.int16()
      if (errorCode !== 0) throw protocolFault(errorCode, { what: 'ask a broker for its versions' })
      return input.array(() => ({
        apiKey: input.int16(),
        minVersion: input.int16(),
        maxVersion: input.int16(),
      }))
    },
  }
}

export function body(write: (out: WireWriter) => WireWriter): Buffer {
  return write(new WireWriter()).finish()
}

export function byTopic<T extends TopicPartition>(partitions: readonly T[]): [string, readonly T[]][] {
  const topics = new Map<string, T[]>()
  for (const partition of partitions) {
    const listed = topics.get(partition.topic)
    if (listed === undefined) topics.set(partition.topic, [partition])
    else listed.push(partition)
  }
  return [...topics]
}
