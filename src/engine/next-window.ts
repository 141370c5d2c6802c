import { takeRows } from '../columns/take.ts'
import { PipelineError } from '../errors.ts'
import { createWindowStep } from './create-window-step.ts'
import { Frame, Selection } from './frame.ts'
import { HavingFilter } from './having.ts'
import type { FiredResults } from './merge-window.ts'
import type { ResultPlan } from './plan.ts'
import type { StepReport } from './row-step.ts'
import type { WindowStep } from './window-step.ts'

/** A result has no record, and what is refused of it has nowhere to go. */
const REPORT: StepReport = {
  refuse(_frame, _row, { stage, message }) {
    throw new PipelineError('AGGREGATE_FAILED', `${stage} refuses a result: ${message}`, {
      advice:
        'Mend the callback: it must take every result of the windows below, nulls among the aggregates included.',
    })
  },
  drop() {},
}

/** The partition's side of a window over results: it takes the rows of the window below, each once, when they are final. */
export class NextWindow {
  readonly plan: ResultPlan
  readonly #having: HavingFilter | null
  readonly #frame: Frame
  readonly #step: WindowStep
  readonly #selection = new Selection()

  constructor(plan: ResultPlan) {
    const filters = plan.from?.filters ?? []
    this.plan = plan
    this.#having = filters.length === 0 ? null : new HavingFilter(filters, plan.rowFields)
    this.#frame = new Frame(plan.rowFields)
    this.#step = createWindowStep(plan, this.#frame, '')
  }

  /** Adds what is final. Returns the number of rows that come too late: revisions of what was final before. */
  run(fired: FiredResults): number {
    const { batch, final, finalMs, afterFinal } = fired
    const rows = this.#selection
    rows.count = 0
    rows.reserve(final.count)
    const timesMs: number[] = []
    for (let i = 0; i < final.count; i++) {
      if (this.#having !== null && !this.#having.passes(batch, final.rows[i]!)) continue
      rows.rows[rows.count++] = final.rows[i]!
      timesMs.push(finalMs[i]!)
    }
    if (rows.count > 0) this.#add(fired, rows, timesMs)
    return this.#having === null ? afterFinal.count : this.#having.selectOf(batch, afterFinal).count
  }

  /** What the epoch adds, by slice. */
  takePartials(slices: number): readonly unknown[] {
    const partials = this.#step.takePartials(slices)
    this.#step.clear()
    return partials
  }

  /** State beyond the epoch, in parts. `watermarkMs` is that of the rows. */
  *snapshot(kind: 'full' | 'changes', watermarkMs: number): Generator {
    const { keyed } = this.#step
    if (keyed === null) return
    yield* kind === 'full' ? keyed.takeSnapshot(watermarkMs) : keyed.takeChanges(watermarkMs)
  }

  restore(json: unknown): void {
    this.#step.keyed?.restore(json)
  }

  #add({ batch }: FiredResults, rows: Selection, timesMs: readonly number[]): void {
    const frame = this.#frame
    frame.startRange(rows.count)
    takeRows(batch, rows.rows, rows.count, frame.batch)
    frame.timesMs.set(timesMs)
    // A result is never late by itself, whatever the merge has reached by now: cuts change nothing.
    frame.watermarksMs.set(timesMs)
    for (let row = 0; row < rows.count; row++) rows.rows[row] = row
    this.#step.run(rows, REPORT)
    frame.clear()
  }
}
