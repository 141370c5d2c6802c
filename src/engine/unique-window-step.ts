import type { UniqueNode } from '../topology/node.ts'
import { cellToJson } from './cell-json.ts'
import { refuseByTime, splitByTime } from './count-window-step.ts'
import { type Frame, Selection } from './frame.ts'
import { KeyTable } from './key-table.ts'
import { itemsBySlice, keyedJson, type KeyedJson } from './ordered-partial.ts'
import type { ResultPlan } from './plan.ts'
import { RowKeys } from './row-keys.ts'
import type { StepReport } from './row-step.ts'
import type { WindowStep } from './window-step.ts'

/** What an epoch adds to a dedupe over all partitions: whole rows. */
export interface UniquePartialJson extends KeyedJson {
  readonly timesMs: readonly number[]
  /** The row's place in its task. */
  readonly offsets: readonly number[]
  /** By field, then by row: `cellToJson`. */
  readonly cells: readonly (readonly unknown[])[]
}

/** Judges rows for a dedupe over all partitions. Those that are on time stay where they are until the epoch ends. */
export class UniqueWindowStep implements WindowStep {
  readonly plan: ResultPlan
  readonly late = new Selection()
  readonly keyed = null
  readonly #node: UniqueNode
  readonly #frame: Frame
  readonly #rowKeys: RowKeys
  readonly #keys: KeyTable
  readonly #onTime = new Selection()
  /** Of the epoch. */
  #rows: number[] = []
  #keyIds: number[] = []
  #timesMs: number[] = []
  #offsets: number[] = []

  constructor(plan: ResultPlan, node: UniqueNode, frame: Frame) {
    this.plan = plan
    this.#node = node
    this.#frame = frame
    this.#rowKeys = new RowKeys(plan, frame)
    this.#keys = new KeyTable(plan.keyFields)
  }

  run(input: Selection, report: StepReport): number {
    const selected = this.#rowKeys.select(input, report)
    splitByTime(selected, this.plan, this.#frame, this.#onTime, this.late)
    const { rows, count } = this.#onTime
    const { columns } = this.#rowKeys
    const { timesMs, offsets, base } = this.#frame
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      this.#rows.push(row)
      this.#keyIds.push(this.#keys.idOf(columns, row))
      this.#timesMs.push(timesMs[row - base]!)
      this.#offsets.push(offsets[row - base]!)
    }
    if (this.#node.late === 'dead-letter') refuseByTime(this.late, this.plan, this.#frame, report)
    return this.late.count
  }

  takePartials(slices: number): readonly (UniquePartialJson | null)[] {
    const { columns } = this.#keys.keys
    const keyIdOf = (item: number) => this.#keyIds[item]!
    // The frame may have columns behind those of the row.
    const cells = this.#frame.batch.columns.slice(0, this.plan.rowFields.length)
    const partials = itemsBySlice(columns, keyIdOf, this.#keyIds.keys(), slices).map((items) =>
      items.length === 0
        ? null
        : {
            ...keyedJson(columns, keyIdOf, items),
            timesMs: items.map((item) => this.#timesMs[item]!),
            offsets: items.map((item) => this.#offsets[item]!),
            cells: cells.map((column) => items.map((item) => cellToJson(column, this.#rows[item]!))),
          },
    )
    this.#clearRows()
    return partials
  }

  clear(): void {
    this.#clearRows()
    this.#rowKeys.clear()
  }

  #clearRows(): void {
    this.#keys.clear()
    this.#rows = []
    this.#keyIds = []
    this.#timesMs = []
    this.#offsets = []
  }
}
