import { type ColumnBatch, createBatch, truncateBatch } from '../columns/column.ts'
import { Selection } from './frame.ts'
import type { ResultPlan } from './plan.ts'

/** Rules that the simulator takes out, one at a time, to show that they are needed. */
export interface MergeRules {
  /** A fired pane is kept until all partitions, idle ones too, have passed it. */
  readonly keepFiredPanes: boolean
  /** A partition that has recorded nothing yet holds W at −∞. */
  readonly allSourcesHoldWatermark: boolean
  /** A partition that was handed on holds W until those that follow it have been heard. */
  readonly parentHoldsWatermark: boolean
}

/** The moment of a cut. What fires is a function of the partials folded so far and of the moments of all cuts, nothing else. */
export interface FireAt {
  /** W of the merge: the minimum over the sources that are not idle. */
  readonly watermarkMs: number
  /** The minimum over all sources. */
  readonly slowestMs: number
  /** Of the merge task's own chain; each cut has a greater one than the cut before. */
  readonly epoch: number
  /** For early results. */
  readonly nowMs: number
}

/** Who reads the results of a window: what it need not know, it does not keep. */
export interface ResultReaders {
  /** Some table keeps the newest revision only. */
  readonly newest: boolean
  /** The windows of the next stage. */
  readonly nextStage: boolean
  /** Whether a topic takes a row of the batch; null for a topic without `having`. At most 31. */
  readonly topics: readonly (((batch: ColumnBatch, row: number) => boolean) | null)[]
  /** Of those topics, by which snapshots tell them apart. */
  readonly topicNames: readonly string[]
}

export interface MergeWindowOptions {
  readonly plan: ResultPlan
  readonly rules: MergeRules
  readonly readers: ResultReaders
}

/** All windows of one result, over all partitions: folds partials, and fires what the watermark has passed. */
export interface MergeWindow {
  readonly plan: ResultPlan
  /** Panes in memory, closed ones that wait for their group among them. */
  readonly openPanes: number
  /** Of `openPanes`, where no limit is given: what is known to fit into the memory of a process with a default heap. Absent: the merge's own. */
  readonly panesMax?: number
  /** Keys that are remembered beyond their rows, where there are such. */
  readonly keys?: number
  /** Rows that the last `fire` left out: duplicates. */
  readonly dropped?: number
  /** The `nowMs` at which an early result is due; Infinity where none is. */
  readonly earlyDueMs: number
  /** Adds what an epoch of a source adds to the windows. */
  fold(json: unknown, task: string): void
  /** Fills `fired`. */
  fire(at: FireAt): void
  readonly fired: FiredResults
  /** Forgets `fired`. */
  clear(): void
  /** Epochs of this merge task of which the files may still be replaced. */
  readonly liveEpochs: Iterable<number>
  /** The whole state, or what has changed since the last call, in parts: each is added by `restore`, in their order. */
  snapshot(kind: 'full' | 'changes'): Generator
  restore(json: unknown): void
}

/** What a cut has to write. Of a pane there is at most one row in it. */
export interface FiredResults {
  /**
   * Rows of `resultFields`. [0, count) are new revisions; [count, written) have not changed but move out of files that are replaced;
   * [written, length) have been written before: they are here for `final` alone.
   */
  readonly batch: ColumnBatch
  readonly count: number
  readonly written: number
  /** Rows of the whole batch that are final for the first time: what the next stage gets. Empty where there is none. */
  readonly final: Selection
  /** Event time of each of them: window_end − 1 ms, or that of the row. */
  readonly finalMs: readonly number[]
  /** Of [0, count): revisions of what was final before. The next stage does not see them. */
  readonly afterFinal: Selection
  /** Keys and bounds of what is no more; the aggregates are null. */
  readonly retracted: ColumnBatch
  /** Of each retracted row the topics that have it: bit i is `readers.topics[i]`. */
  readonly retractedFrom: readonly number[]
  /** Epochs of which the files leave the tables that keep the newest revision. */
  readonly replacedEpochs: readonly number[]
}

/** `FiredResults` while they are filled. */
export class FiredRows implements FiredResults {
  readonly batch: ColumnBatch
  count = 0
  written = 0
  readonly final = new Selection()
  readonly finalMs: number[] = []
  readonly afterFinal = new Selection()
  readonly retracted: ColumnBatch
  readonly retractedFrom: number[] = []
  readonly replacedEpochs: number[] = []

  constructor(plan: ResultPlan) {
    this.batch = createBatch(plan.resultFields)
    const bounds = new Set(['window_start', 'window_end', 'window_number'])
    this.retracted = createBatch(
      plan.resultFields.map((field, i) =>
        i < plan.keyFields.length || bounds.has(field.name) ? field : { ...field, nullable: true },
      ),
    )
  }

  addFinal(row: number, timeMs: number): void {
    this.final.reserve(this.final.count + 1)
    this.final.rows[this.final.count++] = row
    this.finalMs.push(timeMs)
  }

  clear(): void {
    truncateBatch(this.batch, 0)
    this.count = 0
    this.written = 0
    this.final.count = 0
    this.finalMs.length = 0
    this.afterFinal.count = 0
    truncateBatch(this.retracted, 0)
    this.retractedFrom.length = 0
    this.replacedEpochs.length = 0
  }
}
