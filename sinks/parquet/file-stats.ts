import type { Field } from '../../src/columns/column-type.ts'
import { boundsText } from './bounds-text.ts'
import type { ParquetFooter } from './parquet-reader.ts'

/** As many leaf columns as Spark's default, `delta.dataSkippingNumIndexedCols`. */
const INDEXED_LEAVES_MAX = 32

/**
 * Delta's statistics of one file, as JSON text: numRecords, minValues, maxValues, nullCount. Bounds are taken from
 * the Parquet footer and are never narrower than the values; a column that cannot be bounded (NaN, binary, a date that
 * readers cannot parse) has none. Lists and maps have none either.
 * https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics
 */
export function fileStats(footer: ParquetFooter, fields: readonly Field[]): string {
  const walk: Walk = { footer, leaf: 0, indexed: 0 }
  const stats = fields.map((field) => fieldStats(field, walk))
  const part = (name: 'min' | 'max' | 'nullCount') => objectText(fields, stats, name) ?? '{}'
  return `{"numRecords":${footer.rows},"minValues":${part('min')},"maxValues":${part('max')},"nullCount":${part('nullCount')}}`
}

interface Walk {
  readonly footer: ParquetFooter
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

function fieldStats(field: Field, walk: Walk): ColumnStats {
  const { type } = field
  if (type.kind === 'struct') {
    const children = type.fields.map((child) => fieldStats(child, walk))
    return {
      min: objectText(type.fields, children, 'min'),
      max: objectText(type.fields, children, 'max'),
      nullCount: objectText(type.fields, children, 'nullCount'),
    }
  }
  const statistics = walk.footer.leaves[walk.leaf]!
  walk.leaf += leafCount(field)
  walk.indexed++
  if (walk.indexed > INDEXED_LEAVES_MAX || type.kind === 'list' || type.kind === 'map') return NOTHING
  const nullCount = statistics.nullCount === null ? null : String(statistics.nullCount)
  const isBounded = statistics.bounds !== null && statistics.bounds.length > 0
  const texts = isBounded ? boundsText(type, statistics.bounds) : null
  return texts === null ? { ...NOTHING, nullCount } : { ...texts, nullCount }
}

function objectText(
  fields: readonly Field[],
  stats: readonly ColumnStats[],
  name: keyof ColumnStats,
): string | null {
  const members: string[] = []
  for (const [index, field] of fields.entries()) {
    const text = stats[index]![name]
    if (text !== null) members.push(`${JSON.stringify(field.name)}:${text}`)
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
