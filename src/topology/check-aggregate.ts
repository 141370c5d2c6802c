import type { Field } from '../columns/column-type.ts'
import { checkDuration, checkKeys, requireEventTime } from './check-option.ts'
import { findField, isNumeric, isOrdered, isProblem, typeText } from './field-lookup.ts'
import type { AggregateNode, NamedAggregate } from './node.ts'
import { type Problem, problem, shown } from './problem.ts'
import { keyColumnName, rowFields } from './table-fields.ts'

/** A window and what it computes. */
export function checkAggregate(node: AggregateNode, step: string): readonly Problem[] {
  const fields = rowFields(node.input)
  return [
    ...checkKeys(node.keyBy, fields, step, 'keyBy'),
    ...checkWindow(node, step),
    ...checkColumnNames(node, step),
    ...node.aggregates.flatMap((aggregate) => checkAggregateField(aggregate, fields, step)),
    ...requireEventTime(node.input, step),
  ]
}

function checkWindow(node: AggregateNode, step: string): readonly Problem[] {
  const { window, allowedLatenessMs, late } = node
  if (window?.kind !== 'tumbling') {
    return [
      problem(
        'INVALID_OPTION',
        step,
        'has no window',
        'As in .window(tumbling(minutes(1)), { allowedLateness: minutes(5) }).',
      ),
    ]
  }
  return [
    ...checkDuration(window.sizeMs, step, 'the size of the window', 1),
    ...checkDuration(window.offsetMs, step, 'the offset of the window', Number.MIN_SAFE_INTEGER),
    ...checkDuration(allowedLatenessMs, step, 'allowedLateness', 0),
    ...(['dead-letter', 'drop', 'side-table'].includes(late)
      ? []
      : [
          problem(
            'INVALID_OPTION',
            step,
            `late is ${shown(late)}`,
            "It is 'dead-letter', 'drop' or 'side-table'.",
          ),
        ]),
  ]
}

const COLUMN_NAME = /^[A-Za-z][A-Za-z0-9_]*$/

function checkColumnNames(node: AggregateNode, step: string): readonly Problem[] {
  if (node.aggregates.length === 0) {
    return [problem('INVALID_OPTION', step, 'computes nothing', 'As in ({ count }) => ({ trips: count() }).')]
  }
  const taken = new Map<string, string>([
    ['window_start', 'a column of every gold table'],
    ['window_end', 'a column of every gold table'],
    ['revision', 'a column of every gold table'],
  ])
  const problems: Problem[] = []
  const take = (name: string, owner: string): void => {
    const other = taken.get(name.toLowerCase())
    if (other !== undefined) {
      const advice = 'Choose another name; the names of columns ignore case.'
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

function checkAggregateField(
  { name, spec }: NamedAggregate,
  fields: readonly Field[],
  step: string,
): readonly Problem[] {
  const kind: unknown = spec?.kind
  if (typeof kind !== 'string' || !['count', 'sum', 'min', 'max', 'avg'].includes(kind)) {
    return [
      problem(
        'INVALID_OPTION',
        step,
        `'${name}' is not an aggregate`,
        'Use count(), sum, min, max or avg of a field.',
      ),
    ]
  }
  if (spec.kind === 'count' && spec.field === null) return []
  const field = findField(fields, String(spec.field), step)
  if (isProblem(field)) return [field]
  const call = `${spec.kind}('${spec.field}')`
  if ((spec.kind === 'sum' || spec.kind === 'avg') && !isNumeric(field.type)) {
    return [
      problem(
        'FIELD_TYPE',
        step,
        `${call} is of a ${typeText(field.type)}`,
        `${spec.kind} takes int, long, float, double and decimal.`,
      ),
    ]
  }
  if ((spec.kind === 'min' || spec.kind === 'max') && !isOrdered(field.type)) {
    return [
      problem(
        'FIELD_TYPE',
        step,
        `${call} is of a ${typeText(field.type)}`,
        `${spec.kind} takes numbers, dates, times, timestamps, strings and bytes.`,
      ),
    ]
  }
  return []
}
