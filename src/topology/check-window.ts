import { unreachable } from '../errors.ts'
import type { Field } from '../columns/column-type.ts'
import { checkCount, checkDuration, checkLatePolicy } from './check-option.ts'
import { anyTypeText, findField, isProblem } from './field-lookup.ts'
import type { AggregateNode, CalendarSpec, HoppingSpec, ResultNode, RowNode, WindowSpec } from './node.ts'
import { type Problem, problem, shown } from './problem.ts'
import { isResult } from './table-fields.ts'

const KINDS: ReadonlySet<unknown> = new Set<WindowSpec['kind']>([
  'tumbling',
  'calendar',
  'hopping',
  'sliding',
  'session',
  'count',
  'global',
])

/** A window, what it is over, its triggers and its late rows. */
export function checkWindow(node: AggregateNode, fields: readonly Field[], step: string): readonly Problem[] {
  const { window, late } = node
  if (!KINDS.has(window?.kind)) {
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
    ...checkBounds(window, fields, step),
    ...checkDuration(node.allowedLatenessMs, step, 'allowedLateness', 0),
    ...checkLatePolicy(late, step),
    ...checkTrigger(node, step),
    ...checkLate(node, step),
    ...checkBelow(node.input, step),
  ]
}

function checkBounds(window: WindowSpec, fields: readonly Field[], step: string): readonly Problem[] {
  switch (window.kind) {
    case 'tumbling':
      return [
        ...checkDuration(window.sizeMs, step, 'the size of the window', 1),
        ...checkDuration(window.offsetMs, step, 'the offset of the window', Number.MIN_SAFE_INTEGER),
      ]
    case 'calendar':
      return checkCalendar(window, step)
    case 'hopping':
      return checkHopping(window, step)
    case 'sliding':
      return checkDuration(window.sizeMs, step, 'the size of the window', 1)
    case 'session':
      return [
        ...checkDuration(window.gapMs, step, 'the gap of the session', 1),
        ...(window.gapField === null ? [] : checkGapField(window.gapField, fields, step)),
      ]
    case 'count':
      return checkCount(window.rows, step, 'the number of rows of the window', {
        least: 1,
        most: COUNT_ROWS_MAX,
        example: 'countWindow(100)',
      })
    case 'global':
      return []
    default:
      return unreachable(window)
  }
}

/** Rows wait for their window in memory. */
const COUNT_ROWS_MAX = 1_000_000
/** Each row is added to so many panes. */
const WINDOWS_OF_ROW_MAX = 10_000

function checkHopping({ sizeMs, hopMs, offsetMs }: HoppingSpec, step: string): readonly Problem[] {
  const durations = [
    ...checkDuration(sizeMs, step, 'the size of the window', 1),
    ...checkDuration(hopMs, step, 'every', 1),
    ...checkDuration(offsetMs, step, 'the offset of the window', Number.MIN_SAFE_INTEGER),
  ]
  if (durations.length > 0) return durations
  if (sizeMs / hopMs <= WINDOWS_OF_ROW_MAX) return []
  const advice = `A row is in at most ${WINDOWS_OF_ROW_MAX} windows: hop less often.`
  return [problem('INVALID_OPTION', step, `a row would be in ${Math.ceil(sizeMs / hopMs)} windows`, advice)]
}

function checkCalendar({ unit, timeZone, weekStart }: CalendarSpec, step: string): readonly Problem[] {
  const problems: Problem[] = []
  if (!['day', 'week', 'month'].includes(unit)) {
    problems.push(
      problem(
        'INVALID_OPTION',
        step,
        `the window is tumbling(${shown(unit)})`,
        "It is a duration, as in minutes(5), or 'day', 'week' or 'month'.",
      ),
    )
  }
  if (!isTimeZone(timeZone)) {
    problems.push(
      problem(
        'INVALID_OPTION',
        step,
        `${shown(timeZone)} is not a time zone that this machine knows`,
        "Give its IANA name, as in 'Europe/Berlin' or 'UTC'.",
      ),
    )
  }
  if (!Number.isInteger(weekStart) || weekStart < 1 || weekStart > 7) {
    problems.push(
      problem('INVALID_OPTION', step, 'weekStartsOn is no day of the week', "As in 'monday' or 'sunday'."),
    )
  }
  return problems
}

function isTimeZone(name: unknown): boolean {
  // Offsets like '+01:00' are time zones for some versions of Node and not for others.
  if (typeof name !== 'string' || !/^[A-Za-z]/.test(name)) return false
  try {
    return Intl.DateTimeFormat('en', { timeZone: name }) !== undefined
  } catch {
    return false
  }
}

function checkGapField(path: string, fields: readonly Field[], step: string): readonly Problem[] {
  const field = findField(fields, path, step)
  if (isProblem(field)) return [field]
  if (field.type.kind === 'int32' || field.type.kind === 'int64') return []
  const what = `gapField '${path}' is ${anyTypeText(field.type)}, and a gap is a number of milliseconds`
  return [problem('FIELD_TYPE', step, what, 'Name an int or a long; make one in a map step.')]
}

function checkTrigger({ window, trigger }: AggregateNode, step: string): readonly Problem[] {
  if (trigger === undefined) return []
  if (window.kind === 'sliding' || window.kind === 'count') {
    const advice = 'Leave out early and refine, or choose another window.'
    const what = `the results of a ${window.kind} window are final only`
    return [problem('INVALID_OPTION', step, what, advice)]
  }
  const { earlyEveryMs, earlyEveryRows } = trigger
  const refine: unknown = trigger.refine
  const problems: Problem[] = []
  if (earlyEveryMs !== undefined) problems.push(...checkDuration(earlyEveryMs, step, 'early.every', 1))
  if (earlyEveryRows !== undefined) {
    const range = { least: 1, most: Number.MAX_SAFE_INTEGER, example: 'early: { rows: 1000 }' }
    problems.push(...checkCount(earlyEveryRows, step, 'early.rows', range))
  }
  if (refine !== undefined && refine !== true) {
    problems.push(problem('INVALID_OPTION', step, `refine is ${shown(refine)}`, 'It is true or false.'))
  }
  if (refine === true && window.kind === 'global') {
    const advice = 'Ask for early results: { early: { every: minutes(1) } }.'
    problems.push(
      problem('INVALID_OPTION', step, 'a global window has no end whose result is refined', advice),
    )
  }
  return problems
}

function checkLate({ window, input, late }: AggregateNode, step: string): readonly Problem[] {
  if (isResult(input)) {
    if (late === 'drop') return []
    return [
      problem(
        'INVALID_OPTION',
        step,
        `late is ${shown(late)}, and its rows are results`,
        'Leave it out: results are never late by themselves; those that are revised after they were final are counted.',
      ),
    ]
  }
  if (window.kind !== 'global' || late !== 'side-table') return []
  return [problem('INVALID_OPTION', step, 'no row of a global window is late', 'Leave out late.')]
}

/** A global window has no end, so that its results have no event time. */
function checkBelow(input: RowNode | ResultNode, step: string): readonly Problem[] {
  let below = input
  while (below.kind === 'having') below = below.input
  if (below.kind !== 'aggregate' || below.window.kind !== 'global') return []
  return [
    problem(
      'INVALID_OPTION',
      step,
      `is a window over '${below.name}', whose window is global: its results have no event time`,
      'Give the window below an end, as in tumbling(hours(1)).',
    ),
  ]
}
