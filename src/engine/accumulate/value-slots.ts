import type { Column } from '../../columns/column.ts'
import type { ColumnType } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import { grownFloat64, grownInt32 } from './growth.ts'
import { heldTypeOf } from './held-value.ts'
import type { HeldType, HeldValue } from './held-value.ts'
import { WORD_BASE, bigintOfWords, setWords, wordsOf, wordsPerValue } from './words.ts'
import type { WordsPerValue } from './words.ts'

/**
 * One value of a scalar type for each pane: numbers and instants in typed arrays, so that ten million panes are no
 * objects. Which slots are empty is the owner's to know.
 */
export interface ValueSlots {
  reserve(panes: number): void
  /** Takes the value of a row, which is not null. */
  take(pane: number, column: Column, row: number): void
  /** Copies a slot of slots of the same type, or of these. */
  copy(pane: number, other: ValueSlots, from: number): void
  at(pane: number): HeldValue
  put(pane: number, value: HeldValue): void
  /** Lets go of what the slot holds on to. */
  clear(pane: number): void
}

export function createValueSlots(type: ColumnType): ValueSlots {
  const words = wordsPerValue(type)
  if (words !== 0) return new WordSlots(words)
  if (type.kind === 'float32' || type.kind === 'float64') return new DoubleSlots()
  return new HeldSlots(heldTypeOf(type))
}

/** int, long, decimal, dates, times and timestamps: 4, 8 or 16 bytes. */
class WordSlots implements ValueSlots {
  readonly #count: WordsPerValue
  #words = new Int32Array(0)

  constructor(count: WordsPerValue) {
    this.#count = count
  }

  reserve(panes: number): void {
    this.#words = grownInt32(this.#words, panes * this.#count)
  }

  take(pane: number, column: Column, row: number): void {
    this.#copyWords(pane, wordsOf(column), row)
  }

  copy(pane: number, other: ValueSlots, from: number): void {
    assert(other instanceof WordSlots && other.#count === this.#count, 'values of one type are copied')
    this.#copyWords(pane, other.#words, from)
  }

  at(pane: number): HeldValue {
    const count = this.#count
    const at = pane * count
    const low = this.#words[at]!
    if (count === 1) return low
    const high = this.#words[at + 1]!
    const isLong = count === 2 || (this.#words[at + 2] === high >> 31 && this.#words[at + 3] === high >> 31)
    const value = isLong ? high * WORD_BASE + (low >>> 0) : Number.NaN
    return Number.isSafeInteger(value) ? value : bigintOfWords(this.#words, at, count)
  }

  put(pane: number, value: HeldValue): void {
    setWords(this.#words, pane * this.#count, this.#count, BigInt(value))
  }

  clear(_pane: number): void {}

  #copyWords(pane: number, from: Int32Array, slot: number): void {
    const count = this.#count
    const words = this.#words
    for (let k = 0; k < count; k++) words[pane * count + k] = from[slot * count + k]!
  }
}

/** float and double: 8 bytes. */
class DoubleSlots implements ValueSlots {
  #values = new Float64Array(0)

  reserve(panes: number): void {
    this.#values = grownFloat64(this.#values, panes)
  }

  take(pane: number, column: Column, row: number): void {
    assert(column.storage === 'float64' || column.storage === 'float32', 'doubles come from a float column')
    const value = column.values[row]!
    // One NaN for all: which of two is kept depends on the order of the rows.
    this.#values[pane] = Number.isNaN(value) ? Number.NaN : value
  }

  copy(pane: number, other: ValueSlots, from: number): void {
    assert(other instanceof DoubleSlots, 'values of one type are copied')
    this.#values[pane] = other.#values[from]!
  }

  at(pane: number): HeldValue {
    return this.#values[pane]!
  }

  put(pane: number, value: HeldValue): void {
    this.#values[pane] = Number(value)
  }

  clear(_pane: number): void {}
}

/** Text, bytes and fixed, each a string of its own; booleans and the shared symbols of enums. */
class HeldSlots implements ValueSlots {
  readonly #type: HeldType
  readonly #values: HeldValue[] = []

  constructor(type: HeldType) {
    this.#type = type
  }

  reserve(panes: number): void {
    while (this.#values.length < panes) this.#values.push(0)
  }

  take(pane: number, column: Column, row: number): void {
    this.#values[pane] = this.#type.take(column, row)
  }

  copy(pane: number, other: ValueSlots, from: number): void {
    assert(other instanceof HeldSlots, 'values of one type are copied')
    this.#values[pane] = other.#values[from]!
  }

  at(pane: number): HeldValue {
    return this.#values[pane]!
  }

  put(pane: number, value: HeldValue): void {
    this.#values[pane] = value
  }

  clear(pane: number): void {
    this.#values[pane] = 0
  }
}
