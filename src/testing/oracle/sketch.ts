import { compare } from './compare.ts'

/**
 * A value as it is counted: -0 is 0, and NaN is one value, as in SQL.
 */
export function counted(value: unknown): unknown {
  return value === 0 ? 0 : value
}

/** Beyond `exactMax` the engine estimates: workloads keep below it. */
export function distinctCount(texts: readonly string[], exactMax: number): bigint {
  const distinct = new Set(texts).size
  if (distinct > exactMax)
    throw new Error(`the oracle counts exactly: ${distinct} values are above ${exactMax}`)
  return BigInt(distinct)
}

/** The value of rank floor(q (n − 1)), as DDSketch would remember it: by the bucket that it falls into. */
export function sketchQuantile(values: readonly number[], q: number, accuracy: number): number {
  const sorted = [...values].sort(compare)
  const rank = Math.floor(q * (sorted.length - 1))
  const value = sorted[rank]!
  const finite = sorted.filter(Number.isFinite)
  const least = finite[0]!
  const greatest = finite.at(-1)!
  const isEdge = rank === sorted.indexOf(least) || rank === sorted.lastIndexOf(greatest)
  if (!Number.isFinite(value) || isEdge) return value + 0
  if (Math.abs(value) < 2 ** -1022) return 0
  const step = Math.log((1 + accuracy) / (1 - accuracy))
  const bucket = Math.ceil(Math.log(Math.abs(value)) / step)
  const estimate = Math.sign(value) * (1 + accuracy) * Math.exp((bucket - 1) * step)
  return Math.min(Math.max(estimate, least), greatest) + 0
}
