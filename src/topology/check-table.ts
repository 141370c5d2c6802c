import type { ColumnType, Field } from '../columns/column-type.ts'
import { checkName } from './check-option.ts'
import { anyTypeText, findField, isPartitionable, isProblem } from './field-lookup.ts'
import type { PartitionSpec, TableNode } from './node.ts'
import { type Problem, problem, shown, tablePath } from './problem.ts'
import { tableFields } from './table-fields.ts'

/** What is wrong with a table, its input being right. */
export function checkTable(table: TableNode): readonly Problem[] {
  const path = `table ${tablePath(table)}`
  const named = checkName(table.name, `table ${table.layer}`)
  const layered = checkLayer(table, path)
  if (layered.length > 0) return [...named, ...layered]
  const fields = tableFields(table)
  return [
    ...named,
    ...checkColumns(table, fields, path),
    ...table.partitionBy.flatMap((by) => checkPartition(by, fields, path)),
    ...checkDictionary(table, fields, path),
    ...checkOptions(table, path),
  ]
}

function checkLayer({ layer, input }: TableNode, path: string): readonly Problem[] {
  const kind: unknown = input?.kind
  switch (layer) {
    case 'bronze':
      if (kind === 'source') return []
      return [
        problem(
          'WRONG_LAYER',
          path,
          'bronze holds the records as they arrive',
          'Give it what stream() returned, without further steps.',
        ),
      ]
    case 'silver':
      if (kind !== undefined && kind !== 'aggregate' && kind !== 'having') return []
      return [problem('WRONG_LAYER', path, 'silver holds rows', 'Results of aggregate() go to gold().')]
    case 'gold':
      if (kind === 'aggregate' || kind === 'having') return []
      if (kind === undefined) {
        const advice = 'A keyed or windowed stream has no results yet: end it with .aggregate(…).'
        return [problem('WRONG_LAYER', path, 'gold holds the results of windows', advice)]
      }
      return [problem('WRONG_LAYER', path, 'gold holds the results of windows', 'Rows go to silver().')]
    default:
      return [problem('WRONG_LAYER', path, 'is no table', 'Make it with bronze(), silver() or gold().')]
  }
}

function checkColumns(table: TableNode, fields: readonly Field[], path: string): readonly Problem[] {
  const derived = table.partitionBy.flatMap((by) => (by.kind === 'value' ? [] : [`${by.field}_${by.kind}`]))
  const seen = new Set<string>()
  const problems: Problem[] = []
  for (const name of [...fields.map((field) => field.name), ...derived]) {
    if (seen.has(name.toLowerCase())) {
      problems.push(
        problem(
          'DUPLICATE_NAME',
          path,
          `would have the column '${name}' twice`,
          'Rename the field in a map step; the names of columns ignore case.',
        ),
      )
    }
    seen.add(name.toLowerCase())
  }
  return problems
}

function checkPartition(by: PartitionSpec, fields: readonly Field[], path: string): readonly Problem[] {
  const field = topLevel(fields, by.field, path)
  if (isProblem(field)) return [field]
  const refused = partitionRefusal(by.kind, field.type)
  if (field.name === '_processed_at') {
    return [
      problem(
        'INVALID_OPTION',
        path,
        "cannot be partitioned by '_processed_at'",
        'A second run of the same input would make other folders.',
      ),
    ]
  }
  if (refused === null) return []
  return [
    problem(
      'FIELD_TYPE',
      path,
      `cannot be partitioned by '${by.field}', ${anyTypeText(field.type)}`,
      refused,
    ),
  ]
}

/** Null where such a column can be a partition. */
function partitionRefusal(kind: PartitionSpec['kind'], type: ColumnType): string | null {
  switch (kind) {
    case 'value':
      if (isPartitionable(type)) return null
      return type.kind === 'timestamp'
        ? 'Use day(), hour() or month() of a timestamp.'
        : 'Partitions are strings, ints, longs, booleans, enums and dates, or days, hours and months.'
    case 'hour':
      return type.kind === 'timestamp' ? null : 'hour() takes a timestamp.'
    case 'day':
    case 'month':
      return type.kind === 'timestamp' || type.kind === 'date'
        ? null
        : `${kind}() takes a timestamp or a date.`
    default:
      return 'It is a field, or day(), hour() or month() of one.'
  }
}

function checkDictionary(table: TableNode, fields: readonly Field[], path: string): readonly Problem[] {
  return (table.options.dictionary ?? []).flatMap((name) => {
    const field = topLevel(fields, name, path)
    if (isProblem(field)) return [field]
    const nested = field.type.kind === 'list' || field.type.kind === 'map' || field.type.kind === 'struct'
    if (!nested && field.type.kind !== 'boolean') return []
    return [
      problem(
        'FIELD_TYPE',
        path,
        `'${name}' is ${anyTypeText(field.type)} and has no dictionary`,
        'Name columns of strings and numbers that repeat.',
      ),
    ]
  })
}

/** Partitions and dictionaries are of whole columns. */
function topLevel(fields: readonly Field[], name: string, path: string): Field | Problem {
  const found = findField(fields, name, path)
  if (isProblem(found) || !name.includes('.')) return found
  return problem(
    'FIELD_UNKNOWN',
    path,
    `'${name}' is not a column of its own`,
    'Bring it to the top level in a map step.',
  )
}

function checkOptions({ options, revisions }: TableNode, path: string): readonly Problem[] {
  const problems: Problem[] = []
  if (revisions !== undefined && revisions !== 'all') {
    problems.push(
      problem('INVALID_OPTION', path, `revisions is ${shown(revisions)}`, "It is 'newest' or 'all'."),
    )
  }
  if (!['snappy', 'zstd', 'none'].includes(options.compression)) {
    problems.push(
      problem(
        'INVALID_OPTION',
        path,
        `compression is ${shown(options.compression)}`,
        "It is 'snappy', 'zstd' or 'none'.",
      ),
    )
  }
  for (const name of ['rowGroupRows', 'fileRowsMax'] as const) {
    const rows = options[name]
    if (Number.isSafeInteger(rows) && rows >= 1) continue
    problems.push(
      problem(
        'INVALID_OPTION',
        path,
        `${name} is ${shown(rows)}`,
        'It is a whole number of rows, at least 1.',
      ),
    )
  }
  return problems
}
