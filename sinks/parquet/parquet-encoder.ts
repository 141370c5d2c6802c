import type { Field } from '../../src/columns/column-type.ts'
import type { Column, ColumnBatch } from '../../src/columns/column.ts'
import { assert, PipelineError } from '../../src/errors.ts'
import type { EncodedFile, TableEncoder, TableShape } from '../../src/ports.ts'
import { arrowSchemaOf } from './arrow-schema.ts'
import { ArrowStreamWriter } from './arrow-stream.ts'
import { batchBytes } from './batch-bytes.ts'
import { fileStats } from './file-stats.ts'
import { nanColumns } from './nan-columns.ts'
import { readFooter } from './parquet-reader.ts'
import { writeParquetFile } from './parquet-writer.ts'
import type { StatisticsColumns } from './parquet-writer.ts'
import { splitByPartition } from './partition-split.ts'
import type { Partition } from './partition-split.ts'
import { allRows, partOf } from './row-choice.ts'
import type { RowChoice } from './row-choice.ts'

/** WASM memory grows with one write and is never given back: a million rows at once took 391 MB. */
const WRITE_ROWS_MAX = 250_000
/** About three times as much memory is needed: the Arrow stream, its copy, the file. */
const WRITE_BYTES_MAX = 64 * 1024 * 1024

/** Parquet files, written from columns by parquet-wasm (parquet-rs) through an Arrow stream. */
export function parquetEncoder(): TableEncoder {
  return new ParquetEncoder()
}

/** What follows from a table's shape alone. */
interface PreparedShape {
  /** Indices of the columns that are in the files: all but the partition columns. */
  readonly columns: readonly number[]
  readonly fields: readonly Field[]
  readonly schema: Uint8Array
  readonly dictionary: readonly string[]
}

class ParquetEncoder implements TableEncoder {
  readonly extension = 'parquet'
  readonly #prepared = new WeakMap<TableShape, PreparedShape>()
  readonly #stream = new ArrowStreamWriter()

  encode(
    shape: TableShape,
    batch: ColumnBatch,
    selection: Int32Array | null,
    count: number,
  ): readonly EncodedFile[] {
    assert(
      batch.columns.length === shape.fields.length,
      `${shape.path}: the batch has other columns than the table`,
    )
    if (count === 0) return []
    const rows: RowChoice =
      selection === null ? allRows(count) : { kind: 'list', indices: selection, start: 0, count }
    const prepared = this.#prepare(shape)
    const columns = prepared.columns.map((index) => batch.columns[index]!)
    const rowsMax = fileRowsMax(shape, columns, batch.length)
    const files: EncodedFile[] = []
    for (const partition of splitByPartition(shape.partitionBy, batch, rows)) {
      for (const part of equalParts(partition.rows, rowsMax)) {
        files.push(this.#encodeFile(shape, prepared, columns, partition, part))
      }
    }
    return files
  }

  #encodeFile(
    shape: TableShape,
    prepared: PreparedShape,
    columns: readonly Column[],
    partition: Partition,
    rows: RowChoice,
  ): EncodedFile {
    const { compression, rowGroupRows } = shape.options
    const { schema, fields, dictionary } = prepared
    const stream = this.#stream.write(schema, columns, rows)
    const statistics = statisticsColumns(columns, rows)
    const body = writeParquetFile(stream, { compression, rowGroupRows, dictionary, statistics })
    const { values: partitionValues, directory } = partition
    return { body, rows: rows.count, partitionValues, directory, stats: fileStats(readFooter(body), fields) }
  }

  #prepare(shape: TableShape): PreparedShape {
    const known = this.#prepared.get(shape)
    if (known !== undefined) return known
    const inDirectory = new Set(
      shape.partitionBy.filter(({ kind }) => kind === 'value').map(({ field }) => field),
    )
    const columns = [...shape.fields.keys()].filter((index) => !inDirectory.has(shape.fields[index]!.name))
    if (columns.length === 0) {
      throw new PipelineError('PARTITION_BAD_COLUMN', `${shape.path}: all columns are partition columns.`, {
        advice: 'Leave at least one column for the files.',
      })
    }
    const fields = columns.map((index) => shape.fields[index]!)
    const prepared = {
      columns,
      fields,
      schema: arrowSchemaOf(fields),
      dictionary: dictionaryColumns(shape, fields),
    }
    this.#prepared.set(shape, prepared)
    return prepared
  }
}

/** parquet-wasm takes dictionaries for top-level columns only. */
function dictionaryColumns(shape: TableShape, fields: readonly Field[]): readonly string[] {
  const named = new Set(shape.options.dictionary)
  return fields.filter(({ name, type }) => type.kind === 'enum' || named.has(name)).map(({ name }) => name)
}

/** A nested NaN costs all nested columns their statistics, because nested ones cannot be named one by one. */
function statisticsColumns(columns: readonly Column[], rows: RowChoice): StatisticsColumns {
  const without = new Set(nanColumns(columns, rows))
  const isNested = [...without].some((column) => column.storage === 'struct')
  const except = columns.filter((column) => (isNested ? !without.has(column) : without.has(column)))
  return { most: !isNested, except: except.map((column) => column.field.name) }
}

function fileRowsMax(shape: TableShape, columns: readonly Column[], batchRows: number): number {
  const bytesPerRow = Math.max(1, batchBytes(columns) / Math.max(1, batchRows))
  return Math.max(
    1,
    Math.min(shape.options.fileRowsMax, WRITE_ROWS_MAX, Math.floor(WRITE_BYTES_MAX / bytesPerRow)),
  )
}

/** As few parts as the limit allows, of nearly the same size. */
function equalParts(rows: RowChoice, rowsMax: number): readonly RowChoice[] {
  const partCount = Math.ceil(rows.count / rowsMax)
  return Array.from({ length: partCount }, (_, part) => {
    const from = Math.floor((rows.count * part) / partCount)
    const to = Math.floor((rows.count * (part + 1)) / partCount)
    return partOf(rows, from, to - from)
  })
}
