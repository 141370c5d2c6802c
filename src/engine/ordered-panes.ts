import type { ColumnBatch } from '../columns/column.ts'
import type { Accumulator } from './accumulate/accumulator.ts'
import { grownUint8 } from './accumulate/growth.ts'
import type { ResultPlan } from './plan.ts'
import { accumulatorsOf } from './row-adder.ts'

/** The sums of windows that come and go one by one: panes are numbers that are used again. */
export class OrderedPanes {
  readonly accumulators: readonly Accumulator[]
  /** One state, on its way from JSON. */
  readonly #scratch: readonly Accumulator[]
  /** Accumulators behind these are for triggers. */
  readonly #results: number
  #free: number[] = []
  #isOpen = new Uint8Array(64)
  #size = 0
  #open = 0

  constructor(plan: ResultPlan) {
    this.accumulators = accumulatorsOf(plan)
    this.#scratch = accumulatorsOf(plan)
    this.#results = plan.node.kind === 'unique' ? 0 : plan.node.aggregates.length
    for (const accumulator of this.#scratch) accumulator.reserve(1)
  }

  /** Panes in use. */
  get open(): number {
    return this.#open
  }

  /** An empty pane. */
  take(): number {
    const pane = this.#free.pop() ?? this.#size
    this.takeAt(pane)
    return pane
  }

  /** The pane of a number that is not in use, as a snapshot has it. To be followed by `listFree` when all are there. */
  takeAt(pane: number): void {
    if (pane >= this.#size) {
      this.#size = pane + 1
      for (const accumulator of this.accumulators) accumulator.reserve(this.#size)
      this.#isOpen = grownUint8(this.#isOpen, this.#size)
    }
    this.#isOpen[pane] = 1
    this.#open++
  }

  /** After `takeAt`: finds the numbers that are not in use. */
  listFree(): void {
    this.#free = []
    for (let pane = this.#size - 1; pane >= 0; pane--) if (this.#isOpen[pane] === 0) this.#free.push(pane)
  }

  release(pane: number): void {
    for (const accumulator of this.accumulators) accumulator.reset(pane)
    this.#isOpen[pane] = 0
    this.#open--
    this.#free.push(pane)
  }

  merge(from: number, into: number): void {
    for (const accumulator of this.accumulators) accumulator.mergePane(accumulator, from, into)
  }

  /** Adds a pane of other panes of the same plan. */
  mergeFrom(other: OrderedPanes, from: number, into: number): void {
    this.accumulators.forEach((accumulator, a) => accumulator.mergePane(other.accumulators[a]!, from, into))
  }

  reset(pane: number): void {
    for (const accumulator of this.accumulators) accumulator.reset(pane)
  }

  /** Replaces a pane by item `index` of states: an array per aggregate. */
  read(pane: number, states: readonly (readonly unknown[])[], index: number): void {
    this.accumulators.forEach((accumulator, a) => accumulator.read(pane, states[a]![index]))
  }

  /** Adds item `index` of states to a pane. */
  add(pane: number, states: readonly (readonly unknown[])[], index: number): void {
    this.accumulators.forEach((accumulator, a) => {
      const scratch = this.#scratch[a]!
      scratch.reset(0)
      scratch.read(0, states[a]![index])
      accumulator.mergePane(scratch, 0, pane)
    })
  }

  /** Appends the results of a pane to the columns from `at`. */
  appendResults(pane: number, batch: ColumnBatch, at: number): void {
    for (let a = 0; a < this.#results; a++) this.accumulators[a]!.appendResult(pane, batch.columns[at + a]!)
  }
}
