import type { Clock, Log } from '../ports.ts'

/** Where tasks go on, by task: for people. */
type Places = Record<string, string>

/**
 * Says in the log which tasks this process has taken over and let go, where they go on, and how long that took: one line for all that change
 * hands together, not one for each.
 */
export class TaskNews {
  readonly #taken: Batch
  readonly #gone: Batch

  constructor(log: Log, clock: Clock) {
    this.#taken = new Batch(clock, (tasks, ms) => log.info({ tasks, ms }, 'took over tasks'))
    this.#gone = new Batch(clock, (tasks, ms) => log.info({ tasks, ms }, 'let tasks go'))
  }

  /** The task is ours to take: its chain is being claimed and read. */
  claiming(task: string): void {
    this.#taken.wait(task)
  }

  tookOver(task: string, place: string): void {
    this.#taken.settle(task, place)
  }

  /** Others are to have the task: what is open is being recorded and published. */
  leaving(task: string): void {
    this.#gone.wait(task)
  }

  /** The task has ended here, however it did. Null where nothing of it was read. */
  ended(task: string, place: string | null): void {
    this.#taken.settle(task, null)
    this.#gone.settle(task, place)
  }
}

/** Tasks of which some are waited for; told when none is. */
class Batch {
  readonly #clock: Clock
  readonly #tell: (settled: Places, ms: number) => void
  readonly #waiting = new Set<string>()
  #settled: Places = {}
  #sinceMs = 0

  constructor(clock: Clock, tell: (settled: Places, ms: number) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  wait(task: string): void {
    if (this.#waiting.size === 0) this.#sinceMs = this.#clock.nowMs()
    this.#waiting.add(task)
  }

  settle(task: string, place: string | null): void {
    if (!this.#waiting.delete(task)) return
    if (place !== null) this.#settled[task] = place
    if (this.#waiting.size > 0) return
    const settled = this.#settled
    this.#settled = {}
    if (Object.keys(settled).length > 0) this.#tell(settled, this.#clock.nowMs() - this.#sinceMs)
  }
}
