import { assert } from '../../errors.ts'

/** Whole numbers as JSON: a number where a double holds it exactly, else its decimal digits in a string. */

export function writeWhole(value: bigint): number | string {
  const rounded = Number(value)
  return Number.isSafeInteger(rounded) ? rounded : value.toString()
}

export function readWhole(state: unknown): bigint {
  if (typeof state === 'number' && Number.isSafeInteger(state)) return BigInt(state)
  assert(
    typeof state === 'string' && /^-?[0-9]+$/.test(state),
    `not a whole number: ${JSON.stringify(state)}`,
  )
  return BigInt(state)
}
