import { formatDuration } from '../topology/duration.ts'
import type { AggregateNode } from '../topology/node.ts'
import type { Accumulator } from './accumulate/accumulator.ts'
import { type Frame, Selection } from './frame.ts'
import { instantText } from './instant-text.ts'
import { KeyTable } from './key-table.ts'
import { itemsBySlice, keyedJson, type KeyedStatesJson, statesJson } from './ordered-partial.ts'
import type { ResultPlan } from './plan.ts'
import { accumulatorsOf, RowAdder } from './row-adder.ts'
import { RowKeys } from './row-keys.ts'
import type { StepReport } from './row-step.ts'
import type { WindowStep } from './window-step.ts'

/** What an epoch adds to windows of so many rows: each row by itself, for only the merge can say which window it is in. */
export interface CountPartialJson extends KeyedStatesJson {
  readonly timesMs: readonly number[]
  /** The row's place in its task. */
  readonly offsets: readonly number[]
}

/** Judges rows for count windows: late is what comes when its place in the order may have been given away, W > t + allowed lateness. */
export class CountWindowStep implements WindowStep {
  readonly plan: ResultPlan
  readonly late = new Selection()
  readonly keyed = null
  readonly #node: AggregateNode
  readonly #frame: Frame
  readonly #rowKeys: RowKeys
  readonly #keys: KeyTable
  readonly #accumulators: readonly Accumulator[]
  readonly #adder: RowAdder
  readonly #onTime = new Selection()
  #panes = new Int32Array(0)
  /** Of the epoch's rows, each of which has a pane. */
  #keyIds: number[] = []
  #timesMs: number[] = []
  #offsets: number[] = []

  constructor(plan: ResultPlan, node: AggregateNode, frame: Frame, task: string) {
    this.plan = plan
    this.#node = node
    this.#frame = frame
    this.#rowKeys = new RowKeys(plan, frame)
    this.#keys = new KeyTable(plan.keyFields)
    this.#accumulators = accumulatorsOf(plan)
    this.#adder = new RowAdder(plan, frame, task, this.#accumulators)
  }

  run(input: Selection, report: StepReport): number {
    const rows = this.#rowKeys.select(input, report)
    splitByTime(rows, this.plan, this.#frame, this.#onTime, this.late)
    this.#adder.prepare(this.#onTime, report)
    this.#add(this.#onTime)
    if (this.#node.late === 'dead-letter') refuseByTime(this.late, this.plan, this.#frame, report)
    return this.late.count
  }

  takePartials(slices: number): readonly (CountPartialJson | null)[] {
    const { columns } = this.#keys.keys
    const keyIdOf = (item: number) => this.#keyIds[item]!
    const partials = itemsBySlice(columns, keyIdOf, this.#keyIds.keys(), slices).map((items) =>
      items.length === 0
        ? null
        : {
            ...keyedJson(columns, keyIdOf, items),
            timesMs: items.map((item) => this.#timesMs[item]!),
            offsets: items.map((item) => this.#offsets[item]!),
            states: statesJson(this.#accumulators, items),
          },
    )
    this.#clearRows()
    return partials
  }

  clear(): void {
    this.#clearRows()
    this.#rowKeys.clear()
  }

  #add({ rows, count }: Selection): void {
    if (count === 0) return
    if (this.#panes.length < count) this.#panes = new Int32Array(count)
    const { columns } = this.#rowKeys
    const { timesMs, offsets, base } = this.#frame
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      this.#panes[i] = this.#keyIds.push(this.#keys.idOf(columns, row)) - 1
      this.#timesMs.push(timesMs[row - base]!)
      // Results have no place.
      this.#offsets.push(this.plan.stage > 0 ? 0 : offsets[row - base]!)
    }
    for (const accumulator of this.#accumulators) accumulator.reserve(this.#keyIds.length)
    this.#adder.add(rows, this.#panes, count)
  }

  #clearRows(): void {
    for (const accumulator of this.#accumulators) {
      for (let pane = 0; pane < this.#keyIds.length; pane++) accumulator.reset(pane)
    }
    this.#keys.clear()
    this.#keyIds = []
    this.#timesMs = []
    this.#offsets = []
  }
}

/** Late is a row that found W > t + allowed lateness: at W = t rows of t are still expected. A result is never late. */
export function splitByTime(
  input: Selection,
  plan: ResultPlan,
  frame: Frame,
  onTime: Selection,
  late: Selection,
): void {
  const { timesMs, watermarksMs, base } = frame
  const { allowedLatenessMs } = plan.node
  onTime.reserve(input.count)
  late.reserve(input.count)
  onTime.count = 0
  late.count = 0
  for (let i = 0; i < input.count; i++) {
    const row = input.rows[i]!
    const isLate = plan.stage === 0 && watermarksMs[row - base]! > timesMs[row - base]! + allowedLatenessMs
    const to = isLate ? late : onTime
    to.rows[to.count++] = row
  }
}

export function refuseByTime(late: Selection, plan: ResultPlan, frame: Frame, report: StepReport): void {
  const { timesMs, watermarksMs, base } = frame
  for (let i = 0; i < late.count; i++) {
    const row = late.rows[i]!
    const timeMs = timesMs[row - base]!
    report.refuse(frame, row, {
      reason: 'late',
      stage: plan.node.name,
      message: `event time ${instantText(timeMs)} comes after its place in the order has been given away: with ${formatDuration(plan.node.allowedLatenessMs)} allowed lateness that is so since the watermark has passed it; it is at ${instantText(watermarksMs[row - base]!)}`,
      stack: null,
    })
  }
}
