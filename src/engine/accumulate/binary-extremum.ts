import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { Accumulator } from './accumulator.ts'
import { byteText, compareBytes, compareText } from './byte-text.ts'
import { appendByteText, appendNull } from './result-column.ts'

/**
 * Least or greatest of string and bytes, in the order of their unsigned bytes; for UTF-8 that is the order of
 * code points. Ties keep what is there, so bytes are copied only when a pane finds something better.
 */
export class BinaryExtremum implements Accumulator {
  readonly resultField: Field
  readonly #least: boolean
  readonly #best: (string | null)[] = []

  constructor(resultField: Field, extremum: 'min' | 'max') {
    this.resultField = resultField
    this.#least = extremum === 'min'
  }

  reserve(panes: number): void {
    while (this.#best.length < panes) this.#best.push(null)
  }

  reset(pane: number): void {
    this.#best[pane] = null
  }

  addRows(column: Column | null, rows: Int32Array, panes: Int32Array, count: number): void {
    assert(column !== null && column.storage === 'binary', 'a least or greatest string has a binary column')
    const { data, offsets, validity } = column
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) continue
      const pane = panes[i]!
      const start = offsets[row]!
      const end = offsets[row + 1]!
      const best = this.#best[pane]!
      if (best === null || this.#isBetter(compareBytes(data, start, end, best))) {
        this.#best[pane] = byteText(data, start, end)
      }
    }
  }

  mergePane(other: Accumulator, from: number, into: number): void {
    assert(other instanceof BinaryExtremum && other.#least === this.#least, 'only extrema of one kind merge')
    const theirs = other.#best[from]!
    const ours = this.#best[into]!
    if (theirs === null) return
    if (ours === null || this.#isBetter(compareText(theirs, ours))) this.#best[into] = theirs
  }

  movePane(from: number, into: number): void {
    this.#best[into] = this.#best[from]!
  }

  appendResult(pane: number, column: Column): void {
    const best = this.#best[pane]!
    if (best === null) appendNull(column)
    else appendByteText(column, best)
  }

  /** Null, or a string with one character of U+0000..U+00FF for each byte. */
  write(pane: number): unknown {
    return this.#best[pane]!
  }

  read(pane: number, state: unknown): void {
    assert(state === null || typeof state === 'string', 'the state of a least or greatest string is a string')
    this.#best[pane] = state
  }

  /** `order` is that of a value and the best there is. */
  #isBetter(order: number): boolean {
    return this.#least ? order < 0 : order > 0
  }
}
