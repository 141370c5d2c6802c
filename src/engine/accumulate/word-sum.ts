import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { PipelineError, assert } from '../../errors.ts'
import type { Accumulator } from './accumulator.ts'
import { grownFloat64 } from './growth.ts'
import { appendBigint, appendDouble, appendNull } from './result-column.ts'
import { quotient } from './rounding.ts'
import { readWhole, writeWhole } from './whole-json.ts'
import { WORD_BASE, wordsOf } from './words.ts'
import type { WordsPerValue } from './words.ts'

export interface WordSumOptions {
  readonly resultField: Field
  readonly result: 'sum' | 'avg'
  /** Of one input value: 1 for an int, 2 for a long, 4 for a decimal. */
  readonly words: WordsPerValue
  /** Of a decimal, else 0. */
  readonly scale: number
}

/**
 * Rows that may be added before carries are taken: a limb of 32 bits then stays below 2^52, so that every addition
 * of doubles is exact, also that of two limbs in a merge.
 */
const CARRY_ROWS = 2 ** 19
const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n
const DECIMAL_LIMIT = 10n ** 38n

/**
 * Exact sums, and means of exact sums, of int, long and decimal.
 *
 * A pane has words + 2 doubles: a limb for each word of the input, which sums just that word; the carries out of
 * the highest limb; and the number of rows. Words are added without carrying, which is taken now and then for all
 * panes. So nothing overflows on the way, and no row needs a BigInt or a test: whether a sum fits is asked of the
 * result only, and cannot depend on the order of the rows.
 */
export class WordSum implements Accumulator {
  readonly resultField: Field
  readonly #result: 'sum' | 'avg'
  readonly #words: WordsPerValue
  readonly #stride: number
  readonly #denominator: bigint
  #panes = 0
  #state = new Float64Array(0)
  #uncarriedRows = 0

  constructor(options: WordSumOptions) {
    this.resultField = options.resultField
    this.#result = options.result
    this.#words = options.words
    this.#stride = options.words + 2
    this.#denominator = 10n ** BigInt(options.scale)
  }

  reserve(panes: number): void {
    this.#state = grownFloat64(this.#state, panes * this.#stride)
    this.#panes = Math.max(this.#panes, panes)
  }

  reset(pane: number): void {
    this.#state.fill(0, pane * this.#stride, (pane + 1) * this.#stride)
  }

  addRows(column: Column | null, rows: Int32Array, panes: Int32Array, count: number): void {
    assert(column !== null, 'a sum has an input column')
    let from = 0
    while (from < count) {
      if (this.#uncarriedRows === CARRY_ROWS) this.#carryAll()
      const to = Math.min(count, from + CARRY_ROWS - this.#uncarriedRows)
      if (this.#words === 1) this.#addInts(column, rows, panes, from, to)
      else if (this.#words === 2) this.#addLongs(column, rows, panes, from, to)
      else this.#addDecimals(column, rows, panes, from, to)
      this.#uncarriedRows += to - from
      from = to
    }
  }

  mergePane(other: Accumulator, from: number, into: number): void {
    assert(other instanceof WordSum && other.#stride === this.#stride, 'sums of one type merge')
    this.#carry(into * this.#stride)
    const theirs = other.#state
    const state = this.#state
    const at = from * this.#stride
    const to = into * this.#stride
    for (let k = 0; k < this.#stride; k++) state[to + k]! += theirs[at + k]!
    this.#carry(to)
  }

  movePane(from: number, into: number): void {
    this.#state.copyWithin(into * this.#stride, from * this.#stride, (from + 1) * this.#stride)
  }

  appendResult(pane: number, column: Column): void {
    const rows = this.#state[(pane + 1) * this.#stride - 1]!
    if (rows === 0) {
      appendNull(column)
      return
    }
    const sum = this.#sum(pane)
    if (this.#result === 'avg') {
      appendDouble(column, quotient(sum, BigInt(rows) * this.#denominator))
      return
    }
    this.#refuseOverflow(sum)
    appendBigint(column, sum, this.#words === 4 ? 4 : 2)
  }

  /** Null, or [rows, sum]; the sum is a string where a double cannot hold it. */
  write(pane: number): unknown {
    const rows = this.#state[(pane + 1) * this.#stride - 1]!
    if (rows === 0) return null
    return [rows, writeWhole(this.#sum(pane))]
  }

  read(pane: number, state: unknown): void {
    this.reset(pane)
    if (state === null) return
    assert(Array.isArray(state) && state.length === 2, 'the state of a sum is [rows, sum]')
    const [rows, sum]: unknown[] = state
    assert(Number.isSafeInteger(rows), 'the rows of a sum are a whole number')
    const at = pane * this.#stride
    let rest = readWhole(sum)
    for (let k = 0; k < this.#words; k++) {
      this.#state[at + k] = Number(BigInt.asUintN(32, rest))
      rest >>= 32n
    }
    this.#state[at + this.#words] = Number(rest)
    this.#state[at + this.#words + 1] = Number(rows)
  }

  #addInts(column: Column, rows: Int32Array, panes: Int32Array, from: number, to: number): void {
    const words = wordsOf(column)
    const validity = column.validity
    const state = this.#state
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) continue
      const at = panes[i]! * 3
      state[at]! += words[row]!
      state[at + 2]! += 1
    }
  }

  #addLongs(column: Column, rows: Int32Array, panes: Int32Array, from: number, to: number): void {
    const words = wordsOf(column)
    const validity = column.validity
    const state = this.#state
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) continue
      const at = panes[i]! * 4
      state[at]! += words[row * 2]! >>> 0
      state[at + 1]! += words[row * 2 + 1]!
      state[at + 3]! += 1
    }
  }

  #addDecimals(column: Column, rows: Int32Array, panes: Int32Array, from: number, to: number): void {
    const words = wordsOf(column)
    const validity = column.validity
    const state = this.#state
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) continue
      const at = panes[i]! * 6
      state[at]! += words[row * 4]! >>> 0
      state[at + 1]! += words[row * 4 + 1]! >>> 0
      state[at + 2]! += words[row * 4 + 2]! >>> 0
      state[at + 3]! += words[row * 4 + 3]!
      state[at + 5]! += 1
    }
  }

  #sum(pane: number): bigint {
    const at = pane * this.#stride
    this.#carry(at)
    let sum = BigInt(this.#state[at + this.#words]!)
    for (let k = this.#words - 1; k >= 0; k--) sum = (sum << 32n) | BigInt(this.#state[at + k]!)
    return sum
  }

  #refuseOverflow(sum: bigint): void {
    const type = this.resultField.type
    const fits =
      type.kind === 'decimal'
        ? sum > -DECIMAL_LIMIT && sum < DECIMAL_LIMIT
        : sum >= INT64_MIN && sum <= INT64_MAX
    if (fits) return
    const room = type.kind === 'decimal' ? `38 digits (as an unscaled number)` : '64 bits'
    throw new PipelineError(
      'AGGREGATE_OVERFLOW',
      `aggregate ${this.resultField.name}: the sum ${sum} does not fit ${room}`,
      { advice: 'Sum a double instead, make the window smaller, or drop values that cannot be right.' },
    )
  }

  #carryAll(): void {
    for (let pane = 0; pane < this.#panes; pane++) this.#carry(pane * this.#stride)
    this.#uncarriedRows = 0
  }

  /** Brings every limb into [0, 2^32) and what is beyond them, signed, into the carries. */
  #carry(at: number): void {
    const state = this.#state
    for (let k = 0; k < this.#words; k++) {
      const limb = state[at + k]!
      const carry = Math.floor(limb / WORD_BASE)
      state[at + k] = limb - carry * WORD_BASE
      state[at + k + 1]! += carry
    }
  }
}
