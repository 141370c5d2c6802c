import type { EpochLimits, PartitionTask } from '../engine/partition-task.ts'
import { Alignment } from './alignment.ts'
import type { RunProgress } from './bindings.ts'
import { StopScope } from './stop-scope.ts'

interface PartitionProgress {
  readonly watermarkMs: number
  readonly idle: boolean
  readonly deadLetters: number
  /** Of its open epoch. */
  readonly records: number
  readonly bytes: number
}

/** What the tasks of one run know of each other: whether to stop, the arrival clock, and the progress to show. */
export class RunState {
  readonly #onProgress: ((progress: RunProgress) => void) | null
  readonly #partitions = new Map<string, PartitionProgress>()
  /** Dead letters that were there before this run, by partition. */
  readonly #deadLettersBefore = new Map<string, number>()
  /** Of the run: the scopes of its tasks lie in it. */
  readonly scope = new StopScope()
  /** Null where partitions may run as far ahead of each other as they like. */
  readonly alignment: Alignment | null
  #failure: { readonly error: unknown } | null = null
  #records = 0
  #recordsBefore = 0
  firstArrivalMs = Infinity
  arrivalClockMs = -Infinity

  constructor(onProgress: ((progress: RunProgress) => void) | null, alignWithinMs: number | null = null) {
    this.#onProgress = onProgress
    this.alignment = alignWithinMs === null ? null : new Alignment(alignWithinMs)
  }

  get isStopping(): boolean {
    return this.scope.isStopping
  }

  get failure(): { readonly error: unknown } | null {
    return this.#failure
  }

  get records(): number {
    return this.#records
  }

  /** Every task cuts what it has and ends. */
  stop(): void {
    this.scope.stop()
  }

  /** The first failure ends the run. */
  fail(error: unknown): void {
    this.failAtEnd(error)
    this.stop()
  }

  /** The run fails when every task has done what it can. */
  failAtEnd(error: unknown): void {
    this.#failure ??= { error }
  }

  observeArrival(arrivalMs: number): void {
    this.firstArrivalMs = Math.min(this.firstArrivalMs, arrivalMs)
    this.arrivalClockMs = Math.max(this.arrivalClockMs, arrivalMs)
  }

  joined(partition: string, task: PartitionTask): void {
    if (!this.#deadLettersBefore.has(partition)) {
      this.#deadLettersBefore.set(partition, deadLettersOf(task))
      this.#recordsBefore += task.totals.records
    }
    this.#observe(partition, task)
  }

  /** Another process has the partition now. */
  left(partition: string): void {
    this.#partitions.delete(partition)
  }

  added(partition: string, records: number, task: PartitionTask): void {
    this.#records += records
    this.#observe(partition, task)
    this.#onProgress?.(this.progress())
  }

  /** The partition's epoch has been cut, and its columns are empty. */
  cut(partition: string, task: PartitionTask): void {
    this.#observe(partition, task)
    // A stream may be quiet for long after a burst.
    this.#onProgress?.(this.progress())
  }

  /**
   * True where the open epochs of all partitions together have reached the limits of one, and this is one of the fuller: it
   * is then cut, so that memory does not grow with the number of partitions.
   */
  isCrowded(partition: string, limits: EpochLimits): boolean {
    let records = 0
    let bytes = 0
    for (const other of this.#partitions.values()) {
      records += other.records
      bytes += other.bytes
    }
    const mine = this.#partitions.get(partition)
    if (mine === undefined) return false
    const others = this.#partitions.size
    return (
      (records >= limits.rowsMax && mine.records * others >= records) ||
      (bytes >= limits.bytesMax && mine.bytes * others >= bytes)
    )
  }

  #observe(partition: string, task: PartitionTask): void {
    this.#partitions.set(partition, {
      watermarkMs: task.watermarkMs,
      idle: task.idle,
      deadLetters: deadLettersOf(task) - (this.#deadLettersBefore.get(partition) ?? 0),
      records: task.records,
      bytes: task.bytes,
    })
  }

  progress(): RunProgress {
    let watermarkMs = Infinity
    let deadLetters = 0
    for (const partition of this.#partitions.values()) {
      if (!partition.idle) watermarkMs = Math.min(watermarkMs, partition.watermarkMs)
      deadLetters += partition.deadLetters
    }
    return {
      records: this.#records,
      recordsBefore: this.#recordsBefore,
      watermarkMs: this.#partitions.size === 0 ? -Infinity : watermarkMs,
      deadLetters,
    }
  }
}

function deadLettersOf(task: PartitionTask): number {
  return Object.values(task.totals.deadLetters).reduce((sum, count) => sum + count, 0)
}
