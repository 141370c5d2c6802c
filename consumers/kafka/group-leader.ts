import { assignTasks } from './group-assignor.ts'
import type { GivenTasks, JoinedMember } from './group-coordinator.ts'
import { fromTaskList, type PartitionCounts, partitionTasks, toTaskList } from './group-tasks.ts'

/** What the leader of a group does with those who have joined: `counts` are the topics as all of them together know them. */
export function assignAsLeader(
  members: readonly JoinedMember[],
  counts: PartitionCounts,
  mergeTasks: readonly string[],
): ReadonlyMap<string, GivenTasks> {
  const groups = [...partitionTasks(counts), mergeTasks]
  const assigned = assignTasks(
    groups,
    members.map(({ memberId, subscription }) => ({
      id: memberId,
      generation: subscription.generation,
      owned: fromTaskList(subscription.owned),
    })),
  )
  const isMoving = [...assigned.values()].flat().length < groups.flat().length
  return new Map(
    [...assigned].map(([member, tasks]) => [member, { tasks: toTaskList(tasks), counts, isMoving }]),
  )
}
