import { type MergePlace, type MergeShape, mergeTasksOfStage } from '../checkpoint/keys.ts'
import type { SourceEpoch } from '../engine/merge-task.ts'
import type { PartialsJson } from '../engine/partial.ts'
import type { Clock } from '../ports.ts'
import { MergeFeed } from './merge-feed.ts'

/** A recorded epoch, for all that read it: its partials are handed out by slice. */
export type RecordedEpoch = Omit<SourceEpoch, 'partials'>

/** The in-memory ways between the tasks of this process: from partition tasks to the first stage of merge tasks, from each stage to the next. */
export class TaskFeeds {
  /** By stage, then by slice. */
  readonly #feeds: readonly (readonly MergeFeed[])[]

  constructor(shape: MergeShape, clock: Clock) {
    this.#feeds = Array.from({ length: shape.stages }, (_, stage) =>
      mergeTasksOfStage(shape, stage).map(() => new MergeFeed(clock)),
    )
  }

  /** What a merge task listens to. */
  of({ stage, slice }: MergePlace): MergeFeed {
    return this.#feeds[stage]![slice]!
  }

  /** Where the tasks of a stage hand on what they have recorded; −1 are the partition tasks. Null after the last stage. */
  after(stage: number): StageFeeds | null {
    const next = this.#feeds[stage + 1]
    return next === undefined ? null : new StageFeeds(next)
  }

  /** The sources have changed. */
  wake(): void {
    for (const feed of this.#feeds.flat()) feed.wake()
  }

  /** No source of this stage will offer anything more in this run. */
  close(stage: number): void {
    for (const feed of this.#feeds[stage] ?? []) feed.close()
  }
}

/** The feeds of all slices of one stage. */
export class StageFeeds {
  readonly #slices: readonly MergeFeed[]

  constructor(slices: readonly MergeFeed[]) {
    this.#slices = slices
  }

  /** A source is ours: its chain has a record of this epoch. */
  join(task: string, epoch: number): void {
    for (const feed of this.#slices) feed.join(task, epoch)
  }

  /** Somebody else goes on with it. */
  leave(task: string): void {
    for (const feed of this.#slices) feed.leave(task)
  }

  /** `partials` by slice; empty where the epoch has none. */
  offer(epoch: RecordedEpoch, partials: readonly (PartialsJson | null)[]): void {
    for (const [slice, feed] of this.#slices.entries())
      feed.offer({ kind: 'epoch', source: { ...epoch, partials: partials[slice] ?? null } })
  }

  /** Resolves when all slices have kept up. */
  async room(): Promise<void> {
    await Promise.all(this.#slices.map((feed) => feed.room()))
  }
}
