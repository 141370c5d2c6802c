import { unreachable } from '../errors.ts'
import { counted, countText, durationText, shortTime } from './format.ts'
import type { Channel } from './terminal.ts'
import { textTable } from './text-table.ts'
import type { MergeHold, OpenWindow, SourceHold, WindowsReport } from './windows-report.ts'

/** A report as text for a person: who holds the watermark back, since when, and what that keeps open. */
export function windowsText(report: WindowsReport, out: Channel): string {
  const { pipeline, incarnation, at, merges, windows } = report
  const parts = [out.style('bold', `${pipeline}, incarnation ${incarnation}, ${shortTime(at)}`), '']
  for (const merge of merges) parts.push(...mergeLines(merge, out), '')
  if (windows.length > 0) parts.push(windowTable(windows, out))
  return `${parts.join('\n').trimEnd()}\n`
}

function mergeLines(merge: MergeHold, out: Channel): readonly string[] {
  const { task, watermark, owner, epochAgeMs } = merge
  const age = epochAgeMs === null ? 'nothing recorded yet' : `last epoch ${durationText(epochAgeMs)} ago`
  const head = `${out.style('bold', task)}: watermark ${watermark === null ? boundText(merge.watermarkMs) : shortTime(watermark)}, ${age}, ${owner ?? 'nobody runs it'}`
  return [head, ...reasons(merge, out), '', sourceTable(merge.sources, out).trimEnd()]
}

/** One sentence for each task that holds it back; three at most. */
function reasons({ sources, heldBackBy }: MergeHold, out: Channel): readonly string[] {
  if (heldBackBy.length === 0) return ['Nothing holds it back.']
  const lines = sources
    .filter(({ task }) => heldBackBy.includes(task))
    .slice(0, 3)
    .map((source) => `${out.style('yellow', 'held back by')} ${source.task}: ${reason(source)}`)
  const more = heldBackBy.length - lines.length
  return more === 0 ? lines : [...lines, `and by ${counted(more, 'other')} at the same time`]
}

function reason(source: SourceHold): string {
  const { state, since, epochAgeMs, unread, epochsToFold, owner } = source
  if (epochsToFold > 0 && source.watermarkMs > source.foldedWatermarkMs)
    return `it is further on than the merge has folded: ${counted(epochsToFold, 'epoch')} to fold`
  const age = epochAgeMs === null ? '' : durationText(epochAgeMs)
  const who = owner ?? 'nobody'
  switch (state) {
    case 'unheard':
      return owner === null
        ? 'nothing is recorded of it yet, and nobody has claimed it'
        : `nothing is recorded of it yet; ${owner} has claimed it`
    case 'silent':
      return `no epoch for ${age}${unread === null ? '' : `, ${counted(unread, 'record')} wait`}; its owner (${who}) may be down`
    case 'quiet':
      return `all of it is read, and its watermark has stood since ${shortTime(since)}; it becomes idle only where the watermark has idleAfter`
    case 'reading':
      return `it is being read by ${who}, last epoch ${age} ago${unread === null ? '' : `, ${counted(unread, 'record')} to read`}`
    case 'handed-on':
      return 'the shard has ended, and those that follow it have not begun yet'
    case 'waiting':
    case 'idle':
    case 'ended':
      return 'it is not waited for'
    default:
      return unreachable(state)
  }
}

const number = (name: string) => ({ name, numeric: true })
const text = (name: string) => ({ name, numeric: false })

function sourceTable(sources: readonly SourceHold[], out: Channel): string {
  const columns = [
    text('source'),
    text('state'),
    text('watermark'),
    number('ahead'),
    text('since'),
    number('epoch age'),
    number('to fold'),
    number('unread'),
    { ...text('owner'), shrinks: true },
  ]
  const rows = sources.map((source) => [
    source.task,
    source.state,
    source.watermark === null ? boundText(source.watermarkMs) : shortTime(source.watermark),
    aheadText(source.aheadMs),
    shortTime(source.since),
    source.epochAgeMs === null ? '–' : durationText(source.epochAgeMs),
    countText(source.epochsToFold),
    source.unread === null ? '–' : countText(source.unread),
    source.owner ?? '–',
  ])
  return textTable(columns, rows, out)
}

/** Those that are not waited for may be behind the slowest of the others. */
function aheadText(aheadMs: number): string {
  if (aheadMs === 0) return 'slowest'
  return aheadMs > 0 && Number.isFinite(aheadMs) ? durationText(aheadMs) : '–'
}

function windowTable(windows: readonly OpenWindow[], out: Channel): string {
  const columns = [
    text('result'),
    text('task'),
    text('window'),
    text('final at watermark'),
    number('to go'),
    { ...text('waits for'), shrinks: true },
  ]
  const rows = windows.map((window) => [
    window.result,
    window.task,
    window.start === null
      ? `ends ${shortTime(window.end)}`
      : `${shortTime(window.start)} – ${shortTime(window.end)}`,
    shortTime(window.closesAt),
    window.toGoMs === 0 ? 'closed' : Number.isFinite(window.toGoMs) ? durationText(window.toGoMs) : '–',
    waitText(window.waitsFor),
  ])
  return textTable(columns, rows, out)
}

function waitText(tasks: readonly string[]): string {
  if (tasks.length === 0) return 'nothing'
  const more = tasks.length - 3
  return `${tasks.slice(0, 3).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function boundText(watermarkMs: number): string {
  return watermarkMs === Infinity ? 'the end' : 'not begun'
}
