import type { Accumulator, RowsAbout } from './accumulate/accumulator.ts'
import { createAccumulator } from './accumulate/accumulator.ts'
import { RowCount } from './accumulate/row-count.ts'
import type { Field } from '../columns/column-type.ts'
import { columnAt } from './field-path.ts'
import type { Frame, Selection } from './frame.ts'
import { accumulatorFieldsOf } from './result-plan.ts'
import type { ResultPlan } from './plan.ts'
import { type StepReport, thrown } from './row-step.ts'

const ROWS: Field = { name: 'rows', type: { kind: 'int64' }, nullable: false }

/**
 * Accumulators for the aggregates of a result, without panes. Where a trigger counts rows there is one more, the last, with their number.
 */
export function accumulatorsOf(plan: ResultPlan): readonly Accumulator[] {
  const { node } = plan
  if (node.kind === 'unique') return []
  const accumulators = node.aggregates.map((named, i) =>
    createAccumulator(named, accumulatorFieldsOf(plan, i)),
  )
  return countsRows(plan) ? [...accumulators, new RowCount(ROWS)] : accumulators
}

/** Whether the last state of each pane is its number of rows, for a trigger. */
export function countsRows({ node }: ResultPlan): boolean {
  return node.kind === 'aggregate' && node.trigger?.earlyEveryRows !== undefined
}

/** Adds rows of a frame to the accumulators of one result. */
export class RowAdder {
  readonly #plan: ResultPlan
  readonly #frame: Frame
  readonly #task: string
  readonly #accumulators: readonly Accumulator[]
  readonly #hasCallbacks: boolean
  #refused = new Uint8Array(0)

  constructor(plan: ResultPlan, frame: Frame, task: string, accumulators: readonly Accumulator[]) {
    this.#plan = plan
    this.#frame = frame
    this.#task = task
    this.#accumulators = accumulators
    this.#hasCallbacks = accumulators.some((accumulator) => accumulator.prepare !== undefined)
  }

  /**
   * Runs the callbacks of aggregates. Rows for which one throws are dead letters and leave `rows`: `add` is to be called with what is
   * left, before the next `prepare`.
   */
  prepare(rows: Selection, report: StepReport): void {
    if (!this.#hasCallbacks || rows.count === 0) return
    const frame = this.#frame
    const refused = this.#refusedOf(frame.batch.length - frame.base)
    this.#accumulators.forEach((accumulator, a) => {
      if (accumulator.prepare === undefined) return
      let any = false
      accumulator.prepare(rows.rows, rows.count, this.#about(a), (row, error) => {
        any = true
        refused[row - frame.base] = 1
        report.refuse(frame, row, thrown(this.#plan.node.name, error))
      })
      if (any) keepRows(rows, (row) => refused[row - frame.base] === 0)
    })
  }

  /** Adds rows[i] to panes[i], for which there must be room. */
  add(rows: Int32Array, panes: Int32Array, count: number): void {
    this.#accumulators.forEach((accumulator, a) => {
      const path = this.#plan.inputs[a] ?? null
      const column = path === null ? null : columnAt(this.#frame.batch.columns, path)
      accumulator.addRows(column, rows, panes, count, this.#about(a))
    })
  }

  #about(aggregate: number): RowsAbout {
    const { batch, timesMs, offsets, base } = this.#frame
    const by = this.#plan.bys[aggregate] ?? null
    return {
      by: by === null ? null : columnAt(batch.columns, by),
      columns: batch.columns,
      timesMs,
      offsets,
      base,
      task: this.#task,
    }
  }

  #refusedOf(rows: number): Uint8Array {
    if (this.#refused.length < rows) this.#refused = new Uint8Array(rows)
    return this.#refused.fill(0)
  }
}

function keepRows(selection: Selection, isKept: (row: number) => boolean): void {
  let kept = 0
  for (let i = 0; i < selection.count; i++) {
    const row = selection.rows[i]!
    if (isKept(row)) selection.rows[kept++] = row
  }
  selection.count = kept
}
