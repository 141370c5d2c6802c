import { formatDuration } from '../topology/duration.ts'
import type { AggregateNode } from '../topology/node.ts'
import { type Frame, Selection } from './frame.ts'
import { instantText } from './instant-text.ts'
import { PaneTable } from './pane-table.ts'
import type { ResultPlan } from './plan.ts'
import { accumulatorsOf, RowAdder } from './row-adder.ts'
import { RowKeys } from './row-keys.ts'
import type { StepReport } from './row-step.ts'
import { type AlignedSpec, type AlignedWindows, alignedWindows } from './window.ts'
import { SingleWindowPlacer, type WindowPlacer } from './window-placer.ts'
import { WindowRuns } from './window-runs.ts'
import type { WindowStep } from './window-step.ts'

/** Windows that are the same for all keys. Its partials are `PanesJson`. */
export class AlignedWindowStep implements WindowStep {
  readonly plan: ResultPlan
  readonly late = new Selection()
  readonly keyed = null
  readonly #node: AggregateNode
  readonly #windows: AlignedWindows
  readonly #placer: WindowPlacer
  readonly #frame: Frame
  readonly #keys: RowKeys
  /** By key and place. */
  readonly #panes: PaneTable
  readonly #adder: RowAdder
  readonly #onTime = new Selection()
  /** By row − base of the frame. */
  #places = new Float64Array(0)
  #paneOfRow = new Int32Array(0)

  constructor(plan: ResultPlan, node: AggregateNode, window: AlignedSpec, frame: Frame, task: string) {
    const { allowedLatenessMs } = node
    this.#panes = new PaneTable(plan.keyFields, accumulatorsOf(plan))
    this.plan = plan
    this.#node = node
    this.#windows = alignedWindows(window)
    this.#placer =
      window.kind === 'hopping'
        ? new WindowRuns(
            window,
            allowedLatenessMs,
            (table) => new PaneTable(plan.keyFields, accumulatorsOf(plan), table.keyTable),
          )
        : new SingleWindowPlacer(this.#windows, allowedLatenessMs)
    this.#frame = frame
    this.#keys = new RowKeys(plan, frame)
    this.#adder = new RowAdder(plan, frame, task, this.#panes.accumulators)
  }

  run(input: Selection, report: StepReport): number {
    const rowsOfRange = this.#frame.batch.length - this.#frame.base
    if (this.#places.length < rowsOfRange) {
      this.#places = new Float64Array(rowsOfRange)
      this.#paneOfRow = new Int32Array(rowsOfRange)
    }
    const onTime = this.#onTime
    onTime.reserve(input.count)
    this.late.reserve(input.count)
    const keyed = this.#keys.select(input, report)
    this.#placer.place(keyed, this.#frame, this.#places, onTime, this.late)
    this.#adder.prepare(onTime, report)
    if (onTime.count > 0) {
      const { rows, count } = onTime
      this.#panes.panesOf(this.#keys.columns, rows, count, this.#places, this.#frame.base, this.#paneOfRow)
      this.#adder.add(rows, this.#paneOfRow, count)
    }
    if (this.#node.late === 'dead-letter') this.#refuseLate(report)
    return this.late.count
  }

  takePartials(slices: number): readonly unknown[] {
    const partials = this.#placer.partials(this.#panes, slices)
    this.clear()
    return partials
  }

  clear(): void {
    this.#panes.clear()
    this.#placer.clear()
    this.#keys.clear()
  }

  /** A row that is late for all its windows is late for the last of them. */
  #refuseLate(report: StepReport): void {
    const { timesMs, watermarksMs, base } = this.#frame
    for (let i = 0; i < this.late.count; i++) {
      const row = this.late.rows[i]!
      const timeMs = timesMs[row - base]!
      const endMs = this.#windows.endOf(this.#windows.startOf(timeMs))
      report.refuse(this.#frame, row, {
        reason: 'late',
        stage: this.#node.name,
        message: lateMessage(timeMs, endMs, this.#node.allowedLatenessMs, watermarksMs[row - base]!),
        stack: null,
      })
    }
  }
}

export function lateMessage(
  timeMs: number,
  endMs: number,
  allowedLatenessMs: number,
  watermarkMs: number,
): string {
  return `event time ${instantText(timeMs)} belongs to a window that ends at ${instantText(endMs)}; with ${formatDuration(allowedLatenessMs)} allowed lateness it was closed when the watermark reached ${instantText(watermarkMs)}`
}
