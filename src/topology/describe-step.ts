import { simpleName } from '../avro/schema-model.ts'
import { unreachable } from '../errors.ts'
import { describeRule } from './describe-rule.ts'
import { describeKeys, LATE, latenessText, windowDetails } from './describe-window.ts'
import { formatDuration } from './duration.ts'
import { keyColumnName } from './key.ts'
import type {
  AggregateNode,
  ResultNode,
  RowNode,
  SourceNode,
  TableNode,
  TopicNode,
  UniqueNode,
  WatermarkSpec,
} from './node.ts'
import { countText } from './number-text.ts'
import { tablePath, topicPath } from './problem.ts'
import { schemaFields } from './table-fields.ts'

export interface StepDescription {
  readonly title: string
  readonly details: readonly string[]
}

/** A step, a table or a topic for people: what it is, and a line for each thing that it does. */
export function describeStep(node: RowNode | ResultNode | TableNode | TopicNode): StepDescription {
  if ('layer' in node) return { title: tableTitle(node), details: [] }
  switch (node.kind) {
    case 'source':
      return { title: sourceTitle(node), details: sourceDetails(node) }
    case 'expect':
      return {
        title: `expect ${node.name}, else dead letter 'invalid'`,
        details: node.rules.map(({ field, rule }) => `${field} ${describeRule(rule)}`),
      }
    case 'filter':
      return { title: `filter ${node.name}: other rows are dropped and counted`, details: [] }
    case 'map':
      return { title: `map ${node.name} → ${schemaTitle(node.schema.avro)}`, details: [] }
    case 'dedupe':
      return {
        title: `dedupe ${node.name}: one row per ${node.by.join(', ')} within ${formatDuration(node.withinMs)}`,
        details: [],
      }
    case 'unique':
      return {
        title: `unique ${node.name}: one row per ${node.by.join(', ')} within ${formatDuration(node.withinMs)}, over all partitions`,
        details: [
          `rows leave when the watermark has passed their event time${latenessText(node.allowedLatenessMs)}; later rows: ${LATE[node.late]}`,
        ],
      }
    case 'late':
      return { title: 'late rows', details: [] }
    case 'aggregate':
      return {
        title: `aggregate ${node.name}${describeKeys(node.keyBy)}`,
        details: windowDetails(node),
      }
    case 'having':
      return { title: `having ${node.name}: other results are left out`, details: [] }
    case 'topic':
      return { title: topicTitle(node), details: [] }
    default:
      return unreachable(node)
  }
}

function sourceTitle(node: SourceNode): string {
  return `stream ${node.name}: ${schemaTitle(node.schema.avro)}, ${countText(schemaFields(node.schema).length, 'field')}`
}

function sourceDetails({ eventTime, watermark }: SourceNode): readonly string[] {
  const decoding = 'records that cannot be decoded: dead letters'
  if (eventTime === null || watermark === null) return [decoding, 'no event time']
  const { idleAfterMs, futureLimitMs, alignWithinMs } = watermark
  return [
    decoding,
    `event time ${eventTime}; null: dead letter 'invalid'; more than ${formatDuration(futureLimitMs)} after arrival: dead letter 'future'`,
    `watermark = ${describeWatermark(watermark)}`,
    idleAfterMs === null
      ? 'a partition without records holds the watermark back'
      : `a partition without records for ${formatDuration(idleAfterMs)} is idle`,
    ...(alignWithinMs === undefined
      ? []
      : [`a partition that is ${formatDuration(alignWithinMs)} ahead of the slowest waits`]),
  ]
}

function describeWatermark(watermark: WatermarkSpec): string {
  switch (watermark.kind) {
    case 'bounded-out-of-orderness':
      return watermark.boundMs === 0
        ? 'newest event time'
        : `newest event time − ${formatDuration(watermark.boundMs)}`
    case 'punctuated':
      return `newest ${watermark.field}`
    case 'custom':
      return 'greatest of a function of its own'
    default:
      return unreachable(watermark)
  }
}

/** With its partitions. */
export function tableTitle(table: TableNode): string {
  const partitions = table.partitionBy.map((by) =>
    by.kind === 'value' ? by.field : `${by.kind}(${by.field})`,
  )
  return [
    tablePath(table),
    ...(partitions.length === 0 ? [] : [`partitioned by ${partitions.join(', ')}`]),
    ...(table.revisions === 'all' ? ['a row for each revision'] : []),
  ].join(', ')
}

/** With the fields of its key. */
export function topicTitle(topic: TopicNode): string {
  let { input } = topic
  while (input.kind === 'having') input = input.input
  return `${topicPath(topic)}, keyed by ${recordKey(input).join(', ')}`
}

function recordKey(input: AggregateNode | UniqueNode): readonly string[] {
  if (input.kind === 'unique') return input.by
  const number = input.window.kind === 'count' ? ['window_number'] : []
  return [...input.keyBy.map(keyColumnName), 'window_start', 'window_end', ...number]
}

function schemaTitle(avro: unknown): string {
  const name = typeof avro === 'object' && avro !== null && 'name' in avro ? avro.name : null
  return typeof name === 'string' ? simpleName(name) : 'record'
}
