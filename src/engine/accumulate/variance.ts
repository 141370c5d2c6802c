import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { Accumulator } from './accumulator.ts'
import { minusDouble, readDyadic, sumOf, writeDyadic } from './dyadic.ts'
import type { Dyadic } from './dyadic.ts'
import { addToParts, productError } from './expansion.ts'
import { grownFloat64 } from './growth.ts'
import { appendDouble, appendNull } from './result-column.ts'
import { nearestDouble, quotient, rootOfQuotient, unitsOf } from './rounding.ts'
import { WORD_BASE, wordsOf } from './words.ts'

export interface VarianceOptions {
  readonly resultField: Field
  readonly result: 'variance' | 'stddev'
  readonly of: 'sample' | 'population'
  /** Of a decimal, else 0. */
  readonly scale: number
}

/** Of a pane, in doubles: three parts of the sum, four of the sum of squares, the number of rows. 64 bytes. */
const STRIDE = 8
const SUM_PARTS = 3
const SQUARES = 3
const SQUARE_PARTS = 4
const ROWS = 7

/** Of sums and of sums of squares kept aside: every square of a finite double is a multiple of the second. */
const SUM_UNIT = -1074
const SQUARE_UNIT = -2148

/** Squares of what is between, as a product and its rounding error, are exact. */
const SQUARE_MIN = 2 ** -480
const SQUARE_MAX = 2 ** 500
const WORD_WEIGHTS = [1, WORD_BASE, WORD_BASE * WORD_BASE, WORD_BASE * WORD_BASE * WORD_BASE]
/** Dekker's splitter for 53 bits. */
const SPLITTER = 134_217_729

/**
 * Variance and standard deviation of numbers: the double nearest to the exact one, whatever the order of the rows.
 *
 * A pane has the exact sum and the exact sum of squares, each as an expansion of doubles (see expansion.ts), and what those cannot
 * hold as a whole number of units kept aside. The result is (n Σx² − (Σx)²) / (n (n − 1)) or / n², computed in
 * whole numbers and rounded once. So nothing cancels, as it does in floating point, and no running mean depends on the order.
 *
 * Ints and most longs and decimals are doubles. Larger ones are added word by word. Decimals are added unscaled.
 *
 * NaN or an infinity makes it NaN; so a sum that is not finite marks the pane. A sample of fewer than two rows has no variance: null.
 */
export class Variance implements Accumulator {
  readonly resultField: Field
  readonly #options: VarianceOptions
  readonly #denominator: bigint
  #state = new Float64Array(0)
  readonly #sumsAside = new Map<number, bigint>()
  readonly #squaresAside = new Map<number, bigint>()

  constructor(options: VarianceOptions) {
    this.resultField = options.resultField
    this.#options = options
    this.#denominator = 10n ** BigInt(2 * options.scale)
  }

  reserve(panes: number): void {
    this.#state = grownFloat64(this.#state, panes * STRIDE)
  }

  reset(pane: number): void {
    this.#state.fill(0, pane * STRIDE, (pane + 1) * STRIDE)
    this.#forgetAside(pane)
  }

  addRows(column: Column | null, rows: Int32Array, panes: Int32Array, count: number): void {
    assert(column !== null, 'a variance has an input column')
    const validity = column.validity
    if (column.storage === 'int64' || column.storage === 'fixed') {
      const words = wordsOf(column)
      const perValue = column.storage === 'int64' ? 2 : 4
      for (let i = 0; i < count; i++) {
        const row = rows[i]!
        if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) continue
        this.#addWords(panes[i]!, words, row * perValue, perValue)
      }
      return
    }
    assert('values' in column && column.storage !== 'map', 'a variance is of numbers')
    const values = column.values
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) continue
      this.#add(panes[i]!, values[row]!)
    }
  }

  mergePane(other: Accumulator, from: number, into: number): void {
    assert(
      other instanceof Variance && other.#denominator === this.#denominator,
      'variances of one type merge',
    )
    const theirs = other.#state
    const at = from * STRIDE
    this.#state[into * STRIDE + ROWS]! += theirs[at + ROWS]!
    if (!Number.isFinite(theirs[at]!)) this.#spoil(into)
    if (!Number.isFinite(this.#state[into * STRIDE]!)) return
    for (let k = 0; k < SUM_PARTS; k++) this.#addToSum(into, theirs[at + k]!)
    for (let k = 0; k < SQUARE_PARTS; k++) this.#addToSquares(into, theirs[at + SQUARES + k]!)
    putAside(this.#sumsAside, into, other.#sumsAside.get(from) ?? 0n)
    putAside(this.#squaresAside, into, other.#squaresAside.get(from) ?? 0n)
  }

  movePane(from: number, into: number): void {
    if (from === into) return
    this.#state.copyWithin(into * STRIDE, from * STRIDE, (from + 1) * STRIDE)
    this.#forgetAside(into)
    putAside(this.#sumsAside, into, this.#sumsAside.get(from) ?? 0n)
    putAside(this.#squaresAside, into, this.#squaresAside.get(from) ?? 0n)
  }

  appendResult(pane: number, column: Column): void {
    const { result, of } = this.#options
    const rows = this.#state[pane * STRIDE + ROWS]!
    const divisor = of === 'sample' ? rows - 1 : rows
    if (divisor <= 0) {
      appendNull(column)
      return
    }
    if (!Number.isFinite(this.#state[pane * STRIDE]!)) {
      appendDouble(column, Number.NaN)
      return
    }
    const sum = this.#sum(pane)
    const squares = this.#squares(pane)
    // n Σx² − (Σx)² in units of 2^exponent.
    const exponent = Math.min(squares.exponent, 2 * sum.exponent)
    const deviation =
      ((BigInt(rows) * squares.mantissa) << BigInt(squares.exponent - exponent)) -
      ((sum.mantissa * sum.mantissa) << BigInt(2 * sum.exponent - exponent))
    const denominator = BigInt(rows) * BigInt(divisor) * this.#denominator
    const round = result === 'variance' ? quotient : rootOfQuotient
    appendDouble(column, round(deviation, denominator, exponent))
  }

  /** Null, or [rows, sum, sum of squares] as `writeDyadic` has them, or [rows] where a value was not finite. */
  write(pane: number): unknown {
    const rows = this.#state[pane * STRIDE + ROWS]!
    if (rows === 0) return null
    if (!Number.isFinite(this.#state[pane * STRIDE]!)) return [rows]
    return [rows, writeDyadic(this.#sum(pane)), writeDyadic(this.#squares(pane))]
  }

  read(pane: number, state: unknown): void {
    this.reset(pane)
    if (state === null) return
    assert(
      Array.isArray(state) && (state.length === 1 || state.length === 3),
      'the state of a variance is [rows] or [rows, sum, squares]',
    )
    const [rows, sum, squares]: unknown[] = state
    assert(Number.isSafeInteger(rows), 'the rows of a variance are a whole number')
    const at = pane * STRIDE
    this.#state[at + ROWS] = Number(rows)
    if (state.length === 1) {
      this.#spoil(pane)
      return
    }
    const sumLeft = this.#readParts(at, SUM_PARTS, readDyadic(sum))
    putAside(this.#sumsAside, pane, inUnits(sumLeft, SUM_UNIT))
    const squaresLeft = this.#readParts(at + SQUARES, SQUARE_PARTS, readDyadic(squares))
    putAside(this.#squaresAside, pane, inUnits(squaresLeft, SQUARE_UNIT))
  }

  /** One row. Written out, for it is what a row costs: two additions for the sum and five for the square. */
  #add(pane: number, value: number): void {
    const state = this.#state
    const at = pane * STRIDE
    state[at + ROWS]! += 1
    const size = Math.abs(value)
    if (size < SQUARE_MAX && (size > SQUARE_MIN || size === 0)) {
      const s0 = state[at]!
      const sum = s0 + value
      const s0Rest = sum - s0
      const sumError = s0 - (sum - s0Rest) + (value - s0Rest)
      const s1 = state[at + 1]!
      const sum1 = s1 + sumError
      const s1Rest = sum1 - s1
      const sumLost = s1 - (sum1 - s1Rest) + (sumError - s1Rest)

      const scaled = SPLITTER * value
      const high = scaled - (scaled - value)
      const low = value - high
      const square = value * value
      const squareError = high * high - square + 2 * high * low + low * low

      const q0 = state[at + SQUARES]!
      const first = q0 + square
      const q0Rest = first - q0
      const firstError = q0 - (first - q0Rest) + (square - q0Rest)
      const q1 = state[at + SQUARES + 1]!
      const between = q1 + firstError
      const q1Rest = between - q1
      const betweenError = q1 - (between - q1Rest) + (firstError - q1Rest)
      const second = between + squareError
      const betweenRest = second - between
      const secondError = between - (second - betweenRest) + (squareError - betweenRest)
      const q2 = state[at + SQUARES + 2]!
      const below = q2 + betweenError
      const q2Rest = below - q2
      const belowError = q2 - (below - q2Rest) + (betweenError - q2Rest)
      const third = below + secondError
      const belowRest = third - below
      const thirdError = below - (third - belowRest) + (secondError - belowRest)

      // False also where something is not finite: then the errors are NaN.
      if (sumLost === 0 && belowError === 0 && thirdError === 0) {
        state[at] = sum
        state[at + 1] = sum1
        state[at + SQUARES] = first
        state[at + SQUARES + 1] = second
        state[at + SQUARES + 2] = third
        return
      }
    }
    this.#addCarefully(pane, value)
  }

  /** Adds a value of any kind to the sums of a pane. */
  #addCarefully(pane: number, value: number): void {
    if (!Number.isFinite(value)) this.#spoil(pane)
    if (!Number.isFinite(this.#state[pane * STRIDE]!)) return
    this.#addToSum(pane, value)
    const size = Math.abs(value)
    if (size < SQUARE_MAX && size > SQUARE_MIN) this.#addProduct(pane, value, value)
    else putAside(this.#squaresAside, pane, unitsOf(value) ** 2n)
  }

  /** A whole number of 64 or 128 bits. */
  #addWords(pane: number, words: Int32Array, at: number, count: 2 | 4): void {
    const high = words[at + 1]!
    const value = high * WORD_BASE + (words[at]! >>> 0)
    const isLong = count === 2 || (words[at + 2] === high >> 31 && words[at + 3] === high >> 31)
    if (isLong && Number.isSafeInteger(value)) {
      this.#add(pane, value)
      return
    }
    this.#state[pane * STRIDE + ROWS]! += 1
    for (let i = 0; i < count; i++) {
      const left = scaledWord(words, at, i, count)
      if (left === 0) continue
      this.#addToSum(pane, left)
      this.#addProduct(pane, left, left)
      for (let k = 0; k < i; k++) this.#addProduct(pane, 2 * left, scaledWord(words, at, k, count))
    }
  }

  /** A product whose rounding error is exact. */
  #addProduct(pane: number, left: number, right: number): void {
    const product = left * right
    this.#addToSquares(pane, product)
    this.#addToSquares(pane, productError(left, right, product))
  }

  #addToSum(pane: number, value: number): void {
    if (value === 0) return
    const rest = addToParts(this.#state, pane * STRIDE, SUM_PARTS, value)
    if (rest !== 0) putAside(this.#sumsAside, pane, unitsOf(Number.isNaN(rest) ? value : rest))
  }

  #addToSquares(pane: number, value: number): void {
    if (value === 0) return
    const rest = addToParts(this.#state, pane * STRIDE + SQUARES, SQUARE_PARTS, value)
    if (rest === 0) return
    const units = unitsOf(Number.isNaN(rest) ? value : rest)
    putAside(this.#squaresAside, pane, units << BigInt(SUM_UNIT - SQUARE_UNIT))
  }

  /** A value was not finite: nothing else counts any more. */
  #spoil(pane: number): void {
    const at = pane * STRIDE
    this.#state.fill(0, at, at + ROWS)
    this.#state[at] = Number.NaN
    this.#forgetAside(pane)
  }

  #forgetAside(pane: number): void {
    this.#sumsAside.delete(pane)
    this.#squaresAside.delete(pane)
  }

  #sum(pane: number): Dyadic {
    const at = pane * STRIDE
    const aside = { mantissa: this.#sumsAside.get(pane) ?? 0n, exponent: SUM_UNIT }
    return sumOf(this.#state, at, at + SUM_PARTS, aside)
  }

  #squares(pane: number): Dyadic {
    const at = pane * STRIDE + SQUARES
    const aside = { mantissa: this.#squaresAside.get(pane) ?? 0n, exponent: SQUARE_UNIT }
    return sumOf(this.#state, at, at + SQUARE_PARTS, aside)
  }

  /** Puts a number into parts, and returns what they cannot hold. */
  #readParts(at: number, count: number, number: Dyadic): Dyadic {
    let left = number
    for (let k = 0; k < count && left.mantissa !== 0n; k++) {
      const part = nearestDouble(left.mantissa, left.exponent)
      if (!Number.isFinite(part)) break
      this.#state[at + k] = part
      left = minusDouble(left, part)
    }
    return left
  }
}

/** Word k of a number times its weight: exact. The highest word has the sign. */
function scaledWord(words: Int32Array, at: number, k: number, count: number): number {
  const word = words[at + k]!
  return (k === count - 1 ? word : word >>> 0) * WORD_WEIGHTS[k]!
}

function putAside(aside: Map<number, bigint>, pane: number, units: bigint): void {
  if (units === 0n) return
  const sum = (aside.get(pane) ?? 0n) + units
  if (sum === 0n) aside.delete(pane)
  else aside.set(pane, sum)
}

/** A multiple of 2^exponent in units of it. */
function inUnits(number: Dyadic, exponent: number): bigint {
  const shift = number.exponent - exponent
  return shift >= 0 ? number.mantissa << BigInt(shift) : number.mantissa >> BigInt(-shift)
}
