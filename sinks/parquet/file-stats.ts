import type { Field } from '../../src/columns/column-type.ts'
import { isValid } from '../../src/columns/column.ts'
import type { Column, StructColumn } from '../../src/columns/column.ts'
import { boundsText } from './bounds-text.ts'
import type { ParquetFooter } from './parquet-reader.ts'
import type { RowChoice } from './row-choice.ts'

/** As many leaf columns as Spark's default, `delta.dataSkippingNumIndexedCols`. */
const INDEXED_LEAVES_MAX = 32

/**
 * Delta's statistics of one file, as JSON text: numRecords, minValues, maxValues, nullCount. Bounds are taken from
 * the Parquet footer and are never narrower than the values; a column that cannot be bounded (NaN, binary, a date that
 * readers cannot parse) has none. Lists and maps have none either.
 * https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics
 */
export function fileStats(footer: ParquetFooter, columns: readonly Column[], rows: RowChoice): string {
  const walk: Walk = { footer, rows, leaf: 0, indexed: 0 }
  const stats = columns.map((column) => columnStats(column, [], walk))
  const part = (name: 'min' | 'max' | 'nullCount') => objectText(columns, stats, name) ?? '{}'
  return `{"numRecords":${footer.rows},"minValues":${part('min')},"maxValues":${part('max')},"nullCount":${part('nullCount')}}`
}

interface Walk {
  readonly footer: ParquetFooter
  readonly rows: RowChoice
  /** The next leaf of the Parquet schema. */
  leaf: number
  indexed: number
}

/** JSON texts; null where there is nothing to say. */
interface ColumnStats {
  readonly min: string | null
  readonly max: string | null
  readonly nullCount: string | null
}

const NOTHING: ColumnStats = { min: null, max: null, nullCount: null }

function columnStats(column: Column, parents: readonly StructColumn[], walk: Walk): ColumnStats {
  if (column.storage === 'struct') {
    const children = column.children.map((child) => columnStats(child, [...parents, column], walk))
    return {
      min: objectText(column.children, children, 'min'),
      max: objectText(column.children, children, 'max'),
      nullCount: objectText(column.children, children, 'nullCount'),
    }
  }
  const statistics = walk.footer.leaves[walk.leaf]!
  walk.leaf += leafCount(column.field)
  walk.indexed++
  if (walk.indexed > INDEXED_LEAVES_MAX || column.storage === 'list' || column.storage === 'map')
    return NOTHING
  const nullCount = String(statistics.nullCount)
  const bounded =
    statistics.bounds !== null && statistics.bounds.length > 0 && !hasNaN(column, parents, walk.rows)
  const texts = bounded ? boundsText(column.field.type, statistics.bounds) : null
  return texts === null ? { ...NOTHING, nullCount } : { ...texts, nullCount }
}

function objectText(
  columns: readonly Column[],
  stats: readonly ColumnStats[],
  name: keyof ColumnStats,
): string | null {
  const members: string[] = []
  for (const [index, column] of columns.entries()) {
    const text = stats[index]![name]
    if (text !== null) members.push(`${JSON.stringify(column.field.name)}:${text}`)
  }
  return members.length === 0 ? null : `{${members.join(',')}}`
}

function leafCount(field: Field): number {
  const type = field.type
  if (type.kind === 'list') return leafCount(type.element)
  if (type.kind === 'map') return 1 + leafCount(type.value)
  if (type.kind !== 'struct') return 1
  return type.fields.reduce((count, child) => count + leafCount(child), 0)
}

/** Parquet's bounds leave NaN out; readers of Delta sort it above everything, so a bound without it would be wrong. */
function hasNaN(column: Column, parents: readonly StructColumn[], rows: RowChoice): boolean {
  if (column.storage !== 'float32' && column.storage !== 'float64') return false
  const { values } = column
  for (let position = rows.start; position < rows.start + rows.count; position++) {
    const row = rows.kind === 'range' ? position : rows.indices[position]!
    const value = values[row]!
    if (value !== value && isValid(column, row) && parents.every((parent) => isValid(parent, row)))
      return true
  }
  return false
}
