import { unreachable } from '../errors.ts'
import { describeAggregate } from './describe-aggregate.ts'
import { formatDuration } from './duration.ts'
import type { AggregateNode, KeySpec, LatePolicy, ResultNode, TriggerSpec, WindowSpec } from './node.ts'
import { countText } from './number-text.ts'
import { shown } from './problem.ts'
import { isResult } from './table-fields.ts'

/** ' by zone, hour_of_day (computed, "int")'. */
export function describeKeys(keys: readonly KeySpec[]): string {
  if (keys.length === 0) return ' of all rows in one group'
  return ` by ${keys.map((key) => (typeof key === 'string' ? key : `${key.name} (computed, ${shown(key.type)})`)).join(', ')}`
}

/** Window, results, late rows and aggregates, a line each. */
export function windowDetails(node: AggregateNode): readonly string[] {
  const { input, window, trigger } = node
  return [
    ...(isResult(input) ? [overText(input)] : []),
    describeWindow(window),
    ...(trigger === undefined ? [] : earlyText(trigger)),
    resultText(node),
    ...node.aggregates.map(describeAggregate),
  ]
}

function overText({ kind, name }: ResultNode): string {
  return kind === 'unique'
    ? `over the rows of ${name}`
    : `over the results of ${name}, each once, when it is final`
}

function describeWindow(window: WindowSpec): string {
  switch (window.kind) {
    case 'tumbling':
      return `tumbling windows of ${formatDuration(window.sizeMs)}${offsetText(window.offsetMs)}`
    case 'calendar': {
      const from = window.unit === 'week' ? ` from ${WEEKDAYS[window.weekStart - 1]}` : ''
      return `tumbling windows of a ${window.unit}${from}, time zone ${window.timeZone}`
    }
    case 'hopping':
      return `hopping windows of ${formatDuration(window.sizeMs)} every ${formatDuration(window.hopMs)}${offsetText(window.offsetMs)}`
    case 'sliding':
      return `sliding windows: of each row and those of its key up to ${formatDuration(window.sizeMs)} before it`
    case 'session': {
      const field =
        window.gapField === null ? '' : `, or ${window.gapField} milliseconds where it is above zero`
      return `sessions with a gap of ${formatDuration(window.gapMs)}${field}`
    }
    case 'count':
      return `windows of ${countText(window.rows, 'row')} of a key, in the order of event time`
    case 'global':
      return 'one window that never ends'
    default:
      return unreachable(window)
  }
}

const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']

function offsetText(offsetMs: number): string {
  return offsetMs === 0 ? '' : `, offset ${formatDuration(offsetMs)}`
}

function earlyText({ earlyEveryMs, earlyEveryRows }: TriggerSpec): readonly string[] {
  const parts = [
    ...(earlyEveryMs === undefined ? [] : [`${formatDuration(earlyEveryMs)} of arrival time`]),
    ...(earlyEveryRows === undefined ? [] : [countText(earlyEveryRows, 'row')]),
  ]
  return parts.length === 0 ? [] : [`early results of windows that have changed, every ${parts.join(' or ')}`]
}

function resultText({ input, window, trigger, allowedLatenessMs, late }: AggregateNode): string {
  if (window.kind === 'global') return 'result at the end of a recording; no row is late'
  const end = `the end${latenessText(allowedLatenessMs)}`
  const laterRows = isResult(input) ? 'what comes after that: counted' : `later rows: ${LATE[late]}`
  if (window.kind === 'count') {
    return `rows are counted when the watermark has passed their event time${latenessText(allowedLatenessMs)}; ${laterRows}`
  }
  if (trigger?.refine !== true) return `result when the watermark reaches ${end}; ${laterRows}`
  return `result when the watermark reaches the end, and for each change until ${end}; ${laterRows}`
}

export function latenessText(allowedLatenessMs: number): string {
  return allowedLatenessMs === 0 ? '' : ` + ${formatDuration(allowedLatenessMs)}`
}

export const LATE: Readonly<Record<LatePolicy, string>> = {
  'dead-letter': "dead letter 'late'",
  'side-table': 'a table of their own',
  drop: 'dropped and counted',
}
