import type { LatePolicy, ResultNode, RowNode, SourceNode } from './node.ts'
import { type Problem, problem, shown } from './problem.ts'

/** Checks of what several steps have: a name, durations, counts, functions, event time, late rows. */

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

export function requireEventTime(input: RowNode | ResultNode, step: string): readonly Problem[] {
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
export function sourceOf(node: RowNode | ResultNode): SourceNode {
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

/** A whole number of something, as in 'k'. */
export function checkCount(
  value: unknown,
  step: string,
  option: string,
  { least, most, example }: { readonly least: number; readonly most: number; readonly example: string },
): readonly Problem[] {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) return []
  return [
    problem(
      'INVALID_OPTION',
      step,
      value === undefined ? `${option} is not given` : `${option} is ${shown(value)}`,
      `It is a whole number from ${least} to ${most}, as in ${example}.`,
    ),
  ]
}

export function checkFunction(value: unknown, step: string, shape: string): readonly Problem[] {
  if (typeof value === 'function') return []
  return [problem('INVALID_OPTION', step, 'has no function', `The last argument is a function ${shape}.`)]
}

const LATE_POLICIES: ReadonlySet<unknown> = new Set<LatePolicy>(['dead-letter', 'drop', 'side-table'])

export function checkLatePolicy(late: unknown, step: string): readonly Problem[] {
  if (LATE_POLICIES.has(late)) return []
  return [
    problem('INVALID_OPTION', step, `late is ${shown(late)}`, "It is 'dead-letter', 'drop' or 'side-table'."),
  ]
}
