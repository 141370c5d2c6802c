import type { ColumnType, Field } from '../columns/column-type.ts'
import { describeStep, tableTitle, topicTitle } from './describe-step.ts'
import { typeText } from './field-lookup.ts'
import type { PipelineSpec, ResultNode, RowNode, TableNode, TopicNode } from './node.ts'
import { countText, numberText, percentText } from './number-text.ts'
import { rowFields, tableFields } from './table-fields.ts'
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
      : `  circuit breaker: stops when more than ${percentText(breaker.maxShare)} of ${countText(breaker.sample, 'record')} in a row become dead letters`,
    ...mergeLines(spec),
    '',
    ...treeLines(treeOf(spec), '', ''),
  ]
  for (const table of spec.tables) lines.push('', ...tableLines(table))
  for (const topic of spec.topics ?? []) lines.push('', ...topicLines(topic))
  return `${lines.join('\n')}\n`
}

function mergeLines({ mergeParallelism, limits }: PipelineSpec): readonly string[] {
  const limitTexts = Object.entries({ ...limits }).map(([name, value]) => `${name} ${numberText(value)}`)
  return [
    ...(mergeParallelism === undefined ? [] : [`  merge tasks: ${numberText(mergeParallelism)}`]),
    ...(limitTexts.length === 0 ? [] : [`  limits: ${limitTexts.join(', ')}`]),
  ]
}

type Node = RowNode | ResultNode | TableNode | TopicNode

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
    const branch: Branch = { ...describeStep(node), children: [] }
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
    `  Parquet, compression ${compression}, files of at most ${countText(fileRowsMax, 'row')} in groups of ${numberText(rowGroupRows)}`,
    ...(dictionary === null || dictionary.length === 0 ? [] : [`  dictionaries: ${dictionary.join(', ')}`]),
    ...columnLines(columns),
  ]
}

function topicLines(topic: TopicNode): readonly string[] {
  return [
    topicTitle(topic),
    `  Avro, schemas registered as ${topic.name}-key and ${topic.name}-value`,
    ...columnLines(rowFields(topic.input).map((field) => [field.name, fieldText(field)] as const)),
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
