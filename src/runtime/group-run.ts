import type {
  Assignment,
  Membership,
  MembershipListener,
  MembershipPlace,
  SourcePartition,
} from '../ports.ts'
import type { RunState } from './run-state.ts'
import type { TaskSet } from './task-set.ts'

/** Runs what a group assigns to this process. It stays in the group from its first `run` to the end of the process. */
export class GroupRun implements MembershipListener {
  readonly #membership: Membership
  readonly #state: RunState
  #tasks: TaskSet | null = null
  #topics: ReadonlySet<string> = new Set()
  #latest: Assignment | null = null
  #isJoined = false
  #end: (() => void) | null = null

  constructor(membership: Membership, state: RunState) {
    this.#membership = membership
    this.#state = state
  }

  /** All partitions of the source, as the group saw them last. */
  get all(): readonly SourcePartition[] {
    return this.#latest?.all ?? []
  }

  /** Until the run is asked to stop, fails, or the source has topics that are not among these; everything of this process is then published. */
  async run(tasks: TaskSet, topics: readonly string[], place: MembershipPlace): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      this.#end = resolve
    })
    const { signal } = this.#state.scope
    const stop = (): void => this.#end?.()
    signal.addEventListener('abort', stop)
    this.#topics = new Set(topics)
    this.#tasks = tasks
    if (this.#latest !== null) this.assigned(this.#latest)
    if (!this.#isJoined && !this.#state.isStopping) {
      this.#isJoined = true
      await this.#state.scope.orStop(this.#membership.join(tasks.mergeTasks, this, place))
    }
    if (!this.#state.isStopping) await ended
    signal.removeEventListener('abort', stop)
    this.#tasks = null
    if (!this.#state.isStopping) await tasks.releaseAll()
    await tasks.settled()
  }

  assigned(assignment: Assignment): void {
    this.#latest = assignment
    if (assignment.all.some(({ topic }) => !this.#topics.has(topic))) {
      this.#end?.()
      return
    }
    this.#tasks?.assign(assignment)
  }

  async revoked(tasks: readonly string[]): Promise<void> {
    const latest = this.#latest
    if (latest !== null) {
      this.#latest = {
        partitions: latest.partitions.filter(({ id }) => !tasks.includes(id)),
        mergeTasks: latest.mergeTasks.filter((id) => !tasks.includes(id)),
        all: latest.all,
      }
    }
    await this.#tasks?.release(tasks)
  }

  lost(): void {
    if (this.#latest !== null) this.#latest = { partitions: [], mergeTasks: [], all: this.#latest.all }
    void this.#tasks?.releaseAll()
  }

  failed(error: unknown): void {
    this.#state.fail(error)
  }
}
