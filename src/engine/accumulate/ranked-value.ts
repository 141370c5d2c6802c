import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { Accumulator, RowsAbout } from './accumulator.ts'
import { grownFloat64 } from './growth.ts'
import { heldTypeOf } from './held-value.ts'
import type { HeldType } from './held-value.ts'
import { isLeadExact, leadOf, readLeads } from './lead.ts'
import { PlacedSlots } from './placed-slots.ts'
import { createValueSlots } from './value-slots.ts'
import type { ValueSlots } from './value-slots.ts'

export interface RankedValueOptions {
  readonly resultField: Field
  readonly by: Field
  readonly kind: 'min-by' | 'max-by'
}

/**
 * A field of the row whose `by` is smallest or greatest, of rows where neither is null. Of several such rows, that of
 * the first by event time, task and offset, then the one with the smallest value. NaN is greater than every number and -0
 * smaller than 0, as for `min` and `max`.
 *
 * A pane keeps the lead of its `by`, and `by` itself where the lead does not tell it: 8 bytes, or 8 and those of
 * the type, beside the slots of the value.
 */
export class RankedValue implements Accumulator {
  readonly resultField: Field
  readonly #sign: 1 | -1
  readonly #byType: HeldType
  readonly #slots: PlacedSlots
  #panes = 0
  #leads = new Float64Array(0)
  /** Null where leads are exact. */
  readonly #bys: ValueSlots | null
  #rowLeads = new Float64Array(0)

  constructor({ resultField, by, kind }: RankedValueOptions) {
    this.resultField = resultField
    this.#sign = kind === 'min-by' ? 1 : -1
    this.#byType = heldTypeOf(by.type)
    this.#slots = new PlacedSlots(resultField.type)
    this.#bys = isLeadExact(by.type) ? null : createValueSlots(by.type)
  }

  reserve(panes: number): void {
    if (panes <= this.#panes) return
    this.#leads = grownFloat64(this.#leads, panes)
    this.#leads.fill(Number.NaN, this.#panes, panes)
    this.#bys?.reserve(panes)
    this.#slots.reserve(panes)
    this.#panes = panes
  }

  reset(pane: number): void {
    this.#leads[pane] = Number.NaN
    this.#bys?.clear(pane)
    this.#slots.reset(pane)
  }

  addRows(column: Column | null, rows: Int32Array, panes: Int32Array, count: number, about: RowsAbout): void {
    const { by } = about
    assert(column !== null && by !== null, 'a value by another has two input columns')
    const valid = column.validity
    const byValid = by.validity
    if (this.#rowLeads.length < count) this.#rowLeads = new Float64Array(count)
    const rowLeads = this.#rowLeads
    readLeads(by, rows, count, rowLeads)
    const leads = this.#leads
    const sign = this.#sign
    const task = this.#slots.taskOf(about)
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      if (valid !== null && ((valid[row >> 3]! >> (row & 7)) & 1) === 0) continue
      if (byValid !== null && ((byValid[row >> 3]! >> (row & 7)) & 1) === 0) continue
      const pane = panes[i]!
      const order = (rowLeads[i]! - leads[pane]!) * sign
      if (order > 0) continue
      // Zero, or NaN: the leads are equal, or one is not finite, or the pane is empty.
      if (!(order < 0) && !this.#slots.isEmpty(pane)) {
        const held = this.#byType.take(by, row)
        const byOrder = this.#byType.compare(held, this.#byAt(pane)) * sign
        if (byOrder > 0) continue
        if (byOrder === 0 && this.#slots.compareRow(pane, column, row, about, task) >= 0) continue
      }
      leads[pane] = rowLeads[i]!
      this.#bys?.take(pane, by, row)
      this.#slots.take(pane, column, row, about, task)
    }
  }

  mergePane(other: Accumulator, from: number, into: number): void {
    assert(other instanceof RankedValue && other.#sign === this.#sign, 'only values of one kind merge')
    if (other.#slots.isEmpty(from)) return
    if (!this.#slots.isEmpty(into)) {
      const order = this.#byType.compare(other.#byAt(from), this.#byAt(into)) * this.#sign
      if (order > 0) return
      if (order === 0 && this.#slots.comparePane(into, other.#slots, from) >= 0) return
    }
    this.#copy(into, other, from)
  }

  movePane(from: number, into: number): void {
    this.#copy(into, this, from)
  }

  appendResult(pane: number, column: Column): void {
    this.#slots.appendResult(pane, column)
  }

  /** Null, or [by, event time, task, offset, value]. */
  write(pane: number): unknown {
    if (this.#slots.isEmpty(pane)) return null
    return [this.#byType.toJson(this.#byAt(pane)), ...this.#slots.write(pane)]
  }

  read(pane: number, state: unknown): void {
    this.reset(pane)
    if (state === null) return
    assert(Array.isArray(state), 'the state of a value by another is an array')
    const [by, ...placed]: unknown[] = state
    const held = this.#byType.fromJson(by)
    this.#leads[pane] = leadOf(held)
    this.#bys?.put(pane, held)
    this.#slots.read(pane, placed)
  }

  #byAt(pane: number): number | bigint | string {
    return this.#bys === null ? this.#leads[pane]! : this.#bys.at(pane)
  }

  #copy(into: number, other: RankedValue, from: number): void {
    this.#leads[into] = other.#leads[from]!
    if (this.#bys !== null && other.#bys !== null) this.#bys.copy(into, other.#bys, from)
    this.#slots.copy(into, other.#slots, from)
  }
}
