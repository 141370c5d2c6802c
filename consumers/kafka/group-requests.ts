import { byTopic, type RawRequest } from '../../src/kafka/client.ts'
import { WireReader, WireWriter } from '../../src/kafka/wire.ts'
import type { MemberId, PartitionOffset } from './group-coordinator.ts'

/**
 * The requests of Kafka's classic group protocol, in the versions that brokers from 2.3 to 4.x have and that know static members
 * (KIP-345). Error codes are answers here: what they mean is for the coordinator's client to say.
 */

/** Who asks: the group, and the static member's name where it has one. */
export interface GroupName {
  readonly groupId: string
  readonly instanceId: string | null
}

export interface JoinRequest extends GroupName {
  readonly memberId: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** The name of the assignment: all members must have the same. */
  readonly protocol: string
  readonly subscription: Buffer
  readonly timeoutMs: number
}

export interface JoinResponse {
  readonly errorCode: number
  readonly generation: number
  readonly leaderId: string
  readonly memberId: string
  /** Filled for the leader alone. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[]
}

export function joinGroupRequest(join: JoinRequest): RawRequest<JoinResponse> {
  return {
    apiKey: 11,
    apiName: 'JoinGroup',
    apiVersion: 5,
    isFlexible: false,
    timeoutMs: join.timeoutMs,
    encode: () => {
      //  group_id, session_timeout, rebalance_timeout, member_id, group_instance_id, protocol_type, protocols [name, metadata]
      const out = new WireWriter()
      return out
        .string(join.groupId)
        .int32(join.sessionTimeoutMs)
        .int32(join.rebalanceTimeoutMs)
        .string(join.memberId)
        .nullableString(join.instanceId)
        .string('consumer')
        .array([join.protocol], (name) => out.string(name).bytes(join.subscription))
        .finish()
    },
    decode: (body) => {
      const input = new WireReader(body)
      input.int32() // throttle time
      const errorCode = input.int16()
      const generation = input.int32()
      input.nullableString() // protocol
      const leaderId = input.nullableString() ?? ''
      const memberId = input.nullableString() ?? ''
      const members = input.array(() => {
        const member = input.string()
        input.nullableString() // group_instance_id
        return { memberId: member, metadata: input.bytes() ?? Buffer.alloc(0) }
      })
      return { errorCode, generation, leaderId, memberId, members }
    },
  }
}

export interface SyncRequest extends GroupName {
  readonly member: MemberId
  readonly assignments: ReadonlyMap<string, Buffer>
  readonly timeoutMs: number
}

export interface SyncResponse {
  readonly errorCode: number
  readonly assignment: Buffer
}

export function syncGroupRequest(sync: SyncRequest): RawRequest<SyncResponse> {
  return {
    apiKey: 14,
    apiName: 'SyncGroup',
    apiVersion: 3,
    isFlexible: false,
    timeoutMs: sync.timeoutMs,
    encode: () => {
      //  group_id, generation_id, member_id, group_instance_id, assignments [member_id, assignment]
      const out = new WireWriter()
      return out
        .string(sync.groupId)
        .int32(sync.member.generation)
        .string(sync.member.memberId)
        .nullableString(sync.instanceId)
        .array([...sync.assignments], ([memberId, assignment]) => out.string(memberId).bytes(assignment))
        .finish()
    },
    decode: (body) => {
      const input = new WireReader(body)
      input.int32() // throttle time
      return { errorCode: input.int16(), assignment: input.bytes() ?? Buffer.alloc(0) }
    },
  }
}

/** Answered with an error code. */
export function heartbeatRequest(
  { groupId, instanceId }: GroupName,
  member: MemberId,
  timeoutMs: number,
): RawRequest<number> {
  return {
    apiKey: 12,
    apiName: 'Heartbeat',
    apiVersion: 3,
    isFlexible: false,
    timeoutMs,
    encode: () =>
      new WireWriter()
        .string(groupId)
        .int32(member.generation)
        .string(member.memberId)
        .nullableString(instanceId)
        .finish(),
    decode: readErrorCode,
  }
}

/** Answered with an error code. */
export function leaveGroupRequest({ groupId, instanceId }: GroupName, memberId: string): RawRequest<number> {
  return {
    apiKey: 13,
    apiName: 'LeaveGroup',
    apiVersion: 3,
    isFlexible: false,
    encode: () => {
      const out = new WireWriter()
      return out
        .string(groupId)
        .array([memberId], (member) => out.string(member).nullableString(instanceId))
        .finish()
    },
    decode: readErrorCode,
  }
}

/** Answered with the first error code of a partition. */
export function offsetCommitRequest(
  { groupId, instanceId }: GroupName,
  member: MemberId,
  offsets: readonly PartitionOffset[],
): RawRequest<number> {
  return {
    apiKey: 8,
    apiName: 'OffsetCommit',
    apiVersion: 7,
    isFlexible: false,
    encode: () => {
      //  group_id, generation_id, member_id, group_instance_id,
      //  topics [name, partitions [index, offset, leader_epoch, metadata]]
      const out = new WireWriter()
      return out
        .string(groupId)
        .int32(member.generation)
        .string(member.memberId)
        .nullableString(instanceId)
        .array(byTopic(offsets), ([topic, partitions]) =>
          out.string(topic).array(partitions, ({ partition, offset }) => {
            out.int32(partition).int64(Number(offset)).int32(-1).nullableString('')
          }),
        )
        .finish()
    },
    decode: (body) => {
      const input = new WireReader(body)
      input.int32() // throttle time
      const codes = input.array(() => {
        input.string()
        return input.array(() => {
          input.int32()
          return input.int16()
        })
      })
      return codes.flat().find((code) => code !== 0) ?? 0
    },
  }
}

function readErrorCode(body: Buffer): number {
  const input = new WireReader(body)
  input.int32() // throttle time
  return input.int16()
}
