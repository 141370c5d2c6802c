import { assert } from '../../errors.ts'
import { bitLength, nearestDouble, partsOf } from './rounding.ts'

/** The exact number mantissa × 2^exponent. */
export interface Dyadic {
  readonly mantissa: bigint
  readonly exponent: number
}

/** The exact sum of finite doubles and of a whole number of units of 2^restExponent. */
export function sumOf(doubles: Float64Array, from: number, to: number, rest: Dyadic): Dyadic {
  let { mantissa, exponent } = rest.mantissa === 0n ? { mantissa: 0n, exponent: 0 } : rest
  for (let k = from; k < to; k++) {
    if (doubles[k] === 0) continue
    const part = partsOf(doubles[k]!)
    if (mantissa === 0n) ({ mantissa, exponent } = part)
    else if (part.exponent >= exponent) mantissa += part.mantissa << BigInt(part.exponent - exponent)
    else {
      mantissa = (mantissa << BigInt(exponent - part.exponent)) + part.mantissa
      exponent = part.exponent
    }
  }
  return { mantissa, exponent }
}

/** A number where a double holds it exactly, else '-1f8p-70' for -0x1f8 × 2^-70, the mantissa being odd. */
export function writeDyadic({ mantissa, exponent }: Dyadic): number | string {
  if (mantissa === 0n) return 0
  const rounded = nearestDouble(mantissa, exponent)
  if (Number.isFinite(rounded) && isExactly(rounded, mantissa, exponent)) return rounded
  const zeros = bitLength(mantissa & -mantissa) - 1
  return `${(mantissa >> BigInt(zeros)).toString(16)}p${exponent + zeros}`
}

export function readDyadic(state: unknown): Dyadic {
  if (typeof state === 'number' && Number.isFinite(state)) return partsOf(state)
  const parts = typeof state === 'string' ? /^(-?)([0-9a-f]+)p(-?[0-9]+)$/.exec(state) : null
  assert(parts !== null, `not an exact sum: ${JSON.stringify(state)}`)
  const magnitude = BigInt(`0x${parts[2]!}`)
  return { mantissa: parts[1] === '-' ? -magnitude : magnitude, exponent: Number(parts[3]!) }
}

/** What is left of a number when a double, finite and not finer than it, is taken away. */
export function minusDouble({ mantissa, exponent }: Dyadic, value: number): Dyadic {
  const part = partsOf(value)
  const shift = part.exponent - exponent
  const units = shift >= 0 ? part.mantissa << BigInt(shift) : part.mantissa >> BigInt(-shift)
  return { mantissa: mantissa - units, exponent }
}

function isExactly(value: number, mantissa: bigint, exponent: number): boolean {
  const part = partsOf(value)
  const shift = part.exponent - exponent
  return shift >= 0
    ? part.mantissa << BigInt(shift) === mantissa
    : part.mantissa === mantissa << BigInt(-shift)
}
