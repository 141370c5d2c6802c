import type { AggregateNode, SlidingSpec } from '../topology/node.ts'
import { lateMessage } from './aligned-window-step.ts'
import { type Frame, Selection } from './frame.ts'
import { keyedJson, type KeyedStatesJson, statesJson } from './ordered-partial.ts'
import { PaneTable } from './pane-table.ts'
import type { ResultPlan } from './plan.ts'
import { accumulatorsOf, RowAdder } from './row-adder.ts'
import { RowKeys } from './row-keys.ts'
import type { StepReport } from './row-step.ts'
import { sliceByKey } from './slice.ts'
import type { WindowStep } from './window-step.ts'

/** What an epoch adds to sliding windows: the rows of one key and event time, as far as they are in the same windows. */
export interface SlidingPartialJson extends KeyedStatesJson {
  readonly timesMs: readonly number[]
  /** The first window_end − 1 ms that the rows are on time for; null where that is their own: then they make a window. */
  readonly fromsMs: readonly (number | null)[]
}

/**
 * Windows that end at each row, [t − size, t]. What is on time for its own window is added to the pane of its t; what is not, but is for later ones, to
 * a pane of its t and of the first window that it is on time for.
 *
 *    t − size            t                t + size
 *    [-------------------]                             its own, closed when W reaches t + 1 + allowed lateness
 *                        [----------------]            it is in the windows that end here
 *                             W           : only in those that end at W − allowed lateness or later
 */
export class SlidingWindowStep implements WindowStep {
  readonly plan: ResultPlan
  readonly late = new Selection()
  readonly keyed = null
  readonly #node: AggregateNode
  readonly #sizeMs: number
  readonly #frame: Frame
  readonly #keys: RowKeys
  readonly #panes: PaneTable
  readonly #adder: RowAdder
  readonly #onTime = new Selection()
  /** Of rows that are late for their own window: t and the first that they are on time for. In the pane table they "start" at their place here + 1/2. */
  #behind: (readonly [timeMs: number, fromMs: number])[] = []
  readonly #behindIds = new Map<string, number>()
  /** By row − base of the frame. */
  #startsMs = new Float64Array(0)
  #paneOfRow = new Int32Array(0)

  constructor(plan: ResultPlan, node: AggregateNode, window: SlidingSpec, frame: Frame, task: string) {
    this.plan = plan
    this.#node = node
    this.#sizeMs = window.sizeMs
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

  takePartials(slices: number): readonly (SlidingPartialJson | null)[] {
    const partials = sliceByKey(this.#panes, slices).map((panes) =>
      panes.length === 0 ? null : this.#json(panes),
    )
    this.#clearPanes()
    return partials
  }

  clear(): void {
    this.#clearPanes()
    this.#keys.clear()
  }

  #clearPanes(): void {
    this.#panes.clear()
    this.#behind = []
    this.#behindIds.clear()
  }

  #json(panes: readonly number[]): SlidingPartialJson {
    const startOf = (pane: number) => this.#panes.windowStartOf(pane)
    const behindOf = (pane: number) => this.#behind[startOf(pane) - 0.5]
    const isBehind = (pane: number) => !Number.isInteger(startOf(pane))
    return {
      ...keyedJson(this.#panes.keys.columns, (pane) => this.#panes.keyIdOf(pane), panes),
      timesMs: panes.map((pane) => (isBehind(pane) ? behindOf(pane)![0] : startOf(pane))),
      fromsMs: panes.map((pane) => (isBehind(pane) ? behindOf(pane)![1] : null)),
      states: statesJson(this.#panes.accumulators, panes),
    }
  }

  #split(input: Selection): void {
    const { timesMs, watermarksMs, base, batch } = this.#frame
    const { allowedLatenessMs } = this.#node
    if (this.#startsMs.length < batch.length - base) {
      this.#startsMs = new Float64Array(batch.length - base)
      this.#paneOfRow = new Int32Array(batch.length - base)
    }
    this.#onTime.reserve(input.count)
    this.late.reserve(input.count)
    let onTime = 0
    let late = 0
    for (let i = 0; i < input.count; i++) {
      const row = input.rows[i]!
      const timeMs = timesMs[row - base]!
      // The window that ends at u + 1 is open while W < u + 1 + allowed lateness.
      const fromMs = Math.floor(watermarksMs[row - base]! - allowedLatenessMs - 1) + 1
      if (fromMs > timeMs + this.#sizeMs) {
        this.late.rows[late++] = row
        continue
      }
      this.#onTime.rows[onTime++] = row
      this.#startsMs[row - base] = fromMs <= timeMs ? timeMs : this.#behindId(timeMs, fromMs) + 0.5
    }
    this.#onTime.count = onTime
    this.late.count = late
  }

  #behindId(timeMs: number, fromMs: number): number {
    const text = `${timeMs} ${fromMs}`
    const known = this.#behindIds.get(text)
    if (known !== undefined) return known
    this.#behindIds.set(text, this.#behind.length)
    return this.#behind.push([timeMs, fromMs]) - 1
  }

  #refuseLate(report: StepReport): void {
    const { timesMs, watermarksMs, base } = this.#frame
    for (let i = 0; i < this.late.count; i++) {
      const row = this.late.rows[i]!
      const timeMs = timesMs[row - base]!
      // Of the last window that it is in.
      const endMs = timeMs + this.#sizeMs + 1
      report.refuse(this.#frame, row, {
        reason: 'late',
        stage: this.#node.name,
        message: lateMessage(timeMs, endMs, this.#node.allowedLatenessMs, watermarksMs[row - base]!),
        stack: null,
      })
    }
  }
}
