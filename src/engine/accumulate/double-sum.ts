import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { Accumulator } from './accumulator.ts'
import { readDouble, readUnits, writeDouble, writeUnits } from './double-json.ts'
import { roundingError } from './expansion.ts'
import { grownFloat64 } from './growth.ts'
import { appendDouble, appendNull } from './result-column.ts'
import { doubleOfUnits, unitsOf } from './rounding.ts'

export interface DoubleSumOptions {
  readonly resultField: Field
  readonly result: 'sum' | 'avg'
}

/** Of a pane: two parts and the number of rows. 24 bytes, and 8 more of each pane once any needs a third part. */
const STRIDE = 3
const ROWS = 2

/**
 * Sums of float and double as Python's math.fsum gives them: the double nearest to the exact sum, ties to even.
 * An average is that double divided by the number of rows.
 *
 * The exact sum of a pane is the sum of three doubles and, where those cannot hold it, of a whole number of units of
 * 2^-1074 kept aside. A row is added to the first part, and the rounding error of that addition, which is a double,
 * to the second (Knuth's TwoSum, The Art of Computer Programming 4.2.2, theorem B). If the second addition has no
 * error, as for nearly all data, that is all. Else the three parts are made to overlap less, and only what
 * three doubles, 159 bits, cannot hold goes aside. Additions that overflow on the way go aside too.
 *
 * NaN, or infinities of both signs, give NaN; infinities of one sign give that infinity. Such a pane has the
 * special value as its first part and nothing else. A sum beyond the largest double is infinite, where Python
 * raises OverflowError. Zero sums are +0.
 */
export class DoubleSum implements Accumulator {
  readonly resultField: Field
  readonly #result: 'sum' | 'avg'
  #state = new Float64Array(0)
  /** The third parts. Empty until one is needed: sums of like numbers have none. */
  #thirds = new Float64Array(0)
  readonly #unitsAside = new Map<number, bigint>()

  constructor(options: DoubleSumOptions) {
    this.resultField = options.resultField
    this.#result = options.result
  }

  reserve(panes: number): void {
    this.#state = grownFloat64(this.#state, panes * STRIDE)
    if (this.#thirds.length > 0) this.#thirds = grownFloat64(this.#thirds, this.#capacity)
  }

  reset(pane: number): void {
    this.#state.fill(0, pane * STRIDE, (pane + 1) * STRIDE)
    this.#setThird(pane, 0)
    this.#unitsAside.delete(pane)
  }

  addRows(column: Column | null, rows: Int32Array, panes: Int32Array, count: number): void {
    assert(column !== null, 'a sum has an input column')
    assert(
      column.storage === 'float64' || column.storage === 'float32',
      'a sum of doubles has a float column',
    )
    const values = column.values
    const validity = column.validity
    const state = this.#state
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) continue
      const at = panes[i]! * STRIDE
      const value = values[row]!

      const first = state[at]!
      const sum = first + value
      const firstRest = sum - first
      const error = first - (sum - firstRest) + (value - firstRest)

      const second = state[at + 1]!
      const errorSum = second + error
      const secondRest = errorSum - second
      const errorOfError = second - (errorSum - secondRest) + (error - secondRest)

      // False also where something is not finite: then the errors are NaN.
      if (errorOfError === 0) {
        state[at] = sum
        state[at + 1] = errorSum
      } else {
        this.#addCarefully(panes[i]!, value)
      }
      state[at + ROWS]! += 1
    }
  }

  mergePane(other: Accumulator, from: number, into: number): void {
    assert(other instanceof DoubleSum, 'only a sum of doubles merges with one')
    const theirs = other.#state
    const at = from * STRIDE
    for (let k = 0; k < ROWS; k++) if (theirs[at + k] !== 0) this.#addCarefully(into, theirs[at + k]!)
    const third = other.#third(from)
    if (third !== 0) this.#addCarefully(into, third)
    const units = other.#unitsAside.get(from)
    if (units !== undefined) this.#putAside(into, units)
    this.#state[into * STRIDE + ROWS]! += theirs[at + ROWS]!
  }

  movePane(from: number, into: number): void {
    this.#state.copyWithin(into * STRIDE, from * STRIDE, (from + 1) * STRIDE)
    this.#setThird(into, this.#third(from))
    const units = this.#unitsAside.get(from)
    if (units === undefined) this.#unitsAside.delete(into)
    else this.#unitsAside.set(into, units)
  }

  appendResult(pane: number, column: Column): void {
    const rows = this.#state[pane * STRIDE + ROWS]!
    if (rows === 0) {
      appendNull(column)
      return
    }
    const sum = this.#rounded(pane)
    appendDouble(column, this.#result === 'avg' ? sum / rows : sum)
  }

  /**
   * Null, or [rows, sum], or [rows, sum, rest] where the exact sum is that of two doubles, the first being the
   * rounded sum; or, for any other finite sum, [rows, units of 2^-1074].
   */
  write(pane: number): unknown {
    const rows = this.#state[pane * STRIDE + ROWS]!
    if (rows === 0) return null
    const sum = this.#rounded(pane)
    if (!Number.isFinite(this.#state[pane * STRIDE]!)) return [rows, writeDouble(sum)]
    const rest = Number.isFinite(sum) ? this.#restOf(pane, sum) : null
    if (rest === null) return [rows, writeUnits(this.#units(pane))]
    return rest === 0 ? [rows, sum] : [rows, sum, rest]
  }

  read(pane: number, state: unknown): void {
    this.reset(pane)
    if (state === null) return
    assert(
      Array.isArray(state) && (state.length === 2 || state.length === 3),
      'the state of a sum of doubles is [rows, sum] or [rows, sum, rest]',
    )
    const [rows, sum, rest]: unknown[] = state
    assert(Number.isSafeInteger(rows), 'the rows of a sum are a whole number')
    const at = pane * STRIDE
    this.#state[at + ROWS] = Number(rows)
    const units = readUnits(sum)
    if (units === null) {
      this.#state[at] = readDouble(sum)
      this.#state[at + 1] = rest === undefined ? 0 : readDouble(rest)
      return
    }
    let unitsLeft = units
    for (let k = 0; k <= ROWS; k++) {
      const part = doubleOfUnits(unitsLeft)
      if (!Number.isFinite(part)) break
      if (k < ROWS) this.#state[at + k] = part
      else this.#setThird(pane, part)
      unitsLeft -= unitsOf(part)
    }
    if (unitsLeft !== 0n) this.#unitsAside.set(pane, unitsLeft)
  }

  /** Adds a value of any kind to a pane, but does not count it. */
  #addCarefully(pane: number, value: number): void {
    const state = this.#state
    const at = pane * STRIDE
    if (!Number.isFinite(value) || !Number.isFinite(state[at]!)) {
      const special = state[at]! + value
      state.fill(0, at, at + ROWS)
      state[at] = special
      this.#setThird(pane, 0)
      this.#unitsAside.delete(pane)
      return
    }

    // Down the parts, each taking what the one above it rounded away.
    const sum = state[at]! + value
    const error = roundingError(state[at]!, value, sum)
    const errorSum = state[at + 1]! + error
    const errorOfError = roundingError(state[at + 1]!, error, errorSum)
    const thirdBefore = this.#third(pane)
    const third = thirdBefore + errorOfError
    const rest = roundingError(thirdBefore, errorOfError, third)

    // Makes a part the rounding error of those above it again, so that the next rows find room in the second.
    const a = sum + errorSum
    const low = roundingError(sum, errorSum, a)
    const b = low + third
    const c = roundingError(low, third, b)
    if (!Number.isFinite(a) || !Number.isFinite(b) || !Number.isFinite(c) || !Number.isFinite(rest)) {
      this.#putAside(pane, unitsOf(value))
      return
    }
    state[at] = a
    state[at + 1] = b
    this.#setThird(pane, c)
    if (rest !== 0) this.#putAside(pane, unitsOf(rest))
  }

  #putAside(pane: number, units: bigint): void {
    if (!Number.isFinite(this.#state[pane * STRIDE]!)) return
    this.#unitsAside.set(pane, (this.#unitsAside.get(pane) ?? 0n) + units)
  }

  #rounded(pane: number): number {
    const at = pane * STRIDE
    const first = this.#state[at]!
    if (!Number.isFinite(first)) return first
    // The exact sum of two doubles is rounded once by adding them.
    if (this.#isTwoDoubles(pane)) return first + this.#state[at + 1]!
    return doubleOfUnits(this.#units(pane))
  }

  /** What the exact sum has beyond the rounded one, or null where that is no double. */
  #restOf(pane: number, rounded: number): number | null {
    if (this.#isTwoDoubles(pane)) {
      const rest = roundingError(this.#state[pane * STRIDE]!, this.#state[pane * STRIDE + 1]!, rounded)
      if (Number.isFinite(rest)) return rest
    }
    const units = this.#units(pane) - unitsOf(rounded)
    const rest = doubleOfUnits(units)
    return unitsOf(rest) === units ? rest : null
  }

  #isTwoDoubles(pane: number): boolean {
    return this.#third(pane) === 0 && !this.#unitsAside.has(pane)
  }

  #units(pane: number): bigint {
    const at = pane * STRIDE
    let units = (this.#unitsAside.get(pane) ?? 0n) + unitsOf(this.#third(pane))
    for (let k = 0; k < ROWS; k++) units += unitsOf(this.#state[at + k]!)
    return units
  }

  get #capacity(): number {
    return Math.floor(this.#state.length / STRIDE)
  }

  #third(pane: number): number {
    return this.#thirds.length === 0 ? 0 : this.#thirds[pane]!
  }

  #setThird(pane: number, value: number): void {
    if (this.#thirds.length === 0) {
      if (value === 0) return
      this.#thirds = new Float64Array(this.#capacity)
    }
    this.#thirds[pane] = value
  }
}
