import type { Field } from '../columns/column-type.ts'
import { findField, isGroupable, isProblem, typeText } from './field-lookup.ts'
import type { AggregateNode, RowNode, SourceNode } from './node.ts'
import { type Problem, problem, shown } from './problem.ts'

/** Checks of what several steps have: a name, keys, durations, event time. */

const NAME = /^[a-z][a-z0-9_]*$/
/** Names become folders, and parts of keys in the object store. */
const NAME_CHARACTERS_MAX = 100

/** Names are found again after years, in folders and in state: one way to write them. */
export function checkName(name: unknown, step: string): readonly Problem[] {
  if (typeof name === 'string' && NAME.test(name) && name.length <= NAME_CHARACTERS_MAX) return []
  return [
    problem(
      'INVALID_NAME',
      step,
      `${shown(name)} is not a name`,
      `A name is lower-case letters, digits and _, begins with a letter and has at most ${NAME_CHARACTERS_MAX} characters.`,
    ),
  ]
}

export function checkKeys(
  keys: readonly unknown[],
  fields: readonly Field[],
  step: string,
  option: string,
): readonly Problem[] {
  if (keys.length === 0)
    return [problem('INVALID_OPTION', step, `${option} names no field`, 'Name at least one.')]
  const problems = keys.flatMap((key) => checkKey(key, fields, step))
  if (problems.length > 0 || new Set(keys).size === keys.length) return problems
  return [problem('INVALID_OPTION', step, `${option} names a field twice`, 'Name each field once.')]
}

function checkKey(key: unknown, fields: readonly Field[], step: string): readonly Problem[] {
  if (typeof key !== 'string') {
    return [problem('FIELD_UNKNOWN', step, `${shown(key)} is not a field`, "Name a field, as in 'tripId'.")]
  }
  const field = findField(fields, key, step)
  if (isProblem(field)) return [field]
  if (isGroupable(field.type)) return []
  return [
    problem(
      'FIELD_TYPE',
      step,
      `'${key}' is a ${typeText(field.type)}, which cannot be a key`,
      'Keys are strings, ints, longs, booleans, enums, dates, timestamps and uuids.',
    ),
  ]
}

export function requireEventTime(input: RowNode, step: string): readonly Problem[] {
  const source = sourceOf(input)
  if (source.eventTime !== null) return []
  return [
    problem(
      'NO_EVENT_TIME',
      step,
      `stream '${source.name}' has no event time`,
      `Give it one: stream('${source.name}', …, { eventTime: 'at', watermark: boundedOutOfOrderness(seconds(30)) }).`,
    ),
  ]
}

/** The stream that a step reads in the end. */
export function sourceOf(node: RowNode | AggregateNode): SourceNode {
  let current = node
  while (current.kind !== 'source') current = current.input
  return current
}

/** Whole milliseconds, so that window arithmetic is exact. */
export function checkDuration(
  valueMs: unknown,
  step: string,
  option: string,
  leastMs: number,
): readonly Problem[] {
  if (Number.isSafeInteger(valueMs) && (valueMs as number) >= leastMs) return []
  const what = valueMs === undefined ? 'is not given' : `is ${shown(valueMs)} ms`
  const advice =
    leastMs === 1
      ? 'It is at least one millisecond, as in minutes(5).'
      : 'It is a duration, as in minutes(5).'
  return [problem('INVALID_DURATION', step, `${option} ${what}`, advice)]
}
