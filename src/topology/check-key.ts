import type { Field } from '../columns/column-type.ts'
import { PipelineError } from '../errors.ts'
import { anyTypeText, findField, isGroupable, isProblem } from './field-lookup.ts'
import { keyColumnName } from './key.ts'
import type { ComputedKeySpec, KeySpec } from './node.ts'
import { type Problem, problem, shown } from './problem.ts'
import { fieldOfType } from './result-field.ts'

/** The name of a column that a program makes up. */
export const COLUMN_NAME = /^[A-Za-z][A-Za-z0-9_]*$/

/** `by` of a dedupe: fields, at least one. */
export function checkKeyFields(
  keys: readonly unknown[],
  fields: readonly Field[],
  step: string,
): readonly Problem[] {
  if (keys.length === 0) return [problem('INVALID_OPTION', step, 'by names no field', 'Name at least one.')]
  const problems = keys.flatMap((key) => checkField(key, fields, step))
  return problems.length > 0 ? problems : checkOnce(keys, step, 'by')
}

/** `keyBy` of a window: fields and computed keys, or none at all. */
export function checkKeyBy(
  keys: readonly KeySpec[],
  fields: readonly Field[],
  step: string,
): readonly Problem[] {
  const problems = keys.flatMap((key) =>
    typeof key === 'object' && key !== null ? checkComputed(key, step) : checkField(key, fields, step),
  )
  return problems.length > 0 ? problems : checkOnce(keys.map(keyColumnName), step, 'keyBy')
}

function checkOnce(names: readonly unknown[], step: string, option: string): readonly Problem[] {
  if (new Set(names).size === names.length) return []
  return [problem('INVALID_OPTION', step, `${option} names a field twice`, 'Name each field once.')]
}

const KEYS = 'Keys are strings, ints, longs, booleans, enums, dates, timestamps and uuids.'

function checkField(key: unknown, fields: readonly Field[], step: string): readonly Problem[] {
  if (typeof key !== 'string') {
    return [problem('FIELD_UNKNOWN', step, `${shown(key)} is not a field`, "Name a field, as in 'tripId'.")]
  }
  const field = findField(fields, key, step)
  if (isProblem(field)) return [field]
  if (isGroupable(field.type)) return []
  return [problem('FIELD_TYPE', step, `'${key}' is ${anyTypeText(field.type)}, which cannot be a key`, KEYS)]
}

function checkComputed({ name, type, of }: ComputedKeySpec, step: string): readonly Problem[] {
  const example = "As in computed('hour_of_day', 'int', (row) => …)."
  if (typeof name !== 'string' || !COLUMN_NAME.test(name)) {
    const advice = `The name of a column is letters, digits and _, and begins with a letter. ${example}`
    return [problem('INVALID_NAME', step, `${shown(name)} is not a name for a computed key`, advice)]
  }
  if (typeof of !== 'function') {
    return [problem('INVALID_OPTION', step, `the computed key '${name}' has no function`, example)]
  }
  const field = typeField(name, type, step, `the computed key '${name}'`)
  if (isProblem(field)) return [field]
  if (isGroupable(field.type)) return []
  const what = `the computed key '${name}' is ${anyTypeText(field.type)}, which cannot be a key`
  return [problem('FIELD_TYPE', step, what, KEYS)]
}

/** The column of an Avro type that a program gives, or what is wrong with the type. */
export function typeField(name: string, type: unknown, step: string, whose: string): Field | Problem {
  try {
    return fieldOfType(name, type)
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    const code = error.code === 'SCHEMA_UNSUPPORTED' ? error.code : 'SCHEMA_INVALID'
    return problem(
      code,
      step,
      `the type of ${whose} is ${shown(type)}, which is no Avro type for a column`,
      "As in 'int', ['null', 'string'] or { type: 'long', logicalType: 'timestamp-millis' }.",
    )
  }
}
