import { compileAppender } from '../../src/columns/append.ts'
import { createBatch } from '../../src/columns/column.ts'
import type { ColumnBatch } from '../../src/columns/column.ts'
import type { ColumnType, Field } from '../../src/columns/column-type.ts'
import type {
  ObjectStore,
  PartitionColumn,
  StagedFile,
  TableEncoder,
  TableLog,
  TableShape,
} from '../../src/ports.ts'

/** A row as `compileAppender` takes it. */
export type RowObject = Readonly<Record<string, unknown>>

export const field = (name: string, type: ColumnType, nullable = false): Field => ({ name, type, nullable })
export const LONG: ColumnType = { kind: 'int64' }
export const INT: ColumnType = { kind: 'int32' }
export const STRING: ColumnType = { kind: 'string' }
export const DOUBLE: ColumnType = { kind: 'float64' }
export const MILLIS: ColumnType = { kind: 'timestamp', unit: 'millis', local: false }
export const MICROS: ColumnType = { kind: 'timestamp', unit: 'micros', local: false }

export function shapeOf(
  path: string,
  fields: readonly Field[],
  partitionBy: readonly PartitionColumn[] = [],
  options: Partial<TableShape['options']> = {},
): TableShape {
  return {
    path,
    fields,
    partitionBy,
    options: { compression: 'snappy', rowGroupRows: 1_000, fileRowsMax: 100_000, dictionary: [], ...options },
  }
}

export function batchOf(fields: readonly Field[], rows: readonly RowObject[]): ColumnBatch {
  const append = compileAppender(fields)
  const batch = createBatch(fields)
  for (const row of rows) {
    const why = append(row, batch.columns)
    if (why !== null) throw new Error(why)
  }
  batch.length = rows.length
  return batch
}

/** Encodes and stores rows as the runtime stages them, without a commit. */
export async function stage(
  store: ObjectStore,
  encoder: TableEncoder,
  shape: TableShape,
  rows: readonly RowObject[],
  name: string,
): Promise<readonly StagedFile[]> {
  const files = encoder.encode(shape, batchOf(shape.fields, rows), null, rows.length)
  const staged: StagedFile[] = []
  for (const [index, file] of files.entries()) {
    const path = `${file.directory === '' ? '' : `${file.directory}/`}${name}-${index}.${encoder.extension}`
    await store.putIfAbsent(`${shape.path}/${path}`, file.body)
    staged.push({
      path: path.split('/').map(encodeURIComponent).join('/').replaceAll('%3D', '='),
      size: file.body.length,
      rows: file.rows,
      partitionValues: file.partitionValues,
      stats: file.stats,
      modifiedMs: 1_700_000_000_000,
      tags: { 'millrace.epoch': name },
    })
  }
  return staged
}

/** Commits as the next version, or fails. */
export async function commit(
  log: TableLog,
  add: readonly StagedFile[],
  rest: { remove?: readonly StagedFile[]; txn?: ReadonlyMap<string, number>; committedMs?: number } = {},
): Promise<number> {
  const { version } = await log.refresh()
  const outcome = await log.commit(version + 1, {
    metadata: version < 0 ? { configuration: { 'millrace.pipeline': 'test' } } : null,
    add,
    remove: rest.remove ?? [],
    txn: rest.txn ?? new Map(),
    committedMs: rest.committedMs ?? 1_700_000_000_000 + version,
    operation: 'WRITE',
    info: {},
  })
  if (outcome !== 'committed') throw new Error(`version ${version + 1} was lost`)
  return version + 1
}
