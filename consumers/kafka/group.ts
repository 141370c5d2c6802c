import { PipelineError } from '../../src/errors.ts'
import type { KafkaClient } from '../../src/kafka/client.ts'
import type { SourcePartition, SourceWorld } from '../../src/ports.ts'
import { GroupClient } from './group-client.ts'
import { GroupMember } from './group-member.ts'
import type { PartitionCounts } from './group-tasks.ts'

export interface GroupOptions {
  readonly groupId: string
  /**
   * A name of this process that it keeps over a restart (static membership, KIP-345). It then gets its tasks back without a rebalance, when it
   * is back before its session ends; and it does not hand them over when it stops. Null: tasks move as soon as it stops.
   */
  readonly instanceId: string | null
  readonly times: GroupTimes
}

/** In milliseconds. */
export interface GroupTimes {
  /** Silent for so long, a member is out, and others get its tasks. */
  readonly sessionTimeoutMs: number
  /** How long the others wait for a member to join again. */
  readonly rebalanceTimeoutMs: number
  readonly heartbeatMs: number
  /** How long a member may take to record and publish a task before it is given to another. */
  readonly releaseMs: number
  /** How often the topics are looked at for new partitions. */
  readonly refreshMs: number
}

export const GROUP_TIMES: GroupTimes = {
  sessionTimeoutMs: 30_000,
  rebalanceTimeoutMs: 60_000,
  heartbeatMs: 1_000,
  releaseMs: 30_000,
  refreshMs: 60_000,
}

/** What a membership needs of the source that it hands out. */
export interface GroupSource {
  readonly client: KafkaClient
  /** The topics of the source, with the number of their partitions now. Called often. */
  readonly topics: () => Promise<PartitionCounts>
  readonly partition: (topic: string, partition: number) => SourcePartition
}

/** A member of a Kafka consumer group, not yet joined. Throws OPTION_INVALID. */
export function groupMembership(
  { groupId, instanceId, times }: GroupOptions,
  { client, topics, partition }: GroupSource,
  world: SourceWorld,
): GroupMember {
  checkTimes(times)
  const { sessionTimeoutMs, rebalanceTimeoutMs, heartbeatMs, releaseMs, refreshMs } = times
  const coordinator = new GroupClient({ client, groupId, instanceId, sessionTimeoutMs, rebalanceTimeoutMs })
  return new GroupMember({
    groupId,
    coordinator,
    topics,
    partition,
    heartbeatMs,
    releaseMs,
    refreshMs,
    isStatic: instanceId !== null,
    world,
  })
}

function checkTimes({ sessionTimeoutMs, rebalanceTimeoutMs, heartbeatMs, releaseMs }: GroupTimes): void {
  if (heartbeatMs * 3 > sessionTimeoutMs) {
    throw invalid(
      'the session time-out is below three heartbeats',
      'A member would be out for a short pause.',
    )
  }
  if (releaseMs >= rebalanceTimeoutMs) {
    throw invalid(
      'the rebalance time-out is not above the time for releasing tasks',
      'The others would go on without a member that is still handing over.',
    )
  }
}

function invalid(what: string, why: string): PipelineError {
  return new PipelineError('OPTION_INVALID', `Kafka consumer group: ${what}`, { advice: why })
}
