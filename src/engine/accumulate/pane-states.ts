import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { Accumulator, RowsAbout } from './accumulator.ts'

/** What one kind of large state does; `PaneStates` keeps an object of it for each pane. */
export interface LargeState<State> {
  readonly resultField: Field
  /** Of a pane without rows. */
  create(): State
  /** Adds rows[i] to states[panes[i]], which it makes where it is null. */
  addRows(
    states: (State | null)[],
    column: Column | null,
    rows: Int32Array,
    panes: Int32Array,
    count: number,
    about: RowsAbout,
  ): void
  /** See `Accumulator`. */
  prepare?(
    rows: Int32Array,
    count: number,
    about: RowsAbout,
    refuse: (row: number, error: unknown) => void,
  ): void
  /** Folds a state into another. Leaves `from` as it is and lets them share nothing that changes. */
  merge(into: State, from: State): void
  /** Null for a pane without rows. */
  appendResult(state: State | null, column: Column): void
  /** Equal multisets of rows give equal JSON. */
  write(state: State): unknown
  read(json: unknown): State
}

/** The accumulator of a kind of state that is too large, or grows too much, for typed arrays: one object a pane. */
export class PaneStates<State> implements Accumulator {
  readonly resultField: Field
  readonly prepare?: NonNullable<Accumulator['prepare']>
  readonly #kind: LargeState<State>
  readonly #states: (State | null)[] = []

  constructor(kind: LargeState<State>) {
    this.#kind = kind
    this.resultField = kind.resultField
    // Whether an accumulator has the method tells whether its rows can be refused.
    if (kind.prepare !== undefined) this.prepare = kind.prepare.bind(kind)
  }

  reserve(panes: number): void {
    while (this.#states.length < panes) this.#states.push(null)
  }

  reset(pane: number): void {
    this.#states[pane] = null
  }

  addRows(column: Column | null, rows: Int32Array, panes: Int32Array, count: number, about: RowsAbout): void {
    this.#kind.addRows(this.#states, column, rows, panes, count, about)
  }

  mergePane(other: Accumulator, from: number, into: number): void {
    assert(
      other instanceof PaneStates && other.resultField.name === this.resultField.name,
      'only states of one aggregate merge',
    )
    const theirs = other.#states[from] as State | null
    if (theirs === null) return
    this.#kind.merge((this.#states[into] ??= this.#kind.create()), theirs)
  }

  movePane(from: number, into: number): void {
    this.reset(into)
    this.mergePane(this, from, into)
  }

  appendResult(pane: number, column: Column): void {
    this.#kind.appendResult(this.#states[pane]!, column)
  }

  write(pane: number): unknown {
    const state = this.#states[pane]!
    return state === null ? null : this.#kind.write(state)
  }

  read(pane: number, state: unknown): void {
    this.#states[pane] = state === null ? null : this.#kind.read(state)
  }
}
