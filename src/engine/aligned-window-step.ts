import { formatDuration } from '../topology/duration.ts'
import type { AggregateNode } from '../topology/node.ts'
import { type Frame, Selection } from './frame.ts'
import { instantText } from './instant-text.ts'
import { PaneTable } from './pane-table.ts'
import { panesToJson } from './partial.ts'
import type { ResultPlan } from './plan.ts'
import { accumulatorsOf, RowAdder } from './row-adder.ts'
import { RowKeys } from './row-keys.ts'
import type { StepReport } from './row-step.ts'
import { sliceByKey } from './slice.ts'
import { type AlignedSpec, type AlignedWindows, alignedWindows } from './window.ts'
import type { WindowStep } from './window-step.ts'

/** Windows that lie side by side, or the one that has no end: a row is in one of them. */
export class AlignedWindowStep implements WindowStep {
  readonly plan: ResultPlan
  readonly late = new Selection()
  readonly keyed = null
  readonly #node: AggregateNode
  readonly #windows: AlignedWindows
  readonly #frame: Frame
  readonly #keys: RowKeys
  readonly #panes: PaneTable
  readonly #adder: RowAdder
  readonly #onTime = new Selection()
  /** By row − base of the frame. */
  #startsMs = new Float64Array(0)
  #paneOfRow = new Int32Array(0)

  constructor(plan: ResultPlan, node: AggregateNode, window: AlignedSpec, frame: Frame, task: string) {
    this.plan = plan
    this.#node = node
    this.#windows = alignedWindows(window)
    this.#frame = frame
    this.#keys = new RowKeys(plan, frame)
    this.#panes = new PaneTable(plan.keyFields, accumulatorsOf(plan))
    this.#adder = new RowAdder(plan, frame, task, this.#panes.accumulators)
  }

  run(input: Selection, report: StepReport): number {
    this.#split(this.#keys.select(input, report))
    const onTime = this.#onTime
    this.#adder.prepare(onTime, report)
    if (onTime.count > 0) {
      const { rows, count } = onTime
      this.#panes.panesOf(this.#keys.columns, rows, count, this.#startsMs, this.#frame.base, this.#paneOfRow)
      this.#adder.add(rows, this.#paneOfRow, count)
    }
    if (this.#node.late === 'dead-letter') this.#refuseLate(report)
    return this.late.count
  }

  takePartials(slices: number): readonly (unknown | null)[] {
    const panes = sliceByKey(this.#panes, slices)
    const partials = panes.map((listed) => (listed.length === 0 ? null : panesToJson(this.#panes, listed)))
    this.#panes.clear()
    return partials
  }

  clear(): void {
    this.#panes.clear()
    this.#keys.clear()
  }

  /**
   * On time or late, by the watermark that the row found:
   *
   *    start        end        end + allowed lateness
   *    [------------)----------|
   *                            W at or beyond here: late
   */
  #split(input: Selection): void {
    const { allowedLatenessMs } = this.#node
    const { timesMs, watermarksMs, base, batch } = this.#frame
    if (this.#startsMs.length < batch.length - base) {
      this.#startsMs = new Float64Array(batch.length - base)
      this.#paneOfRow = new Int32Array(batch.length - base)
    }
    this.#onTime.reserve(input.count)
    this.late.reserve(input.count)
    let onTime = 0
    let late = 0
    // Rows come mostly one after the other in the same window.
    let startMs = Infinity
    let endMs = -Infinity
    for (let i = 0; i < input.count; i++) {
      const row = input.rows[i]!
      const timeMs = timesMs[row - base]!
      if (!(timeMs >= startMs && timeMs < endMs)) {
        startMs = this.#windows.startOf(timeMs)
        endMs = this.#windows.endOf(startMs)
      }
      if (watermarksMs[row - base]! >= endMs + allowedLatenessMs) {
        this.late.rows[late++] = row
      } else {
        this.#onTime.rows[onTime++] = row
        this.#startsMs[row - base] = startMs
      }
    }
    this.#onTime.count = onTime
    this.late.count = late
  }

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
