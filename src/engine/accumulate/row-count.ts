import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { Accumulator } from './accumulator.ts'
import { grownFloat64 } from './growth.ts'
import { appendWhole } from './result-column.ts'

/** Counts rows, or the rows whose field is not null. */
export class RowCount implements Accumulator {
  readonly resultField: Field
  #counts = new Float64Array(0)

  constructor(resultField: Field) {
    this.resultField = resultField
  }

  reserve(panes: number): void {
    this.#counts = grownFloat64(this.#counts, panes)
  }

  reset(pane: number): void {
    this.#counts[pane] = 0
  }

  addRows(column: Column | null, rows: Int32Array, panes: Int32Array, count: number): void {
    const counts = this.#counts
    const validity = column === null ? null : column.validity
    if (validity === null) {
      for (let i = 0; i < count; i++) counts[panes[i]!]! += 1
      return
    }
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      counts[panes[i]!]! += (validity[row >> 3]! >> (row & 7)) & 1
    }
  }

  mergePane(other: Accumulator, from: number, into: number): void {
    assert(other instanceof RowCount, 'only a count merges with a count')
    this.#counts[into]! += other.#counts[from]!
  }

  movePane(from: number, into: number): void {
    this.#counts[into] = this.#counts[from]!
  }

  appendResult(pane: number, column: Column): void {
    appendWhole(column, this.#counts[pane]!)
  }

  write(pane: number): unknown {
    const count = this.#counts[pane]!
    return count === 0 ? null : count
  }

  read(pane: number, state: unknown): void {
    assert(state === null || Number.isSafeInteger(state), 'the state of a count is a whole number')
    this.#counts[pane] = state === null ? 0 : Number(state)
  }
}
