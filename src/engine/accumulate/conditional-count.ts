import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { compileRow } from '../../columns/row.ts'
import type { RowReader } from '../../columns/row.ts'
import { assert } from '../../errors.ts'
import type { Accumulator, RowsAbout } from './accumulator.ts'
import { RowCount } from './row-count.ts'

export interface ConditionalCountOptions {
  readonly resultField: Field
  /** Of the rows that the predicate sees. */
  readonly rowFields: readonly Field[]
  readonly predicate: (row: never) => unknown
}

/** Counts the rows for which a function of the user gives something true. */
export class ConditionalCount implements Accumulator {
  readonly resultField: Field
  readonly #counts: RowCount
  readonly #reader: RowReader
  readonly #predicate: (row: object) => unknown
  /** By row - base: 1 where the predicate held. */
  #holds = new Uint8Array(0)
  #heldPanes = new Int32Array(0)

  constructor({ resultField, rowFields, predicate }: ConditionalCountOptions) {
    this.resultField = resultField
    this.#counts = new RowCount(resultField)
    this.#reader = compileRow(rowFields)
    this.#predicate = predicate as (row: object) => unknown
  }

  reserve(panes: number): void {
    this.#counts.reserve(panes)
  }

  reset(pane: number): void {
    this.#counts.reset(pane)
  }

  prepare(
    rows: Int32Array,
    count: number,
    about: RowsAbout,
    refuse: (row: number, error: unknown) => void,
  ): void {
    this.#reader.bind(about.columns)
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      const at = row - about.base
      if (at >= this.#holds.length) this.#growHolds(at + 1)
      try {
        this.#holds[at] = this.#predicate(this.#reader.at(row)) ? 1 : 0
      } catch (error) {
        refuse(row, error)
      }
    }
  }

  addRows(
    _column: Column | null,
    rows: Int32Array,
    panes: Int32Array,
    count: number,
    about: RowsAbout,
  ): void {
    if (this.#heldPanes.length < count) this.#heldPanes = new Int32Array(count)
    let held = 0
    for (let i = 0; i < count; i++) {
      this.#heldPanes[held] = panes[i]!
      held += this.#holds[rows[i]! - about.base]!
    }
    this.#counts.addRows(null, rows, this.#heldPanes, held)
  }

  mergePane(other: Accumulator, from: number, into: number): void {
    assert(other instanceof ConditionalCount, 'only a count of rows that match merges with one')
    this.#counts.mergePane(other.#counts, from, into)
  }

  movePane(from: number, into: number): void {
    this.#counts.movePane(from, into)
  }

  appendResult(pane: number, column: Column): void {
    this.#counts.appendResult(pane, column)
  }

  /** Null or the number of rows. */
  write(pane: number): unknown {
    return this.#counts.write(pane)
  }

  read(pane: number, state: unknown): void {
    this.#counts.read(pane, state)
  }

  #growHolds(length: number): void {
    const holds = new Uint8Array(Math.max(length, this.#holds.length * 2, 1024))
    holds.set(this.#holds)
    this.#holds = holds
  }
}
