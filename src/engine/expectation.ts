import { type Column, isValid } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import { valueAt } from '../columns/row.ts'
import { assert, unreachable } from '../errors.ts'
import type { ExpectNode, Rule } from '../topology/node.ts'
import { columnAt, type FieldPath, resolveFieldPath } from './field-path.ts'

/** A rule ready to run: null where the row passes, else what to write into the dead letter. */
export interface Expectation {
  check(columns: readonly Column[], row: number): string | null
}

/** The rules of a step, in the order given. */
export function compileExpectations(node: ExpectNode, fields: readonly Field[]): readonly Expectation[] {
  return node.rules.map(({ field, rule }) => {
    const path = resolveFieldPath(fields, field, node.name)
    const passes = compileRule(rule, path)
    return {
      check(columns, row) {
        const column = columnAt(columns, path)
        if (!isValid(column, row)) return rule.kind === 'not-null' ? `${field} is null` : null
        return passes(column, row) ? null : `${field}: ${show(valueAt(column, row))} ${failureOf(rule)}`
      },
    }
  })
}

type Test = (column: Column, row: number) => boolean

function compileRule(rule: Rule, path: FieldPath): Test {
  switch (rule.kind) {
    case 'between':
      return compileRange(path, rule.min, rule.max)
    case 'at-least':
      return compileRange(path, rule.min, null)
    case 'at-most':
      return compileRange(path, null, rule.max)
    case 'not-null':
      return () => true
    case 'one-of': {
      const values = new Set(rule.values.map(comparable))
      return (column, row) => values.has(comparable(valueAt(column, row)))
    }
    case 'matches': {
      const pattern = new RegExp(rule.pattern, rule.flags.replace(/[gy]/g, ''))
      return (column, row) => pattern.test(String(valueAt(column, row)))
    }
    case 'length-between':
      return (column, row) => {
        const length = lengthOf(valueAt(column, row))
        return length >= rule.min && length <= rule.max
      }
    case 'satisfies':
      return (column, row) => rule.test(valueAt(column, row))
    default:
      return unreachable(rule)
  }
}

type Bound = number | bigint | null

function compileRange(path: FieldPath, min: Bound, max: Bound): Test {
  const type = path.field.type
  // Numbers that fit a double are compared as doubles where they lie; NaN fails both comparisons.
  const low = min === null ? -Infinity : Number(min)
  const high = max === null ? Infinity : Number(max)
  if (type.kind === 'int32' || type.kind === 'date') {
    return (column, row) => {
      assert(column.storage === 'int32', 'int32 expected')
      const value = column.values[row]!
      return value >= low && value <= high
    }
  }
  if (type.kind === 'float32' || type.kind === 'float64') {
    return (column, row) => {
      assert(column.storage === 'float32' || column.storage === 'float64', 'float expected')
      const value = column.values[row]!
      return value >= low && value <= high
    }
  }
  if (type.kind === 'decimal') return compileDecimalRange(min, max, type.scale)
  return (column, row) => {
    const value = valueAt(column, row)
    assert(typeof value === 'number' || typeof value === 'bigint', `${path.path} has no order`)
    return (min === null || value >= min) && (max === null || value <= max)
  }
}

/** The bound means what it says in decimal: 0.1 is a tenth, not the double nearest to it. */
function compileDecimalRange(min: Bound, max: Bound, scale: number): Test {
  const low = min === null ? null : parseScaled(min)
  const high = max === null ? null : parseScaled(max)
  return (column, row) => {
    const { unscaled } = valueAt(column, row) as { unscaled: bigint }
    return (
      (low === null || compareScaled(unscaled, scale, low) >= 0) &&
      (high === null || compareScaled(unscaled, scale, high) <= 0)
    )
  }
}

interface Scaled {
  readonly unscaled: bigint
  readonly scale: number
}

function parseScaled(bound: number | bigint): Scaled | number {
  if (typeof bound === 'bigint') return { unscaled: bound, scale: 0 }
  if (!Number.isFinite(bound)) return bound
  const [mantissa, exponent] = String(bound).split('e') as [string, string?]
  const [whole, fraction = ''] = mantissa.split('.') as [string, string?]
  const scale = fraction.length - Number(exponent ?? 0)
  const unscaled = BigInt(whole + fraction)
  return scale < 0 ? { unscaled: unscaled * 10n ** BigInt(-scale), scale: 0 } : { unscaled, scale }
}

function compareScaled(unscaled: bigint, scale: number, bound: Scaled | number): number {
  if (typeof bound === 'number') return bound > 0 ? -1 : 1
  const left = unscaled * 10n ** BigInt(bound.scale)
  const right = bound.unscaled * 10n ** BigInt(scale)
  return left < right ? -1 : left > right ? 1 : 0
}

/** One form for equal values, so that 5 and 5n are the same member of a list. */
function comparable(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}`
  if (typeof value === 'number' && Number.isInteger(value)) return `${value}`
  return typeof value === 'string' ? `"${value}` : value
}

/** Characters (code points) of a string, bytes of bytes, items of an array or a map. */
function lengthOf(value: unknown): number {
  if (typeof value === 'string') return Array.from(value).length
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length
  return Object.keys(value as object).length
}

const SHOWN_CHARACTERS_MAX = 200

function show(value: unknown): string {
  if (typeof value === 'bigint') return `${value}`
  if (typeof value === 'string') return JSON.stringify(value.slice(0, SHOWN_CHARACTERS_MAX))
  const text = JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? `${item}` : item))
  return (text ?? String(value)).slice(0, SHOWN_CHARACTERS_MAX)
}

function failureOf(rule: Rule): string {
  switch (rule.kind) {
    case 'between':
      return `is not between ${rule.min} and ${rule.max}`
    case 'at-least':
      return `is less than ${rule.min}`
    case 'at-most':
      return `is more than ${rule.max}`
    case 'not-null':
      return 'is null'
    case 'one-of':
      return `is not one of ${rule.values.slice(0, 10).map(show).join(', ')}`
    case 'matches':
      return `does not match /${rule.pattern}/${rule.flags}`
    case 'length-between':
      return `has a length that is not between ${rule.min} and ${rule.max}`
    case 'satisfies':
      return 'does not satisfy the rule'
    default:
      return unreachable(rule)
  }
}
