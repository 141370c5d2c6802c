import type { ColumnType, Field } from '../columns/column-type.ts'
import { unreachable } from '../errors.ts'
import { anyTypeText, findField, isProblem, isRanged } from './field-lookup.ts'
import type { ExpectRule, Rule } from './node.ts'
import { type Problem, problem, shown } from './problem.ts'

/** A rule against the type of its field. */
export function checkRule(
  { field: path, rule }: ExpectRule,
  fields: readonly Field[],
  step: string,
): readonly Problem[] {
  const field = findField(fields, path, step)
  if (isProblem(field)) return [field]
  const name = NAMES[rule?.kind]
  if (name === undefined) {
    return [problem('INVALID_RULE', step, `'${path}' has no rule`, 'As in { fare: between(0, 1000) }.')]
  }
  const takes = refusal(rule, field.type)
  if (takes === null) return []
  return [
    problem(
      'FIELD_TYPE',
      step,
      `'${path}' is ${anyTypeText(field.type)}, and ${name} ${takes}`,
      'Choose another rule; satisfies() takes any value.',
    ),
  ]
}

/** As the program writes them. */
const NAMES: Readonly<Record<Rule['kind'], string>> = {
  between: 'between',
  'at-least': 'atLeast',
  'at-most': 'atMost',
  'one-of': 'oneOf',
  'not-null': 'notNull',
  matches: 'matches',
  'length-between': 'lengthBetween',
  satisfies: 'satisfies',
}

/** Null where the rule can test such values. */
function refusal(rule: Rule, type: ColumnType): string | null {
  switch (rule.kind) {
    case 'between':
    case 'at-least':
    case 'at-most':
      return isRanged(type) ? null : 'takes numbers, dates, times and timestamps'
    case 'one-of':
      return oneOfRefusal(rule.values, type)
    case 'matches':
      return type.kind === 'string' || type.kind === 'enum' ? null : 'takes strings'
    case 'length-between':
      return ['string', 'enum', 'bytes', 'fixed', 'list', 'map'].includes(type.kind)
        ? null
        : 'takes strings, bytes, arrays and maps'
    case 'not-null':
    case 'satisfies':
      return null
    default:
      return unreachable(rule)
  }
}

function oneOfRefusal(values: readonly unknown[], type: ColumnType): string | null {
  const stranger = values.find((value) => !isValueOf(value, type))
  if (stranger === undefined) return null
  return type.kind === 'enum'
    ? `names ${shown(stranger)}, which is none of ${type.symbols.join(', ')}`
    : `names ${shown(stranger)}, which it can never be`
}

function isValueOf(value: unknown, type: ColumnType): boolean {
  switch (type.kind) {
    case 'string':
      return typeof value === 'string'
    case 'enum':
      return typeof value === 'string' && type.symbols.includes(value)
    case 'boolean':
      return typeof value === 'boolean'
    case 'int32':
    case 'int64':
    case 'date':
    case 'time':
    case 'timestamp':
      return typeof value === 'bigint' || Number.isInteger(value)
    case 'float32':
    case 'float64':
      return typeof value === 'number'
    case 'bytes':
    case 'fixed':
    case 'decimal':
    case 'list':
    case 'map':
    case 'struct':
      return false
    default:
      return unreachable(type)
  }
}
