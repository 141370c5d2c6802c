import { PipelineError } from '../errors.ts'

/** An exact decimal number: `unscaled` / 10^`scale`. 12.50 is { unscaled: 1250n, scale: 2 }. */
export interface Decimal {
  readonly unscaled: bigint
  readonly scale: number
}

/** Helpers for decimals. None of them rounds, but `toNumber`. */
export const decimal = { fromString, toString, toNumber, compare }

const PATTERN = /^([+-]?)(\d+)(?:\.(\d+))?$/

/**
 * '12.5' as { unscaled: 125n, scale: 1 }, or with the scale that is asked for. Throws INVALID_DECIMAL where the text
 * is not plain decimal notation or has more digits behind the point than the scale holds.
 */
function fromString(text: string, scale?: number): Decimal {
  const match = PATTERN.exec(text)
  if (match === null) {
    throw new PipelineError('INVALID_DECIMAL', `'${text}' is not a decimal number`, {
      advice: "Write it without exponent, as in '-12.50'.",
    })
  }
  const fraction = match[3] ?? ''
  const target = scale ?? fraction.length
  const significant = fraction.replace(/0+$/, '')
  if (significant.length > target) {
    throw new PipelineError('INVALID_DECIMAL', `'${text}' does not fit a scale of ${target}`, {
      advice: 'Round it first: a decimal never loses digits silently.',
    })
  }
  const digits = match[2]! + fraction.slice(0, target).padEnd(target, '0')
  return { unscaled: BigInt(match[1] === '-' ? `-${digits}` : digits), scale: target }
}

/** All digits of the scale: { unscaled: 1250n, scale: 2 } is '12.50'. */
function toString(value: Decimal): string {
  const negative = value.unscaled < 0n
  const digits = (negative ? -value.unscaled : value.unscaled).toString().padStart(value.scale + 1, '0')
  const point = digits.length - value.scale
  const text = value.scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`
  return negative ? `-${text}` : text
}

/** The nearest double. */
function toNumber(value: Decimal): number {
  return Number(toString(value))
}

/**
 * Negative, zero or positive, exactly. A number counts as the decimal that JavaScript prints for it, so 0.1 is one
 * tenth; the infinities are beyond every decimal; NaN is not comparable and gives NaN.
 */
function compare(left: Decimal, right: Decimal | number | bigint): number {
  if (typeof right === 'number' && !Number.isFinite(right)) return Number.isNaN(right) ? Number.NaN : -right
  const other = typeof right === 'object' ? right : exact(right)
  const scale = Math.max(left.scale, other.scale)
  const difference = scaled(left, scale) - scaled(other, scale)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

function scaled(value: Decimal, scale: number): bigint {
  return value.unscaled * 10n ** BigInt(scale - value.scale)
}

function exact(value: number | bigint): Decimal {
  if (typeof value === 'bigint') return { unscaled: value, scale: 0 }
  const [mantissa, exponentText] = value.toString().split('e')
  const plain = fromString(mantissa!)
  const scale = plain.scale - Number(exponentText ?? 0)
  return scale >= 0
    ? { unscaled: plain.unscaled, scale }
    : { unscaled: scaled(plain, plain.scale - scale), scale: 0 }
}
