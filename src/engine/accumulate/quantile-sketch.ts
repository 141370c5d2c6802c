import { AssertionError, assert } from '../../errors.ts'

/**
 * DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
 * PVLDB 12(12), 2019) without collapsing: bin i counts the values of (γ^(i − 1), γ^i], γ = (1 + a) / (1 − a), and stands for
 * 2 γ^i / (γ + 1), which is within a × value of each of them (and the rounding of a logarithm, some 10^-13). Adding and merging are additions of counts, so no order matters.
 *
 * Bins are keys of one map, in the order of the values they stand for: positive keys are bins of positive values, negative
 * ones of negative values, 0 is zero. Magnitudes below the smallest normal double count as zero. So there are at most
 * 2 × 1418.2 / ln γ + 5 keys, about 1418 / a: 141,815 for 1 %; a pane has as many as its values fall into.
 */
export class BinMapping {
  readonly #accuracy: number
  readonly #lnGamma: number
  /** Added to i, so that the keys of positive values are positive. */
  readonly #shift: number

  /** `accuracy` is the relative error, above 0 and below 1. */
  constructor(accuracy: number) {
    this.#accuracy = accuracy
    this.#lnGamma = Math.log((1 + accuracy) / (1 - accuracy))
    this.#shift = 1 - Math.ceil(Math.log(MAGNITUDE_MIN) / this.#lnGamma)
  }

  /** The value is finite. */
  keyOf(value: number): number {
    if (value >= MAGNITUDE_MIN) return this.#magnitudeKey(value)
    return value <= -MAGNITUDE_MIN ? -this.#magnitudeKey(-value) : 0
  }

  /** What stands for the values of a key. */
  valueOf(key: number): number {
    if (key === 0) return 0
    // γ^(i − 1) (1 + a) is the same, and only the product can overflow. Not `**`, of which the last bits differ between
    // versions of Node; those of Math.log and Math.exp do not.
    const start = Math.exp((Math.abs(key) - this.#shift - 1) * this.#lnGamma)
    return Math.sign(key) * Math.min(start * (1 + this.#accuracy), Number.MAX_VALUE)
  }

  #magnitudeKey(magnitude: number): number {
    return Math.ceil(Math.log(magnitude) / this.#lnGamma) + this.#shift
  }
}

/** The smallest normal double: below it a relative error has no meaning. */
const MAGNITUDE_MIN = 2.2250738585072014e-308

/** What a pane knows of its values. -0 is 0; NaN is larger than every number, as for `max`. */
export interface QuantileSketch {
  /** Rows by key. */
  readonly bins: Map<number, number>
  /** Of the finite values; -∞ and ∞ of none. */
  greatest: number
  least: number
  /** Rows of -Infinity, of Infinity, of NaN. */
  low: number
  high: number
  nan: number
}

export function createSketch(): QuantileSketch {
  return { bins: new Map(), greatest: -Infinity, least: Infinity, low: 0, high: 0, nan: 0 }
}

export function addToSketch(sketch: QuantileSketch, mapping: BinMapping, value: number): void {
  if (value - value !== 0) {
    if (value === Infinity) sketch.high++
    else if (value === -Infinity) sketch.low++
    else sketch.nan++
    return
  }
  const key = mapping.keyOf(value)
  sketch.bins.set(key, (sketch.bins.get(key) ?? 0) + 1)
  // + 0 makes 0 of -0.
  if (value > sketch.greatest) sketch.greatest = value + 0
  if (value < sketch.least) sketch.least = value + 0
}

export function mergeSketch(into: QuantileSketch, from: QuantileSketch): void {
  for (const [key, rows] of from.bins) into.bins.set(key, (into.bins.get(key) ?? 0) + rows)
  if (from.greatest > into.greatest) into.greatest = from.greatest
  if (from.least < into.least) into.least = from.least
  into.low += from.low
  into.high += from.high
  into.nan += from.nan
}

/**
 * The quantiles, for a sketch that is not empty. That of q is the value of rank floor(q × (n − 1)), counted from 0, of the n values in order:
 * the least for q = 0 and the greatest for q = 1, which are exact; any other is within the accuracy of the exact one.
 */
export function quantilesOf(sketch: QuantileSketch, mapping: BinMapping, qs: readonly number[]): number[] {
  const bins = [...sketch.bins].sort(([left], [right]) => left - right)
  let finite = 0
  for (const [, rows] of bins) finite += rows
  const total = sketch.low + finite + sketch.high + sketch.nan
  return qs.map((q) => {
    const rank = Math.floor(q * (total - 1))
    if (rank < sketch.low) return -Infinity
    if (rank >= total - sketch.nan) return Number.NaN
    if (rank >= sketch.low + finite) return Infinity
    return finiteOfRank(bins, sketch, mapping, rank - sketch.low, finite)
  })
}

function finiteOfRank(
  bins: readonly (readonly [number, number])[],
  { least, greatest }: QuantileSketch,
  mapping: BinMapping,
  rank: number,
  rows: number,
): number {
  if (rank === 0) return least
  if (rank === rows - 1) return greatest
  let before = 0
  for (const [key, count] of bins) {
    before += count
    if (rank < before) return Math.min(Math.max(mapping.valueOf(key), least), greatest)
  }
  throw new AssertionError('a rank is below the number of rows')
}

/**
 * [bins, least, greatest, rows of -Infinity, of Infinity, of NaN]. The bins are key, rows, key, rows …, ascending, each key less the one
 * before it; least and greatest are null where no value is finite.
 */
export function writeSketch(sketch: QuantileSketch): unknown {
  const bins: number[] = []
  let last = 0
  for (const [key, rows] of [...sketch.bins].sort(([left], [right]) => left - right)) {
    bins.push(key - last, rows)
    last = key
  }
  const { least, greatest, low, high, nan } = sketch
  const isNone = bins.length === 0
  return [bins, isNone ? null : least, isNone ? null : greatest, low, high, nan]
}

export function readSketch(json: unknown): QuantileSketch {
  assert(Array.isArray(json) && json.length === 6, 'the state of a quantile is an array of six')
  const [flat, least, greatest, low, high, nan] = json as readonly unknown[]
  assert(Array.isArray(flat) && flat.length % 2 === 0, 'the bins of a quantile are pairs')
  const bins = new Map<number, number>()
  let key = 0
  for (let i = 0; i < flat.length; i += 2) {
    key += Number(flat[i])
    bins.set(key, Number(flat[i + 1]))
  }
  return {
    bins,
    greatest: greatest === null ? -Infinity : Number(greatest),
    least: least === null ? Infinity : Number(least),
    low: Number(low),
    high: Number(high),
    nan: Number(nan),
  }
}
