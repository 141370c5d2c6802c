import type { Selection } from './frame.ts'
import type { ResultPlan } from './plan.ts'
import type { StepReport } from './row-step.ts'

/** The side of a window (or of a dedupe over all partitions) that adds rows: judges lateness, and sums up an epoch for the merge. */
export interface WindowStep {
  readonly plan: ResultPlan
  /** The late rows of the range in hand, for a side table. */
  readonly late: Selection
  /** Takes rows of the range in hand. Returns the number of late rows. */
  run(input: Selection, report: StepReport): number
  /**
   * What the epoch adds, as JSON, by slice of the keys; null for slices to which it adds nothing. Ends the epoch's sums.
   */
  takePartials(slices: number): readonly unknown[]
  /** Empties the epoch's columns; their memory is kept for the next. */
  clear(): void
  /** State beyond the epoch, where the step has any: a partition's live sessions. */
  readonly keyed: KeyedState | null
}

/** What a step remembers by key from epoch to epoch. Parts are JSON, small enough for a line each. */
export interface KeyedState {
  /** Keys, or what else the limit counts. */
  readonly size: number
  /** What changed since the last call, in parts, all of which are to be taken. Forgets what cannot matter any more at a watermark. */
  takeChanges(watermarkMs: number): Generator
  /** All that can still matter, likewise. */
  takeSnapshot(watermarkMs: number): Generator
  /** Adds a part of a snapshot, or of changes on top of it. */
  restore(json: unknown): void
  /**
   * Adds a part of what a partition remembered that this one follows: what was live where that one ended. What comes out depends on the rows of the two alone,
   * not on when either forgot what it might forget.
   */
  inherit(json: unknown, from: Predecessor): void
}

/** A partition that has ended, and that another one follows. */
export interface Predecessor {
  /** Where it ended. */
  readonly watermarkMs: number
  /** No other predecessor has ended before: the follower's watermark begins here. */
  readonly isLowest: boolean
}
