import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { Accumulator, RowsAbout } from './accumulator.ts'
import { PlacedSlots } from './placed-slots.ts'

/** First or last value by event time: of scalars. Of the same millisecond, by task, then offset, then the value itself. */
export class PlacedValue implements Accumulator {
  readonly resultField: Field
  readonly #sign: 1 | -1
  readonly #slots: PlacedSlots

  constructor(resultField: Field, kind: 'first' | 'last') {
    this.resultField = resultField
    this.#sign = kind === 'first' ? 1 : -1
    this.#slots = new PlacedSlots(resultField.type)
  }

  reserve(panes: number): void {
    this.#slots.reserve(panes)
  }

  reset(pane: number): void {
    this.#slots.reset(pane)
  }

  addRows(column: Column | null, rows: Int32Array, panes: Int32Array, count: number, about: RowsAbout): void {
    assert(column !== null, 'a first or last value has an input column')
    const { timesMs, base } = about
    const validity = column.validity
    const slots = this.#slots
    const places = slots.places
    const sign = this.#sign
    const task = slots.taskOf(about)
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) continue
      const pane = panes[i]!
      // NaN for an empty pane, which takes the row.
      const order = (timesMs[row - base]! - places[pane * 2]!) * sign
      if (order > 0) continue
      if (order === 0 && slots.compareRow(pane, column, row, about, task) * sign >= 0) continue
      slots.take(pane, column, row, about, task)
    }
  }

  mergePane(other: Accumulator, from: number, into: number): void {
    assert(other instanceof PlacedValue && other.#sign === this.#sign, 'only first or last values merge')
    if (other.#slots.isEmpty(from)) return
    const isBetter =
      this.#slots.isEmpty(into) || this.#slots.comparePane(into, other.#slots, from) * this.#sign < 0
    if (isBetter) this.#slots.copy(into, other.#slots, from)
  }

  movePane(from: number, into: number): void {
    this.#slots.copy(into, this.#slots, from)
  }

  appendResult(pane: number, column: Column): void {
    this.#slots.appendResult(pane, column)
  }

  /** Null, or [event time, task, offset, value]. */
  write(pane: number): unknown {
    return this.#slots.isEmpty(pane) ? null : this.#slots.write(pane)
  }

  read(pane: number, state: unknown): void {
    this.#slots.reset(pane)
    if (state === null) return
    assert(Array.isArray(state), 'the state of a first or last value is an array')
    this.#slots.read(pane, state)
  }
}
