/**
 * Tasks as the members of a group speak of them: a partition is `topic/number` (a topic's name has no slash), a merge task goes by its own
 * name. Partitions also travel as numbers by topic, which is how Kafka's own tools read them.
 */
export type PartitionCounts = ReadonlyMap<string, number>

export interface TaskList {
  readonly partitions: ReadonlyMap<string, readonly number[]>
  readonly mergeTasks: readonly string[]
}

export const partitionTask = (topic: string, partition: number): string => `${topic}/${partition}`

/** Null for a merge task. */
export function parsePartitionTask(task: string): { topic: string; partition: number } | null {
  const slash = task.indexOf('/')
  if (slash < 0) return null
  return { topic: task.slice(0, slash), partition: Number(task.slice(slash + 1)) }
}

export function toTaskList(tasks: Iterable<string>): TaskList {
  const partitions = new Map<string, number[]>()
  const mergeTasks: string[] = []
  for (const task of tasks) {
    const parsed = parsePartitionTask(task)
    if (parsed === null) mergeTasks.push(task)
    else {
      const numbers = partitions.get(parsed.topic)
      if (numbers === undefined) partitions.set(parsed.topic, [parsed.partition])
      else numbers.push(parsed.partition)
    }
  }
  return { partitions, mergeTasks }
}

export function fromTaskList({ partitions, mergeTasks }: TaskList): string[] {
  const tasks = [...partitions].flatMap(([topic, numbers]) =>
    numbers.map((partition) => partitionTask(topic, partition)),
  )
  return [...tasks, ...mergeTasks]
}

/** All partitions of each topic, a topic after the other. */
export function partitionTasks(counts: PartitionCounts): readonly (readonly string[])[] {
  return [...counts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([topic, count]) => Array.from({ length: count }, (_, partition) => partitionTask(topic, partition)))
}

/**
 * What is known of the topics, taken together. Topics grow, and a broker that is behind, or coming up, knows less: so the larger
 * number is right, and a topic that one of them does not know is not gone.
 */
export function joinCounts(known: readonly PartitionCounts[]): PartitionCounts {
  const joined = new Map<string, number>()
  for (const counts of known) {
    for (const [topic, count] of counts) joined.set(topic, Math.max(count, joined.get(topic) ?? 0))
  }
  return joined
}

/** Whether `now` has partitions that `before` has not. */
export function hasGrown(before: PartitionCounts, now: PartitionCounts): boolean {
  return [...now].some(([topic, count]) => count > (before.get(topic) ?? 0))
}
