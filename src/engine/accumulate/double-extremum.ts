import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { Accumulator } from './accumulator.ts'
import { readDouble, writeDouble } from './double-json.ts'
import { grownFloat64, grownUint8 } from './growth.ts'
import { appendDouble, appendNull } from './result-column.ts'

/** What a pane saw of the values that leave its best as it is in an empty pane. */
const SAW_LAST = 1
const SAW_NAN = 2

/**
 * Least or greatest of float and double. As DuckDB and Spark order them, NaN is larger than every number;
 * and -0 is smaller than +0, so that equal inputs give equal bits in any order.
 *
 * The greatest value is kept as the least of the negated ones, so there is one loop. The best of an empty pane
 * is +Infinity, the last value in that order, so a row takes one comparison unless it ties.
 */
export class DoubleExtremum implements Accumulator {
  readonly resultField: Field
  readonly #extremum: 'min' | 'max'
  readonly #sign: 1 | -1
  #panes = 0
  #best = new Float64Array(0)
  #seen = new Uint8Array(0)

  constructor(resultField: Field, extremum: 'min' | 'max') {
    this.resultField = resultField
    this.#extremum = extremum
    this.#sign = extremum === 'min' ? 1 : -1
  }

  reserve(panes: number): void {
    if (panes <= this.#panes) return
    this.#best = grownFloat64(this.#best, panes)
    this.#best.fill(Number.POSITIVE_INFINITY, this.#panes, panes)
    this.#seen = grownUint8(this.#seen, panes)
    this.#panes = panes
  }

  reset(pane: number): void {
    this.#best[pane] = Number.POSITIVE_INFINITY
    this.#seen[pane] = 0
  }

  addRows(column: Column | null, rows: Int32Array, panes: Int32Array, count: number): void {
    assert(column !== null, 'an extremum has an input column')
    assert(column.storage === 'float64' || column.storage === 'float32', 'doubles come from a float column')
    const values = column.values
    const validity = column.validity
    const best = this.#best
    const sign = this.#sign
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) continue
      const pane = panes[i]!
      const value = values[row]! * sign
      if (value < best[pane]!) best[pane] = value
      else if (!(value > best[pane]!)) this.#addTie(pane, value)
    }
  }

  mergePane(other: Accumulator, from: number, into: number): void {
    assert(
      other instanceof DoubleExtremum && other.#extremum === this.#extremum,
      'only extrema of one kind merge',
    )
    const value = other.#best[from]!
    // Equal bests other than zeros say nothing new, and the last one counts only where it was seen.
    if (value < this.#best[into]! || (value === 0 && this.#best[into] === 0 && Object.is(value, -0))) {
      this.#best[into] = value
    }
    this.#seen[into]! |= other.#seen[from]!
  }

  movePane(from: number, into: number): void {
    this.#best[into] = this.#best[from]!
    this.#seen[into] = this.#seen[from]!
  }

  appendResult(pane: number, column: Column): void {
    const result = this.#resultOf(pane)
    if (result === null) appendNull(column)
    else appendDouble(column, result)
  }

  /** Null or the result. */
  write(pane: number): unknown {
    const result = this.#resultOf(pane)
    return result === null ? null : writeDouble(result)
  }

  read(pane: number, state: unknown): void {
    this.reset(pane)
    if (state === null) return
    const value = readDouble(state) * this.#sign
    if (value < Number.POSITIVE_INFINITY) this.#best[pane] = value
    else this.#addTie(pane, value)
  }

  /** A value that is neither before nor after the best: it equals it, or one of them is NaN (the value, then). */
  #addTie(pane: number, value: number): void {
    if (Number.isNaN(value)) this.#seen[pane]! |= SAW_NAN
    else if (value === Number.POSITIVE_INFINITY) this.#seen[pane]! |= SAW_LAST
    else if (Object.is(value, -0)) this.#best[pane] = value
  }

  #resultOf(pane: number): number | null {
    const seen = this.#seen[pane]!
    if ((seen & SAW_NAN) !== 0 && this.#extremum === 'max') return Number.NaN
    const best = this.#best[pane]!
    if (best !== Number.POSITIVE_INFINITY || (seen & SAW_LAST) !== 0) return best * this.#sign
    return seen === 0 ? null : Number.NaN
  }
}
