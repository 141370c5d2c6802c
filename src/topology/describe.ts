import { simpleName } from '../avro/schema-model.ts'
import type { ColumnType, Field } from '../columns/column-type.ts'
import { unreachable } from '../errors.ts'
import { describeRule } from './describe-rule.ts'
import { formatDuration } from './duration.ts'
import { typeText } from './field-lookup.ts'
import type {
  AggregateNode,
  AggregateSpec,
  LatePolicy,
  NamedAggregate,
  PipelineSpec,
  RowNode,
  SourceNode,
  TableNode,
  TopicNode,
} from './node.ts'
import { tablePath, topicPath } from './problem.ts'
import { goldFields, keyColumnName, schemaFields, tableFields } from './table-fields.ts'
import { outputsOf } from './validate.ts'

/**
 * A pipeline as text for people: the tree of its steps from the source to the tables and topics, then the columns of each.
 */
export function describePipeline(spec: PipelineSpec): string {
  const breaker = spec.circuitBreaker
  const lines = [
    `pipeline ${spec.name}`,
    breaker === null
      ? '  circuit breaker: off'
      : `  circuit breaker: stops when more than ${percent(breaker.maxShare)} of ${count(breaker.sample, 'record')} in a row become dead letters`,
    '',
    ...treeLines(treeOf(spec), '', ''),
  ]
  for (const table of spec.tables) lines.push('', ...tableLines(table))
  for (const topic of spec.topics ?? []) lines.push('', ...topicLines(topic))
  return `${lines.join('\n')}\n`
}

type Node = RowNode | AggregateNode | TableNode | TopicNode

interface Branch {
  readonly title: string
  readonly details: readonly string[]
  readonly children: Branch[]
}

/** Children in the order in which the outputs name them. */
function treeOf(spec: PipelineSpec): Branch {
  const branches = new Map<Node, Branch>()
  const branchOf = (node: Node): Branch => {
    const known = branches.get(node)
    if (known !== undefined) return known
    const branch: Branch = { ...describeNode(node), children: [] }
    branches.set(node, branch)
    if (!('kind' in node) || node.kind !== 'source') branchOf(node.input).children.push(branch)
    return branch
  }
  for (const output of outputsOf(spec)) branchOf(output)
  return branchOf(spec.source)
}

function treeLines(branch: Branch, titlePrefix: string, prefix: string): readonly string[] {
  const lines = [titlePrefix + branch.title]
  const stem = branch.children.length > 0 ? '│  ' : '   '
  for (const detail of branch.details) lines.push(`${prefix}${stem}${detail}`)
  branch.children.forEach((child, index) => {
    const last = index === branch.children.length - 1
    lines.push(...treeLines(child, `${prefix}${last ? '└─ ' : '├─ '}`, `${prefix}${last ? '   ' : '│  '}`))
  })
  return lines
}

function describeNode(node: Node): Omit<Branch, 'children'> {
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
    case 'late':
      return { title: 'late rows', details: [] }
    case 'aggregate':
      return { title: `aggregate ${node.name} by ${node.keyBy.join(', ')}`, details: aggregateDetails(node) }
    case 'topic':
      return { title: topicTitle(node), details: [] }
    default:
      return unreachable(node)
  }
}

function sourceTitle(node: SourceNode): string {
  return `stream ${node.name}: ${schemaTitle(node.schema.avro)}, ${count(schemaFields(node.schema).length, 'field')}`
}

function sourceDetails({ eventTime, watermark }: SourceNode): readonly string[] {
  const decoding = 'records that cannot be decoded: dead letters'
  if (eventTime === null || watermark === null) return [decoding, 'no event time']
  const { boundMs, idleAfterMs, futureLimitMs } = watermark
  return [
    decoding,
    `event time ${eventTime}; null: dead letter 'invalid'; more than ${formatDuration(futureLimitMs)} after arrival: dead letter 'future'`,
    `watermark = newest event time − ${formatDuration(boundMs)}`,
    idleAfterMs === null
      ? 'a partition without records holds the watermark back'
      : `a partition without records for ${formatDuration(idleAfterMs)} is idle`,
  ]
}

function aggregateDetails(node: AggregateNode): readonly string[] {
  const { sizeMs, offsetMs } = node.window
  const offset = offsetMs === 0 ? '' : `, offset ${formatDuration(offsetMs)}`
  const lateness = node.allowedLatenessMs === 0 ? '' : ` + ${formatDuration(node.allowedLatenessMs)}`
  return [
    `tumbling windows of ${formatDuration(sizeMs)}${offset}`,
    `result when the watermark reaches the end${lateness}; later rows: ${LATE[node.late]}`,
    ...node.aggregates.map(describeAggregate),
  ]
}

const LATE: Readonly<Record<LatePolicy, string>> = {
  'dead-letter': "dead letter 'late'",
  'side-table': 'a table of their own',
  drop: 'dropped and counted',
}

function describeAggregate({ name, spec }: NamedAggregate): string {
  return `${name} = ${describeCall(spec)}`
}

function describeCall({ kind, field }: AggregateSpec): string {
  return `${kind}(${field ?? ''})`
}

function tableTitle(table: TableNode): string {
  const partitions = table.partitionBy.map((by) =>
    by.kind === 'value' ? by.field : `${by.kind}(${by.field})`,
  )
  return partitions.length === 0
    ? tablePath(table)
    : `${tablePath(table)}, partitioned by ${partitions.join(', ')}`
}

function tableLines(table: TableNode): readonly string[] {
  const { compression, fileRowsMax, rowGroupRows, dictionary } = table.options
  const fields = tableFields(table)
  const columns = [
    ...fields.map((field) => [field.name, fieldText(field)] as const),
    ...table.partitionBy.flatMap((by) =>
      by.kind === 'value'
        ? []
        : [[`${by.field}_${by.kind}`, `${by.kind} of ${by.field}, from the folder`] as const],
    ),
  ]
  return [
    tableTitle(table),
    `  Parquet, compression ${compression}, files of at most ${count(fileRowsMax, 'row')} in groups of ${number(rowGroupRows)}`,
    ...(dictionary === null || dictionary.length === 0 ? [] : [`  dictionaries: ${dictionary.join(', ')}`]),
    ...columnLines(columns),
  ]
}

function topicTitle(topic: TopicNode): string {
  return `${topicPath(topic)}, keyed by ${topic.input.keyBy.map(keyColumnName).join(', ')}`
}

function topicLines(topic: TopicNode): readonly string[] {
  return [
    topicTitle(topic),
    `  Avro, schemas registered as ${topic.name}-key and ${topic.name}-value`,
    ...columnLines(goldFields(topic.input).map((field) => [field.name, fieldText(field)] as const)),
  ]
}

function columnLines(columns: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(...columns.map(([name]) => name.length))
  return columns.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`)
}

function fieldText({ type, nullable }: Field): string {
  return nullable ? `${columnText(type)} or null` : columnText(type)
}

function columnText(type: ColumnType): string {
  if (type.kind === 'enum') return `enum of ${type.symbols.join(', ')}`
  if (type.kind !== 'struct') return typeText(type)
  if (type.union === true) return `one of ${type.fields.map(({ name }) => name).join(', ')}`
  const members = type.fields.map((field) => `${field.name} ${fieldText(field)}`)
  return `record { ${members.join(', ')} }`
}

function schemaTitle(avro: unknown): string {
  const name = typeof avro === 'object' && avro !== null && 'name' in avro ? avro.name : null
  return typeof name === 'string' ? simpleName(name) : 'record'
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`
}

function count(amount: number, noun: string): string {
  return `${number(amount)} ${noun}${amount === 1 ? '' : 's'}`
}

/** 250,000: by hand, because what toLocaleString prints depends on the machine. */
function number(amount: number): string {
  return String(amount).replace(/\B(?=(\d{3})+$)/g, ',')
}
