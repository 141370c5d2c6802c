import { countText, durationText, shortTime } from './format.ts'
import type { LagReport, MergeLag, PartitionLag } from './lag-report.ts'
import type { Channel } from './terminal.ts'
import { textTable } from './text-table.ts'

/** A report as tables for a person. */
export function lagText(report: LagReport, out: Channel): string {
  const { pipeline, incarnation, at, lagRecords, lagMs } = report
  const head = out.style('bold', `${pipeline}, incarnation ${incarnation}, ${shortTime(at)}`)
  const isBehind = lagRecords > 0
  const behind = `${countText(lagRecords)} records, ${durationText(lagMs)} behind`
  const total = out.style(isBehind ? 'yellow' : 'green', isBehind ? behind : 'nothing behind')
  const merges = report.merges.length === 0 ? '' : `\n${mergeTable(report.merges, out)}`
  return `${head}: ${total}\n\n${partitionTable(report.partitions, out)}${merges}`
}

const number = (name: string) => ({ name, numeric: true })
const text = (name: string) => ({ name, numeric: false })

function partitionTable(partitions: readonly PartitionLag[], out: Channel): string {
  const columns = [
    text('partition'),
    ...['lag', 'behind', 'end', 'recorded', 'published'].map(number),
    text('watermark'),
    number('epoch age'),
    { ...text('owner'), shrinks: true },
    text(''),
  ]
  const rows = partitions.map((lag) => [
    lag.partition,
    countText(lag.lagRecords),
    spanText(lag.lagMs),
    countText(lag.endOffset),
    offsetText(lag.recordedOffset),
    offsetText(lag.publishedOffset),
    lag.idle ? `${shortTime(lag.watermark)} idle` : shortTime(lag.watermark),
    spanText(lag.epochAgeMs),
    lag.owner ?? '–',
    lag.note === null ? '' : NOTES[lag.note],
  ])
  return textTable(partitions.some(({ note }) => note !== null) ? columns : columns.slice(0, -1), rows, out)
}

const NOTES = {
  unread: 'nothing recorded yet',
  expired: 'the topic has deleted records that were not read',
  recreated: 'the topic was deleted and created again',
} as const

function mergeTable(merges: readonly MergeLag[], out: Channel): string {
  const columns = [
    text('merge'),
    ...['lag', 'behind', 'epochs to fold', 'epochs to publish'].map(number),
    text('watermark'),
    number('epoch age'),
    { ...text('owner'), shrinks: true },
  ]
  const rows = merges.map((lag) => [
    lag.task,
    countText(lag.lagRecords),
    spanText(lag.lagMs),
    countText(lag.epochsToFold),
    countText(lag.unpublishedEpochs),
    shortTime(lag.watermark),
    spanText(lag.epochAgeMs),
    lag.owner ?? '–',
  ])
  return textTable(columns, rows, out)
}

function spanText(ms: number | null): string {
  return ms === null ? '–' : ms === 0 ? '0' : durationText(ms)
}

function offsetText(offset: number | null): string {
  return offset === null ? '–' : countText(offset)
}
