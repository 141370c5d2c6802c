import { assert } from '../../errors.ts'

/** Doubles, and exact sums of doubles, as JSON that reads back bit for bit (but for the payload of a NaN). */

const SPECIAL: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  '-0': -0,
}

export function writeDouble(value: number): number | string {
  if (Object.is(value, -0)) return '-0'
  return Number.isFinite(value) ? value : String(value)
}

export function readDouble(state: unknown): number {
  if (typeof state === 'number') return state
  const special = typeof state === 'string' ? SPECIAL[state] : undefined
  assert(special !== undefined, `not a double: ${JSON.stringify(state)}`)
  return special
}

/** '-1f8p70' is -0x1f8 × 16^70: sums of large numbers end in hundreds of zeros. */
export function writeUnits(units: bigint): string {
  const digits = units.toString(16)
  const significant = digits.replace(/0+$/, '')
  return `${significant}p${digits.length - significant.length}`
}

/** Null where the state is not what `writeUnits` gives. */
export function readUnits(state: unknown): bigint | null {
  const parts = typeof state === 'string' ? /^(-?)([0-9a-f]+)p([0-9]+)$/.exec(state) : null
  if (parts === null) return null
  const magnitude = BigInt(`0x${parts[2]!}`) << BigInt(Number(parts[3]!) * 4)
  return parts[1] === '-' ? -magnitude : magnitude
}
