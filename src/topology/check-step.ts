import { PipelineError, unreachable } from '../errors.ts'
import { checkAggregate } from './check-aggregate.ts'
import { checkEventTime } from './check-event-time.ts'
import { checkKeyFields } from './check-key.ts'
import { checkDuration, checkFunction, checkLatePolicy, checkName, requireEventTime } from './check-option.ts'
import { checkRule } from './check-rule.ts'
import type { ResultNode, RowNode } from './node.ts'
import { type Problem, problem, stepLabel } from './problem.ts'
import { rowFields, schemaFields } from './table-fields.ts'

type Step = RowNode | ResultNode

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
        ...checkKeyFields(node.by, rowFields(node.input), step),
        ...checkDuration(node.withinMs, step, 'within', 1),
        ...requireEventTime(node.input, step),
      ]
    case 'unique':
      return [
        ...checkKeyFields(node.by, rowFields(node.input), step),
        ...checkDuration(node.withinMs, step, 'within', 1),
        ...checkDuration(node.allowedLatenessMs, step, 'allowedLateness', 0),
        ...checkLatePolicy(node.late, step),
        ...requireEventTime(node.input, step),
      ]
    case 'aggregate':
      return checkAggregate(node, step)
    case 'having':
      return checkFunction(node.predicate, step, 'result => boolean')
    case 'late':
      return []
    default:
      return unreachable(node)
  }
}
