import { createAccumulator } from './accumulate/accumulator.ts'
import { formatDuration } from '../topology/duration.ts'
import { columnAt } from './field-path.ts'
import { type Frame, Selection } from './frame.ts'
import { instantText } from './instant-text.ts'
import { PaneTable } from './pane-table.ts'
import type { AggregatePlan } from './plan.ts'
import type { StepReport } from './row-step.ts'
import { windowStartOf } from './window.ts'

/** The windows of one aggregate within a partition task: judges lateness and adds the rest to the epoch's partial. */
export class WindowStep {
  readonly plan: AggregatePlan
  readonly panes: PaneTable
  /** The late rows of the range in hand, for a side table. */
  readonly late = new Selection()
  readonly #frame: Frame
  readonly #onTime = new Selection()
  #startsMs = new Float64Array(0)
  #paneOfRow = new Int32Array(0)

  constructor(plan: AggregatePlan, frame: Frame) {
    this.plan = plan
    this.#frame = frame
    this.panes = new PaneTable(
      plan.keyFields,
      plan.node.aggregates.map((named, i) =>
        createAccumulator(named, { input: plan.inputs[i]?.field ?? null, by: null, row: [] }),
      ),
    )
  }

  /** Returns the number of late rows. */
  run(input: Selection, report: StepReport): number {
    this.#split(input)
    const count = this.#onTime.count
    const columns = this.#frame.batch.columns
    if (count > 0) {
      const rows = this.#onTime.rows
      const keys = this.plan.keys.map((key) => columnAt(columns, key))
      this.panes.panesOf(keys, rows, this.#startsMs, count, this.#paneOfRow)
      const { timesMs, base } = this.#frame
      const about = { by: null, columns, timesMs, offsets: timesMs, base, task: '' }
      this.panes.accumulators.forEach((accumulator, a) => {
        const path = this.plan.inputs[a]!
        const column = path === null ? null : columnAt(columns, path)
        accumulator.addRows(column, rows, this.#paneOfRow, count, about)
      })
    }
    if (this.plan.node.late === 'dead-letter') this.#refuseLate(report)
    return this.late.count
  }

  /**
   * On time or late, by the watermark that the row found:
   *
   *    start        end        end + allowed lateness
   *    [------------)----------|
   *                            W at or beyond here: late
   */
  #split(input: Selection): void {
    const { window, allowedLatenessMs } = this.plan.node
    const { timesMs, watermarksMs, base } = this.#frame
    if (this.#startsMs.length < input.count) {
      this.#startsMs = new Float64Array(input.count)
      this.#paneOfRow = new Int32Array(input.count)
    }
    this.#onTime.reserve(input.count)
    this.late.reserve(input.count)
    let onTime = 0
    let late = 0
    for (let i = 0; i < input.count; i++) {
      const row = input.rows[i]!
      const startMs = windowStartOf(window, timesMs[row - base]!)
      if (watermarksMs[row - base]! >= startMs + window.sizeMs + allowedLatenessMs) {
        this.late.rows[late++] = row
      } else {
        this.#onTime.rows[onTime] = row
        this.#startsMs[onTime++] = startMs
      }
    }
    this.#onTime.count = onTime
    this.late.count = late
  }

  #refuseLate(report: StepReport): void {
    const { name, window, allowedLatenessMs } = this.plan.node
    const { timesMs, watermarksMs, base } = this.#frame
    for (let i = 0; i < this.late.count; i++) {
      const row = this.late.rows[i]!
      const endMs = windowStartOf(window, timesMs[row - base]!) + window.sizeMs
      report.refuse(this.#frame, row, {
        reason: 'late',
        stage: name,
        message: `event time ${instantText(timesMs[row - base]!)} belongs to a window that ends at ${instantText(endMs)}; with ${formatDuration(allowedLatenessMs)} allowed lateness it was closed when the watermark reached ${instantText(watermarksMs[row - base]!)}`,
        stack: null,
      })
    }
  }
}
