import { countText, durationText, shortTime } from './format.ts'
import type { InputLag, LagReport, MergeLag, PartitionLag } from './lag-report.ts'
import type { ShardLag } from './shard-lag.ts'
import type { Channel } from './terminal.ts'
import { textTable } from './text-table.ts'

/** A report as tables for a person. */
export function lagText(report: LagReport, out: Channel): string {
  return reportText(report, true, partitionTable(report.partitions, out), out)
}

/** The same of a stream. */
export function shardLagText(report: LagReport<ShardLag>, out: Channel): string {
  const isExact = report.partitions.every((shard) => shard.isExact)
  return reportText(report, isExact, shardTable(report.partitions, out), out)
}

function reportText(report: LagReport<InputLag>, isExact: boolean, table: string, out: Channel): string {
  const { pipeline, incarnation, at, lagRecords, lagMs } = report
  const head = out.style('bold', `${pipeline}, incarnation ${incarnation}, ${shortTime(at)}`)
  const isBehind = lagRecords > 0 || lagMs > 0
  const records = `${countText(lagRecords)}${isExact ? '' : ' or more'}`
  const behind = `${records} records, ${durationText(lagMs)} behind`
  const total = out.style(isBehind ? 'yellow' : 'green', isBehind ? behind : 'nothing behind')
  const merges = report.merges.length === 0 ? '' : `\n${mergeTable(report.merges, isExact, out)}`
  return `${head}: ${total}\n\n${table}${merges}`
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

function shardTable(shards: readonly ShardLag[], out: Channel): string {
  const columns = [
    text('shard'),
    ...['lag', 'behind', 'unrecorded', 'recorded', 'published'].map(number),
    text('watermark'),
    number('epoch age'),
    { ...text('owner'), shrinks: true },
    text(''),
  ]
  const rows = shards.map((lag) => [
    lag.partition,
    `${countText(lag.lagRecords)}${lag.isExact ? '' : '+'}`,
    spanText(lag.lagMs),
    `${countText(lag.unrecorded)}${lag.isExact ? '' : '+'}`,
    offsetText(lag.recordedOffset),
    offsetText(lag.publishedOffset),
    lag.idle ? `${shortTime(lag.watermark)} idle` : shortTime(lag.watermark),
    spanText(lag.epochAgeMs),
    lag.owner ?? '–',
    lag.note === null ? '' : SHARD_NOTES[lag.note],
  ])
  return textTable(shards.some(({ note }) => note !== null) ? columns : columns.slice(0, -1), rows, out)
}

const SHARD_NOTES = {
  unread: 'nothing recorded yet',
  waiting: 'waits for its parents to be read',
  ended: 'closed, and all published',
  expired: 'the stream has deleted records that were not read',
  recreated: 'the stream was deleted and created again',
} as const

function mergeTable(merges: readonly MergeLag[], isExact: boolean, out: Channel): string {
  const columns = [
    text('merge'),
    ...['lag', 'behind', 'epochs to fold', 'epochs to publish'].map(number),
    text('watermark'),
    number('epoch age'),
    { ...text('owner'), shrinks: true },
  ]
  const rows = merges.map((lag) => [
    lag.task,
    `${countText(lag.lagRecords)}${isExact ? '' : '+'}`,
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
