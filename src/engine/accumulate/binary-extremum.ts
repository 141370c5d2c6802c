import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { Accumulator } from './accumulator.ts'
import { appendBytes, appendNull } from './result-column.ts'

/**
 * Least or greatest of string and bytes, in the order of their unsigned bytes; for UTF-8 that is the order of
 * code points. Ties keep what is there, so a byte is copied only when a pane finds something better.
 */
export class BinaryExtremum implements Accumulator {
  readonly resultField: Field
  readonly #least: boolean
  readonly #best: (Uint8Array | null)[] = []

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
      if (this.#isBetter(data, start, end, this.#best[pane]!)) this.#best[pane] = data.slice(start, end)
    }
  }

  mergePane(other: Accumulator, from: number, into: number): void {
    assert(other instanceof BinaryExtremum && other.#least === this.#least, 'only extrema of one kind merge')
    const theirs = other.#best[from]!
    if (theirs !== null && this.#isBetter(theirs, 0, theirs.length, this.#best[into]!)) {
      this.#best[into] = theirs
    }
  }

  /** The panes share the bytes, which nobody changes. */
  movePane(from: number, into: number): void {
    this.#best[into] = this.#best[from]!
  }

  appendResult(pane: number, column: Column): void {
    const best = this.#best[pane]!
    if (best === null) appendNull(column)
    else appendBytes(column, best)
  }

  /** Null, or a string with one character of U+0000..U+00FF for each byte: exact also for bytes that are no text. */
  write(pane: number): unknown {
    const best = this.#best[pane]!
    if (best === null) return null
    let text = ''
    for (const byte of best) text += String.fromCharCode(byte)
    return text
  }

  read(pane: number, state: unknown): void {
    assert(state === null || typeof state === 'string', 'the state of a least or greatest string is a string')
    this.#best[pane] = state === null ? null : Uint8Array.from(state, (character) => character.charCodeAt(0))
  }

  #isBetter(data: Uint8Array, start: number, end: number, best: Uint8Array | null): boolean {
    if (best === null) return true
    const length = end - start
    const common = Math.min(length, best.length)
    for (let i = 0; i < common; i++) {
      const difference = data[start + i]! - best[i]!
      if (difference !== 0) return difference < 0 === this.#least
    }
    return this.#least ? length < best.length : length > best.length
  }
}
