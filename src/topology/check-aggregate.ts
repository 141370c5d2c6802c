import type { Field } from '../columns/column-type.ts'
import { unreachable } from '../errors.ts'
import { COLUMN_NAME, checkKeyBy, typeField } from './check-key.ts'
import { checkCount, requireEventTime } from './check-option.ts'
import { checkWindow } from './check-window.ts'
import { anyTypeText, findField, isProblem } from './field-lookup.ts'
import { keyColumnName } from './key.ts'
import type { AggregateNode, AggregateSpec, CustomAggregateSpec, NamedAggregate } from './node.ts'
import { type Problem, problem, shown } from './problem.ts'
import { aggregateRefusal } from './result-field.ts'
import { rowFields } from './table-fields.ts'

/** A window and what it computes. */
export function checkAggregate(node: AggregateNode, step: string): readonly Problem[] {
  const fields = rowFields(node.input)
  const keys = checkKeyBy(node.keyBy, fields, step)
  return [
    ...keys,
    ...checkWindow(node, fields, step),
    ...(keys.length === 0 ? checkColumnNames(node, step) : []),
    ...node.aggregates.flatMap((aggregate) => checkColumn(aggregate, fields, step)),
    ...requireEventTime(node.input, step),
  ]
}

function checkColumnNames(node: AggregateNode, step: string): readonly Problem[] {
  if (node.aggregates.length === 0) {
    return [problem('INVALID_OPTION', step, 'computes nothing', 'As in ({ count }) => ({ trips: count() }).')]
  }
  const columns = ['window_start', 'window_end', 'revision']
  if (node.window?.kind === 'count') columns.push('window_number')
  const taken = new Map<string, string>(columns.map((name) => [name, 'a column of every gold table']))
  const problems: Problem[] = []
  const take = (name: string, owner: string): void => {
    const other = taken.get(name.toLowerCase())
    if (other !== undefined) {
      const isKey = owner === 'the key'
      const advice = isKey
        ? `Give the key a name of its own: computed('by_${name}', type, (row) => row.${name}).`
        : 'Choose another name; the names of columns ignore case.'
      problems.push(problem('DUPLICATE_NAME', step, `${owner} '${name}' has the name of ${other}`, advice))
    }
    taken.set(name.toLowerCase(), `${owner} '${name}'`)
  }
  for (const key of node.keyBy) take(keyColumnName(key), 'the key')
  for (const { name } of node.aggregates) {
    if (!COLUMN_NAME.test(name)) {
      const advice = 'The name of a column is letters, digits and _, and begins with a letter.'
      problems.push(problem('INVALID_NAME', step, `'${name}' is not a name for a column`, advice))
    }
    take(name, 'the aggregate')
  }
  return problems
}

function checkColumn(aggregate: NamedAggregate, fields: readonly Field[], step: string): readonly Problem[] {
  const { name, spec } = aggregate
  const call = AGGREGATE_CALLS[spec?.kind]
  if (call === undefined) {
    const advice = `As in count() or sum('total'). There are ${Object.values(AGGREGATE_CALLS).join(', ')}.`
    return [problem('INVALID_OPTION', step, `'${name}' is not an aggregate`, advice)]
  }
  return [...checkFields(spec, fields, step), ...checkOptions(aggregate, step)]
}

/** As the program writes them. */
export const AGGREGATE_CALLS: Readonly<Record<AggregateSpec['kind'], string>> = {
  count: 'count',
  'count-if': 'countIf',
  sum: 'sum',
  min: 'min',
  max: 'max',
  avg: 'avg',
  variance: 'variance',
  stddev: 'stddev',
  first: 'first',
  last: 'last',
  'min-by': 'minBy',
  'max-by': 'maxBy',
  'count-distinct': 'countDistinct',
  quantile: 'quantile',
  quantiles: 'quantiles',
  'top-k': 'topK',
  'most-frequent': 'mostFrequent',
  collect: 'collect',
  custom: 'custom',
}

function checkFields(spec: AggregateSpec, row: readonly Field[], step: string): readonly Problem[] {
  const input = spec.field === null ? null : findField(row, spec.field, step)
  const by = 'by' in spec ? findField(row, spec.by, step) : null
  const unknown = [input, by].filter((found) => found !== null && isProblem(found))
  if (unknown.length > 0) return unknown
  const refusal = aggregateRefusal(spec, { input: input as Field | null, by: by as Field | null, row })
  if (refusal === null) return []
  const { refused, advice } = refusal
  const call = AGGREGATE_CALLS[spec.kind]
  const what =
    refused === by && 'by' in spec
      ? `${call} by '${spec.by}' is by ${anyTypeText(refused.type)}`
      : `${call}('${spec.field}') is of ${anyTypeText(refused.type)}`
  return [problem('FIELD_TYPE', step, what, advice.replace(spec.kind, call))]
}

/** Arrays of results are cells of a table. */
const ARRAY_MAX = 100_000
const EXACT_MAX = 1_000_000

function checkOptions({ name, spec }: NamedAggregate, step: string): readonly Problem[] {
  const option = (what: string): string => `${what} of '${name}'`
  switch (spec.kind) {
    case 'count':
    case 'sum':
    case 'min':
    case 'max':
    case 'avg':
    case 'first':
    case 'last':
    case 'min-by':
    case 'max-by':
      return []
    case 'count-if':
      return checkCallback(spec.predicate, name, 'countIf((row) => …)', step)
    case 'variance':
    case 'stddev':
      return spec.of === 'sample' || spec.of === 'population'
        ? []
        : [
            problem(
              'INVALID_OPTION',
              step,
              `${option('of')} is ${shown(spec.of)}`,
              "It is 'sample' or 'population'.",
            ),
          ]
    case 'count-distinct':
      return checkCount(spec.exactMax, step, option('exactMax'), {
        least: 0,
        most: EXACT_MAX,
        example: '{ exactMax: 1000 }',
      })
    case 'quantile':
      return [...checkQuantiles([spec.q], option, step), ...checkAccuracy(spec.accuracy, option, step)]
    case 'quantiles':
      return [...checkQuantiles(spec.qs, option, step), ...checkAccuracy(spec.accuracy, option, step)]
    case 'top-k':
      return checkCount(spec.k, step, option('k'), { least: 1, most: ARRAY_MAX, example: '{ k: 10 }' })
    case 'most-frequent':
      return [
        ...checkCount(spec.k, step, option('k'), { least: 1, most: ARRAY_MAX, example: '{ k: 10 }' }),
        ...checkCount(spec.distinctMax, step, option('distinctMax'), {
          least: 1,
          most: EXACT_MAX,
          example: '{ distinctMax: 10000 }',
        }),
      ]
    case 'collect':
      return checkCount(spec.max, step, option('max'), { least: 1, most: ARRAY_MAX, example: '{ max: 100 }' })
    case 'custom':
      return checkCustom(name, spec, step)
    default:
      return unreachable(spec)
  }
}

function checkQuantiles(qs: unknown, option: (what: string) => string, step: string): readonly Problem[] {
  const list: readonly unknown[] = Array.isArray(qs) ? qs : []
  if (list.length > 0 && list.every((q) => typeof q === 'number' && q >= 0 && q <= 1)) return []
  return [
    problem(
      'INVALID_OPTION',
      step,
      `${option('the quantile')} is ${shown(qs)}`,
      "It is a share from 0 to 1, as in quantile('fare', 0.99) or quantiles('fare', [0.5, 0.99]).",
    ),
  ]
}

const ACCURACY_MIN = 0.0001
const ACCURACY_MAX = 0.5

function checkAccuracy(
  accuracy: unknown,
  option: (what: string) => string,
  step: string,
): readonly Problem[] {
  if (typeof accuracy === 'number' && accuracy >= ACCURACY_MIN && accuracy <= ACCURACY_MAX) return []
  return [
    problem(
      'INVALID_OPTION',
      step,
      `${option('accuracy')} is ${shown(accuracy)}`,
      `It is a relative error from ${ACCURACY_MIN} to ${ACCURACY_MAX}, as in { accuracy: 0.01 }.`,
    ),
  ]
}

const CUSTOM_EXAMPLE = 'custom({ type, init, add, merge, result })'

function checkCustom(name: string, spec: CustomAggregateSpec, step: string): readonly Problem[] {
  const field = typeField(name, spec.type, step, `'${name}'`)
  return [
    ...(isProblem(field) ? [field] : []),
    ...(['init', 'add', 'merge', 'result'] as const).flatMap((part) =>
      checkCallback(spec[part], `${name}.${part}`, CUSTOM_EXAMPLE, step),
    ),
  ]
}

function checkCallback(value: unknown, name: string, example: string, step: string): readonly Problem[] {
  if (typeof value === 'function') return []
  return [problem('INVALID_OPTION', step, `'${name}' has no function`, `As in ${example}.`)]
}
