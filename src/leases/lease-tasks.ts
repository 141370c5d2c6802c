import type { MembershipPlace, SourcePartition } from '../ports.ts'
import type { LeaseSource } from './lease-membership.ts'

/** The tasks that there are: partitions, as the source lists them, and merge tasks; and which of them somebody is to have. */
export class LeaseTasks {
  readonly #source: LeaseSource
  readonly #place: MembershipPlace
  readonly #mergeTasks: readonly string[]
  /** All that this process has ever heard of. What a source no longer lists has not been unread by that. */
  readonly #partitions = new Map<string, SourcePartition>()
  readonly #ended = new Set<string>()
  /** That others have found since the source was asked last: whom they follow is not known here. */
  readonly #unasked = new Set<string>()

  constructor(source: LeaseSource, place: MembershipPlace, mergeTasks: readonly string[]) {
    this.#source = source
    this.#place = place
    this.#mergeTasks = mergeTasks
  }

  get ended(): ReadonlySet<string> {
    return this.#ended
  }

  /** Asks the source. True where there is something new. */
  async refresh(): Promise<boolean> {
    const before = this.#partitions.size
    const unasked = [...this.#unasked]
    for (const partition of await this.#source.partitions(this.#place)) {
      this.#partitions.set(partition.id, partition)
    }
    for (const id of this.#place.known) this.#adopt(id)
    // What the source does not list by now it has forgotten, and its parents with it.
    for (const id of unasked) this.#unasked.delete(id)
    return this.#partitions.size > before || unasked.length > 0
  }

  /** Whether the task is one of ours. Partitions that others have found are taken at their word. */
  knows(task: string): boolean {
    return this.#mergeTasks.includes(task) || this.#partitions.has(task) || this.#ended.has(task)
  }

  /** A partition that somebody has a lease of. It is not due here before the source has been asked. False where the source cannot make anything of its name. */
  adopt(task: string): boolean {
    if (!this.#partitions.has(task) && this.#adopt(task)) this.#unasked.add(task)
    return this.#partitions.has(task)
  }

  /** True where that is news. */
  end(task: string): boolean {
    if (this.#ended.has(task)) return false
    this.#ended.add(task)
    return true
  }

  /** Those that somebody is to have. */
  due(): string[] {
    const partitions = [...this.#partitions.values()].filter((partition) => this.#isDue(partition))
    return [...partitions.map(({ id }) => id), ...this.#mergeTasks]
  }

  /** Of these tasks, those that are partitions. */
  partitionsOf(tasks: ReadonlySet<string>): SourcePartition[] {
    return this.#sorted().filter(({ id }) => tasks.has(id))
  }

  /** Of these tasks, those that are merge tasks. */
  mergeTasksOf(tasks: ReadonlySet<string>): string[] {
    return this.#mergeTasks.filter((task) => tasks.has(task))
  }

  /** What the merges have to wait for, or have waited for: partitions that are ready, that somebody has, or that have ended. */
  all(leased: (task: string) => boolean): SourcePartition[] {
    for (const task of this.#ended) this.#adopt(task)
    return this.#sorted().filter(
      (partition) => this.#ended.has(partition.id) || this.#isReady(partition) || leased(partition.id),
    )
  }

  #adopt(id: string): boolean {
    if (this.#partitions.has(id)) return true
    const partition = this.#source.partition(id)
    if (partition === null) return false
    this.#partitions.set(id, partition)
    return true
  }

  #isDue(partition: SourcePartition): boolean {
    const { id } = partition
    return !this.#ended.has(id) && !this.#unasked.has(id) && this.#isReady(partition)
  }

  #isReady({ parents = [] }: SourcePartition): boolean {
    return parents.every((parent) => !this.#partitions.has(parent) || this.#ended.has(parent))
  }

  #sorted(): SourcePartition[] {
    return [...this.#partitions.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  }
}
