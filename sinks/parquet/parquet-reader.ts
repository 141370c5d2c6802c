import { parquetMetadata, parquetReadObjects, parquetSchema } from 'hyparquet'
import { deserializeTCompactProtocol } from 'hyparquet/src/thrift.js'

/** Of one leaf column over all row groups of a file. Bounds are the bytes as Parquet's PLAIN encoding has them. */
export interface LeafStatistics {
  /** Null where the column was written without statistics. */
  readonly nullCount: number | null
  /** Row groups in which the leaf has a value; every one of them must have bounds. */
  readonly bounds: readonly { readonly min: Uint8Array; readonly max: Uint8Array }[] | null
}

export interface ParquetFooter {
  readonly rows: number
  /** In the order of the schema's leaves. */
  readonly leaves: readonly LeafStatistics[]
}

/**
 * Row and null counts and bounds from the footer of a Parquet file. The raw Thrift structs are read, because
 * hyparquet's own metadata turns decimals into doubles. Field numbers are those of parquet.thrift.
 */
export function readFooter(file: Uint8Array): ParquetFooter {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const offset = file.byteLength - 8 - view.getUint32(file.byteLength - 8, true)
  const metadata = deserializeTCompactProtocol({ view, offset }) as unknown as FileMetaData
  const rowGroups = metadata.field_4
  const leafCount = rowGroups[0]?.field_1.length ?? 0
  const leaves = Array.from({ length: leafCount }, (_, leaf) =>
    leafStatistics(rowGroups.map((rowGroup) => rowGroup.field_1[leaf]!.field_3)),
  )
  return { rows: Number(metadata.field_3), leaves }
}

interface FileMetaData {
  /** num_rows, row_groups */
  readonly field_3: bigint
  readonly field_4: readonly { readonly field_1: readonly { readonly field_3: ColumnMetaData }[] }[]
}

interface ColumnMetaData {
  /** num_values, statistics */
  readonly field_5: bigint
  readonly field_12?: Statistics
}

interface Statistics {
  /** null_count, max_value, min_value */
  readonly field_3?: bigint
  readonly field_5?: Uint8Array
  readonly field_6?: Uint8Array
}

function leafStatistics(chunks: readonly ColumnMetaData[]): LeafStatistics {
  let nullCount: number | null = 0
  const bounds: { min: Uint8Array; max: Uint8Array }[] = []
  let isBounded = true
  for (const { field_5: valueCount, field_12: statistics } of chunks) {
    const nulls = statistics?.field_3
    nullCount = nulls === undefined || nullCount === null ? null : nullCount + Number(nulls)
    if (nulls === valueCount) continue
    const min = statistics?.field_6
    const max = statistics?.field_5
    if (min === undefined || max === undefined) isBounded = false
    else bounds.push({ min, max })
  }
  return { nullCount, bounds: isBounded ? bounds : null }
}

/** All rows of some columns, as objects. Columns that the file does not have are left out. */
export async function readRows(
  file: Uint8Array,
  columns: readonly string[],
): Promise<readonly Record<string, unknown>[]> {
  const buffer = file.slice().buffer
  const metadata = parquetMetadata(buffer)
  const present = new Set(parquetSchema(metadata).children.map((child) => child.element.name))
  return parquetReadObjects({ file: buffer, metadata, columns: columns.filter((name) => present.has(name)) })
}
