import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { Accumulator } from './accumulator.ts'
import { grownInt32, grownUint8 } from './growth.ts'
import { appendNull, appendWords } from './result-column.ts'
import { readWhole, writeWhole } from './whole-json.ts'
import { bigintOfWords, setWords, wordsOf } from './words.ts'
import type { WordsPerValue } from './words.ts'

export interface WordExtremumOptions {
  readonly resultField: Field
  readonly extremum: 'min' | 'max'
  /** Of a value: see `wordsPerValue`. */
  readonly words: WordsPerValue
}

/** Flips the sign bit: unsigned words compare as signed ones do. */
const SIGN = 0x8000_0000 | 0

/** Least or greatest of int, long, decimal, date, time and timestamp. The result has the type of the input. */
export class WordExtremum implements Accumulator {
  readonly resultField: Field
  readonly #least: boolean
  readonly #words: WordsPerValue
  #best = new Int32Array(0)
  #present = new Uint8Array(0)

  constructor(options: WordExtremumOptions) {
    this.resultField = options.resultField
    this.#least = options.extremum === 'min'
    this.#words = options.words
  }

  reserve(panes: number): void {
    this.#best = grownInt32(this.#best, panes * this.#words)
    this.#present = grownUint8(this.#present, panes)
  }

  reset(pane: number): void {
    this.#present[pane] = 0
  }

  addRows(column: Column | null, rows: Int32Array, panes: Int32Array, count: number): void {
    assert(column !== null, 'an extremum has an input column')
    const validity = column.validity
    const words = wordsOf(column)
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) continue
      this.#add(panes[i]!, words, row * this.#words)
    }
  }

  mergePane(other: Accumulator, from: number, into: number): void {
    assert(
      other instanceof WordExtremum && other.#words === this.#words && other.#least === this.#least,
      'only extrema of one kind and type merge',
    )
    if (other.#present[from] === 1) this.#add(into, other.#best, from * this.#words)
  }

  movePane(from: number, into: number): void {
    this.#best.copyWithin(into * this.#words, from * this.#words, (from + 1) * this.#words)
    this.#present[into] = this.#present[from]!
  }

  appendResult(pane: number, column: Column): void {
    if (this.#present[pane] === 0) appendNull(column)
    else appendWords(column, this.#best, pane * this.#words, this.#words)
  }

  /** Null, a number, or a string where a double cannot hold the number. */
  write(pane: number): unknown {
    if (this.#present[pane] === 0) return null
    const value = bigintOfWords(this.#best, pane * this.#words, this.#words)
    return writeWhole(value)
  }

  read(pane: number, state: unknown): void {
    this.#present[pane] = state === null ? 0 : 1
    if (state !== null) setWords(this.#best, pane * this.#words, this.#words, readWhole(state))
  }

  #add(pane: number, words: Int32Array, at: number): void {
    const count = this.#words
    const best = this.#best
    const to = pane * count
    let k = count - 1
    let value = words[at + k]!
    let bestValue = best[to + k]!
    while (value === bestValue && k > 0) {
      k -= 1
      value = words[at + k]! ^ SIGN
      bestValue = best[to + k]! ^ SIGN
    }
    if (this.#present[pane] === 1 && (this.#least ? value >= bestValue : value <= bestValue)) return
    this.#present[pane] = 1
    for (let j = 0; j < count; j++) best[to + j] = words[at + j]!
  }
}
