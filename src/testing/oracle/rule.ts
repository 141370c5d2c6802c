import { unreachable } from '../../errors.ts'
import type { Rule } from '../../topology/node.ts'
import { compare } from './compare.ts'

/** Whether a value keeps a rule of `expect`. */
export function passes(rule: Rule, value: unknown): boolean {
  if (value === null || value === undefined) return rule.kind !== 'not-null'
  switch (rule.kind) {
    case 'between':
      return !Number.isNaN(value) && order(value, rule.min) >= 0 && order(value, rule.max) <= 0
    case 'at-least':
      return !Number.isNaN(value) && order(value, rule.min) >= 0
    case 'at-most':
      return !Number.isNaN(value) && order(value, rule.max) <= 0
    case 'one-of':
      return rule.values.some((one) => (one as unknown) == value)
    case 'not-null':
      return true
    case 'matches':
      return new RegExp(rule.pattern, rule.flags).test(value as string)
    case 'length-between': {
      const length =
        typeof value === 'string' ? Array.from(value).length : (value as ArrayLike<unknown>).length
      return length >= rule.min && length <= rule.max
    }
    case 'satisfies':
      return rule.test(value)
    default:
      return unreachable(rule)
  }
}

/** Of a value to a bound. Bounds of decimals are whole numbers in the workloads. */
function order(value: unknown, bound: number | bigint): number {
  if (typeof value === 'object') {
    const { unscaled, scale } = value as { unscaled: bigint; scale: number }
    return compare(unscaled, BigInt(bound) * 10n ** BigInt(scale))
  }
  return compare(value, bound)
}
