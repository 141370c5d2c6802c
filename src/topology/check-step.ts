import type { Field } from '../columns/column-type.ts'
import { PipelineError, unreachable } from '../errors.ts'
import { checkAggregate } from './check-aggregate.ts'
import { checkDuration, checkKeys, checkName, requireEventTime } from './check-option.ts'
import { checkRule } from './check-rule.ts'
import { findField, isProblem, typeText } from './field-lookup.ts'
import type { AggregateNode, RowNode, SourceNode } from './node.ts'
import { type Problem, problem, stepLabel } from './problem.ts'
import { rowFields, schemaFields } from './table-fields.ts'

type Step = RowNode | AggregateNode

/** What is wrong with one step, its inputs being right. Callers in plain JavaScript have only these checks. */
export function checkStep(node: Step): readonly Problem[] {
  const step = stepLabel(node)
  const named = node.kind === 'late' ? [] : checkName(node.name, step)
  const schema = node.kind === 'source' || node.kind === 'map' ? checkSchema(node, step) : []
  // Without a schema there are no fields to check the rest against.
  return schema.length > 0 ? [...named, ...schema] : [...named, ...checkContents(node, step)]
}

function checkSchema(node: Extract<Step, { schema: unknown }>, step: string): readonly Problem[] {
  if (typeof node.schema !== 'object' || node.schema === null || !('avro' in node.schema)) {
    return [
      problem(
        'SCHEMA_INVALID',
        step,
        'the second argument is not a schema',
        'Give the constant that `millrace schema types` wrote beside the .avsc file, or avroSchema(json).',
      ),
    ]
  }
  try {
    schemaFields(node.schema)
    return []
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    const code = error.code === 'SCHEMA_UNSUPPORTED' ? error.code : 'SCHEMA_INVALID'
    return [problem(code, step, error.message, error.advice ?? 'Correct the .avsc file.')]
  }
}

function checkContents(node: Step, step: string): readonly Problem[] {
  switch (node.kind) {
    case 'source':
      return checkEventTime(node, step)
    case 'expect': {
      const fields = rowFields(node.input)
      if (node.rules.length === 0) {
        return [
          problem('INVALID_OPTION', step, 'has no rules', 'Name a field, as in { fare: between(0, 1000) }.'),
        ]
      }
      return node.rules.flatMap((rule) => checkRule(rule, fields, step))
    }
    case 'filter':
      return checkFunction(node.predicate, step, 'row => boolean')
    case 'map':
      return checkFunction(node.transform, step, 'row => outRow')
    case 'dedupe':
      return [
        ...checkKeys(node.by, rowFields(node.input), step, 'by'),
        ...checkDuration(node.withinMs, step, 'within', 1),
        ...requireEventTime(node.input, step),
      ]
    case 'aggregate':
      return checkAggregate(node, step)
    case 'late':
      return []
    default:
      return unreachable(node)
  }
}

function checkEventTime(node: SourceNode, step: string): readonly Problem[] {
  if (node.eventTime === null && node.watermark === null) return []
  if (node.eventTime === null || node.watermark === null) {
    return [
      problem(
        'INVALID_OPTION',
        step,
        node.eventTime === null ? 'has a watermark and no eventTime' : 'has an eventTime and no watermark',
        "Give both: { eventTime: 'at', watermark: boundedOutOfOrderness(seconds(30)) }.",
      ),
    ]
  }
  const { boundMs, idleAfterMs, futureLimitMs } = node.watermark
  return [
    ...checkInstant(node.eventTime, schemaFields(node.schema), step),
    ...checkDuration(boundMs, step, 'the bound of the watermark', 0),
    ...(idleAfterMs === null ? [] : checkDuration(idleAfterMs, step, 'idleAfter', 1)),
    ...checkDuration(futureLimitMs, step, 'futureLimit', 0),
  ]
}

function checkInstant(name: string, fields: readonly Field[], step: string): readonly Problem[] {
  const candidates = fields
    .filter(({ type }) => type.kind === 'timestamp' && !type.local)
    .map((field) => field.name)
  const advice =
    candidates.length === 0
      ? 'The schema has none: give a field the logicalType timestamp-millis or timestamp-micros.'
      : `The timestamps are ${candidates.join(', ')}.`
  const field = findField(fields, name, step)
  if (isProblem(field)) return [{ ...field, advice }]
  if (candidates.includes(name)) return []
  return [
    problem('FIELD_TYPE', step, `eventTime '${name}' is a ${typeText(field.type)}, not a timestamp`, advice),
  ]
}

function checkFunction(value: unknown, step: string, shape: string): readonly Problem[] {
  if (typeof value === 'function') return []
  return [problem('INVALID_OPTION', step, 'has no function', `The last argument is a function ${shape}.`)]
}
