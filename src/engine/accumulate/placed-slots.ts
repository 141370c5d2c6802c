import { setValid } from '../../columns/column.ts'
import type { Column } from '../../columns/column.ts'
import type { ColumnType } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { RowsAbout } from './accumulator.ts'
import { grownFloat64, grownInt32 } from './growth.ts'
import { heldTypeOf } from './held-value.ts'
import type { HeldType } from './held-value.ts'
import { appendNull } from './result-column.ts'
import { offsetAt } from './row-place.ts'
import { createValueSlots } from './value-slots.ts'
import type { ValueSlots } from './value-slots.ts'

/**
 * The value of one row for each pane, and the row's place: event time, task, offset. Two rows compare by these in
 * this order, then by the value, so that which one is chosen depends on the rows alone. 20 bytes a pane and
 * the value's.
 *
 * Rows that are results of a window have neither task nor offset: there the value follows the event time.
 */
export class PlacedSlots {
  /** [event time, offset] of each pane; the time is NaN where it is empty. */
  places = new Float64Array(0)
  /** 1 + the index of the task's name; 0 where a pane is empty. */
  #tasks = new Int32Array(0)
  #panes = 0
  readonly #names = new TaskNames()
  readonly #values: ValueSlots
  readonly #type: HeldType

  constructor(type: ColumnType) {
    this.#values = createValueSlots(type)
    this.#type = heldTypeOf(type)
  }

  reserve(panes: number): void {
    if (panes <= this.#panes) return
    this.places = grownFloat64(this.places, panes * 2)
    this.places.fill(Number.NaN, this.#panes * 2, panes * 2)
    this.#tasks = grownInt32(this.#tasks, panes)
    this.#values.reserve(panes)
    this.#panes = panes
  }

  reset(pane: number): void {
    this.places[pane * 2] = Number.NaN
    this.#tasks[pane] = 0
    this.#values.clear(pane)
  }

  isEmpty(pane: number): boolean {
    return this.#tasks[pane] === 0
  }

  /** What `take` and `compareRow` want to know of the task of the rows. */
  taskOf(about: RowsAbout): number {
    return this.#names.idOf(about.task)
  }

  take(pane: number, column: Column, row: number, about: RowsAbout, task: number): void {
    const at = row - about.base
    this.places[pane * 2] = about.timesMs[at]!
    this.places[pane * 2 + 1] = offsetAt(about, row)
    this.#tasks[pane] = task
    this.#values.take(pane, column, row)
  }

  /** Also of these slots themselves. An empty pane empties the other. */
  copy(pane: number, other: PlacedSlots, from: number): void {
    const task = other.#tasks[from]!
    if (task === 0) {
      this.reset(pane)
      return
    }
    this.places[pane * 2] = other.places[from * 2]!
    this.places[pane * 2 + 1] = other.places[from * 2 + 1]!
    this.#tasks[pane] = other === this ? task : this.#names.idOf(other.#names.nameOf(task))
    this.#values.copy(pane, other.#values, from)
  }

  /** Below zero where the row comes before what the pane has, which is not empty. */
  compareRow(pane: number, column: Column, row: number, about: RowsAbout, task: number): number {
    const at = row - about.base
    const time = about.timesMs[at]! - this.places[pane * 2]!
    if (time !== 0) return time
    if (task !== this.#tasks[pane]) return this.#names.compare(task, this.#names, this.#tasks[pane]!)
    const offset = offsetAt(about, row) - this.places[pane * 2 + 1]!
    if (offset !== 0) return offset
    return this.#type.compare(this.#type.take(column, row), this.#values.at(pane))
  }

  /** Below zero where pane `from` of the other comes before pane `pane` here. Neither is empty. */
  comparePane(pane: number, other: PlacedSlots, from: number): number {
    const time = other.places[from * 2]! - this.places[pane * 2]!
    if (time !== 0) return time
    const task = other.#names.compare(other.#tasks[from]!, this.#names, this.#tasks[pane]!)
    if (task !== 0) return task
    const offset = other.places[from * 2 + 1]! - this.places[pane * 2 + 1]!
    if (offset !== 0) return offset
    return this.#type.compare(other.#values.at(from), this.#values.at(pane))
  }

  appendResult(pane: number, column: Column): void {
    if (this.isEmpty(pane)) {
      appendNull(column)
      return
    }
    this.#type.append(column, this.#values.at(pane))
    const row = column.length - 1
    if (column.validity !== null) setValid(column, row, true)
  }

  /** [event time, task, offset, value] of a pane that is not empty. */
  write(pane: number): readonly unknown[] {
    return [
      this.places[pane * 2]!,
      this.#names.nameOf(this.#tasks[pane]!),
      this.places[pane * 2 + 1]!,
      this.#type.toJson(this.#values.at(pane)),
    ]
  }

  read(pane: number, state: readonly unknown[]): void {
    const [time, task, offset, value] = state
    assert(
      state.length === 4 &&
        typeof time === 'number' &&
        typeof task === 'string' &&
        typeof offset === 'number',
      'the state of a chosen value is [event time, task, offset, value]',
    )
    this.places[pane * 2] = time
    this.places[pane * 2 + 1] = offset
    this.#tasks[pane] = this.#names.idOf(task)
    this.#values.put(pane, this.#type.fromJson(value))
  }
}

/** Names of tasks as numbers from 1. There are as many as partitions, and panes by the million. */
class TaskNames {
  readonly #names: string[] = []
  readonly #ids = new Map<string, number>()

  idOf(name: string): number {
    const known = this.#ids.get(name)
    if (known !== undefined) return known
    this.#ids.set(name, this.#names.push(name))
    return this.#names.length
  }

  nameOf(id: number): string {
    return this.#names[id - 1]!
  }

  compare(id: number, others: TaskNames, other: number): number {
    const left = this.nameOf(id)
    const right = others.nameOf(other)
    if (left === right) return 0
    return left < right ? -1 : 1
  }
}
