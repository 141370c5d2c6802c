import { type AvroType, cellOfAvro } from './cell.ts'

/** Values that are not the same text. Beyond `exactMax` the engine estimates: workloads keep below it. */
export function distinctCount(type: AvroType, values: readonly unknown[], exactMax: number): bigint {
  const distinct = new Set(values.map((value) => JSON.stringify(cellOfAvro(type, value)))).size
  if (distinct > exactMax)
    throw new Error(`the oracle counts exactly: ${distinct} values are above ${exactMax}`)
  return BigInt(distinct)
}

/** The middle of the DDSketch bucket of the value at rank q (n − 1). */
export function sketchQuantile(values: readonly number[], q: number, accuracy: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const value = sorted[Math.floor(q * (sorted.length - 1))]!
  if (value === 0 || !Number.isFinite(value)) return value
  const gamma = (1 + accuracy) / (1 - accuracy)
  const index = Math.ceil(Math.log(Math.abs(value)) / Math.log(gamma))
  return (Math.sign(value) * (2 * gamma ** index)) / (gamma + 1)
}
