import type { Column, ColumnBatch } from '../../src/columns/column.ts'
import { isValid } from '../../src/columns/column.ts'
import { PipelineError } from '../../src/errors.ts'
import type { PartitionColumn } from '../../src/ports.ts'
import { partitionReader } from './partition-value.ts'
import type { PartitionKey } from './partition-value.ts'
import type { RowChoice } from './row-choice.ts'

/** Each is a file at least. Beyond, the epoch is refused: it would be a flood of tiny files. */
export const PARTITIONS_MAX = 2_000

export interface Partition {
  /** Delta's partitionValues. */
  readonly values: Readonly<Record<string, string | null>>
  /** 'zone=7/pickupAt_day=2024-03-01', escaped; '' where the table is not partitioned. */
  readonly directory: string
  readonly rows: RowChoice
}

/** Splits rows by the values of the partition columns, keeping their order. Partitions are sorted by directory. */
export function splitByPartition(
  partitionBy: readonly PartitionColumn[],
  batch: ColumnBatch,
  rows: RowChoice,
): readonly Partition[] {
  if (partitionBy.length === 0) return [{ values: {}, directory: '', rows }]
  const coded = partitionBy.map((partition) => codeRows(partition, columnNamed(batch, partition.field), rows))
  const { groups, groupOfRow } = groupRows(coded, rows.count)
  const choices = groups.length === 1 ? [rows] : choicesOf(groups.length, groupOfRow, rows)
  const partitions = groups.map((codes, group): Partition => {
    const values = codes.map(
      (code, index) => [partitionName(partitionBy[index]!), coded[index]!.texts[code]!] as const,
    )
    return {
      values: Object.fromEntries(values),
      directory: values.map(([name, text]) => directorySegment(name, text)).join('/'),
      rows: choices[group]!,
    }
  })
  return partitions.sort((a, b) => (a.directory < b.directory ? -1 : 1))
}

/** The column's name in the table. */
export function partitionName(partition: PartitionColumn): string {
  return partition.kind === 'value' ? partition.field : partition.name
}

function columnNamed(batch: ColumnBatch, name: string): Column {
  const column = batch.columns.find((candidate) => candidate.field.name === name)
  if (column !== undefined) return column
  throw new PipelineError(
    'PARTITION_BAD_COLUMN',
    `Cannot partition by ${name}: the table has no such column.`,
  )
}

/** The value of each row as an index into the distinct texts. */
interface CodedRows {
  readonly codes: Int32Array
  readonly texts: readonly (string | null)[]
}

function codeRows(partition: PartitionColumn, column: Column, rows: RowChoice): CodedRows {
  const reader = partitionReader(partition, column)
  const codes = new Int32Array(rows.count)
  const texts: (string | null)[] = []
  const codeOfText = new Map<string | null, number>()
  const codeOfKey = new Map<PartitionKey | null, number>()
  const codeFor = (key: PartitionKey | null): number => {
    const text = key === null ? null : reader.text(key)
    const known = codeOfText.get(text)
    if (known !== undefined) return known
    codeOfText.set(text, texts.length)
    if (texts.push(text) > PARTITIONS_MAX) throw tooMany(column.field.name)
    return texts.length - 1
  }
  let lastKey: PartitionKey | null | undefined
  let lastCode = -1
  for (let index = 0; index < rows.count; index++) {
    const row = rows.kind === 'range' ? rows.start + index : rows.indices[rows.start + index]!
    const key = isValid(column, row) ? reader.key(row) : null
    if (key !== lastKey) {
      lastCode = codeOfKey.get(key) ?? codeFor(key)
      codeOfKey.set(key, lastCode)
      lastKey = key
    }
    codes[index] = lastCode
  }
  return { codes, texts }
}

/** Numbers the combinations of codes that occur. */
function groupRows(
  coded: readonly CodedRows[],
  count: number,
): { groups: number[][]; groupOfRow: Int32Array } {
  const groups: number[][] = []
  const groupOfRow = new Int32Array(count)
  const groupOfKey = new Map<number, number>()
  for (let row = 0; row < count; row++) {
    // At most PARTITIONS_MAX to the power of the columns: exact in a double for four of them.
    let key = 0
    for (const { codes, texts } of coded) key = key * texts.length + codes[row]!
    let group = groupOfKey.get(key)
    if (group === undefined) {
      group = groups.push(coded.map(({ codes }) => codes[row]!)) - 1
      if (group === PARTITIONS_MAX) throw tooMany('its columns')
      groupOfKey.set(key, group)
    }
    groupOfRow[row] = group
  }
  return { groups, groupOfRow }
}

/** The rows of each group, in one array. */
function choicesOf(groupCount: number, groupOfRow: Int32Array, rows: RowChoice): RowChoice[] {
  const counts = new Int32Array(groupCount)
  for (const group of groupOfRow) counts[group]!++
  const next = new Int32Array(groupCount)
  for (let group = 1; group < groupCount; group++) next[group] = next[group - 1]! + counts[group - 1]!
  const starts = next.slice()
  const indices = new Int32Array(rows.count)
  for (let index = 0; index < rows.count; index++) {
    const row = rows.kind === 'range' ? rows.start + index : rows.indices[rows.start + index]!
    indices[next[groupOfRow[index]!]!++] = row
  }
  return Array.from(starts, (start, group) => ({ kind: 'list', indices, start, count: counts[group]! }))
}

/** What Hive and Spark call the partition of null. */
const NULL_SEGMENT = '__HIVE_DEFAULT_PARTITION__'

/**
 * Everything but letters, digits and `_.-~` is percent-encoded, more than Hive asks for, so that the same name is
 * right on every file system and in every URL.
 */
function directorySegment(name: string, text: string | null): string {
  return `${escaped(name)}=${text === null ? NULL_SEGMENT : escaped(text)}`
}

function escaped(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function tooMany(what: string): PipelineError {
  return new PipelineError(
    'TOO_MANY_PARTITIONS',
    `Partitioning by ${what} splits one epoch into more than ${PARTITIONS_MAX} files.`,
    {
      advice: 'Partition by something coarser: the day or month of a timestamp, or a column with few values.',
    },
  )
}
