import type { AvroType } from '../avro/schema-model.ts'
import { millisAt } from '../columns/cell.ts'
import type { Field } from '../columns/column-type.ts'
import type { BinaryColumn, Column, ColumnBatch } from '../columns/column.ts'
import { encodeUtf8 } from '../columns/utf8.ts'
import { binaryColumn, int32Column, int64Column } from '../columns/write.ts'
import { deadLetterFields } from '../engine/dead-letter.ts'
import { recordFields } from '../engine/record-columns.ts'
import { assert } from '../errors.ts'
import type { HistoryRecords, ObjectStore, RecordBatch, SourcePartition, TableDecoder } from '../ports.ts'
import { type HistoryFile, historyGone } from './history.ts'
import { HistoryBatch, type HistoryRows } from './history-batch.ts'
import { keyOfFile } from './task-context.ts'

export interface HistoryFilesOptions {
  readonly store: ObjectStore
  readonly decoder: TableDecoder
  readonly pipeline: string
  /** The program's own, and its columns. */
  readonly schema: AvroType
  readonly fields: readonly Field[]
  /** Bronze tables that have the history; files of others are dead letters. */
  readonly tables: HistoryRecords['tables']
  readonly partition: SourcePartition
  readonly files: readonly HistoryFile[]
  /** Offsets below are left out. */
  readonly from: number
}

/** An open file: the rows in it that are ours, by offset. */
interface Cursor extends HistoryRows {
  readonly isStored: boolean
  readonly rows: Int32Array
  readonly offsets: Column
  at: number
}

/** Of a batch, about. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024

/**
 * The history of one partition in the order of its offsets, out of files that each have a part of it. A file is opened when its lowest offset is due and let
 * go after its last row: in memory are those that overlap, which for Millrace's own files are those of one epoch.
 */
export class HistoryFiles {
  readonly #options: HistoryFilesOptions
  readonly #pending: HistoryFile[]
  readonly #open: Cursor[] = []
  #last: number

  constructor(options: HistoryFilesOptions) {
    const { files, from } = options
    this.#options = options
    this.#pending = files
      .filter(({ last }) => last === undefined || last >= from)
      .toSorted((a, b) => a.first - b.first)
    this.#last = from - 1
  }

  /** Null at the end. After an error it may be called again: what was not given is not lost. */
  async next(recordsMax: number): Promise<RecordBatch | null> {
    for (;;) {
      await this.#openDue()
      if (this.#open.length === 0) return null
      const batch = this.#fill(recordsMax)
      if (batch.count > 0) return batch.toRecords()
    }
  }

  async #openDue(): Promise<void> {
    for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0]) {
      const nearest = this.#nearest()
      if (nearest !== null && next.first > offsetOf(nearest)) return
      const cursor = await this.#openFile(next)
      this.#pending.shift()
      if (cursor.rows.length > 0) this.#open.push(cursor)
    }
  }

  #fill(recordsMax: number): HistoryBatch {
    const { schema, tables } = this.#options
    const batch = new HistoryBatch(schema, tables, recordsMax)
    const frontier = this.#pending[0]?.first ?? Infinity
    for (
      let cursor = this.#nearest();
      cursor !== null && offsetOf(cursor) < frontier && !batch.isFull(BATCH_BYTES_MAX);
      cursor = this.#nearest()
    ) {
      const others = this.#open.filter((one) => one !== cursor)
      const until = Math.min(frontier, ...others.map(offsetOf))
      do {
        const offset = offsetOf(cursor)
        // What is in bronze has been decoded since; it comes first.
        if (offset > this.#last) batch.append(cursor, cursor.rows[cursor.at]!)
        this.#last = Math.max(this.#last, offset)
        cursor.at++
      } while (cursor.at < cursor.rows.length && offsetOf(cursor) < until && !batch.isFull(BATCH_BYTES_MAX))
      if (cursor.at === cursor.rows.length) this.#open.splice(this.#open.indexOf(cursor), 1)
    }
    return batch
  }

  #nearest(): Cursor | null {
    let nearest: Cursor | null = null
    for (const cursor of this.#open) {
      const difference = nearest === null ? -1 : offsetOf(cursor) - offsetOf(nearest)
      if (difference < 0 || (difference === 0 && cursor.isStored)) nearest = cursor
    }
    return nearest
  }

  async #openFile(file: HistoryFile): Promise<Cursor> {
    const { store, decoder, fields, tables, from } = this.#options
    const key = keyOfFile(file.table, file)
    const body = await store.get(key)
    if (body === null) throw historyGone(key)
    const isStored = tables.has(file.table)
    const read = isStored ? [...fields, ...readFields(recordFields([]))] : readFields(LETTER_FIELDS)
    const batch = decoder.decode(read, { file: { ...file, path: key }, body })
    const named = new Map(batch.columns.map((column) => [column.field.name, column]))
    const column = (name: string): Column => {
      const found = named.get(name)
      assert(found !== undefined, `history has the column ${name}`)
      return found
    }
    const offsets = column('_offset')
    return {
      batch,
      isStored,
      offsets,
      rows: this.#rowsOf(batch, column, isStored, Math.max(from, file.from ?? 0)),
      columns: {
        offset: offsets,
        timestamp: column('_timestamp'),
        ingestedAt: column('_ingested_at'),
        key: column('_key'),
        headers: column('_headers'),
        schemaId: column('_schema_id'),
        value: isStored ? null : column('_value'),
      },
      at: 0,
    }
  }

  /** Ours by the rows themselves: others may have put several files into one. */
  #rowsOf(batch: ColumnBatch, column: (name: string) => Column, isStored: boolean, from: number): Int32Array {
    const { partition, pipeline } = this.#options
    const offsets = int64Column(column('_offset'))
    const partitions = int32Column(column('_partition'))
    const is = (name: string, text: string) => sameText(binaryColumn(column(name)), text)
    const conditions = [
      is('_topic', partition.topic),
      ...(isStored ? [] : [is('stage', 'decode'), is('pipeline', pipeline)]),
    ]
    const rows: number[] = []
    let isOrdered = true
    let lastOffset = -1
    for (let row = 0; row < batch.length; row++) {
      const offset = millisAt(offsets, row)
      if (partitions.values[row] !== partition.partition || offset < from) continue
      if (!conditions.every((holds) => holds(row))) continue
      rows.push(row)
      isOrdered &&= offset > lastOffset
      lastOffset = offset
    }
    if (!isOrdered) rows.sort((a, b) => millisAt(offsets, a) - millisAt(offsets, b))
    return Int32Array.from(rows)
  }
}

/** Whether a row of a column is a text: by its bytes, of which most are the same for all rows of a file. */
function sameText({ data, offsets }: BinaryColumn, text: string): (row: number) => boolean {
  const wanted = encodeUtf8(text)
  return (row) => {
    const start = offsets[row]!
    if (offsets[row + 1]! - start !== wanted.length) return false
    for (let i = 0; i < wanted.length; i++) if (data[start + i] !== wanted[i]) return false
    return true
  }
}

/** Of the dead letters, those that are needed. */
const LETTER_FIELDS = deadLetterFields([]).filter(
  ({ name }) => name.startsWith('_') || name === 'stage' || name === 'pipeline',
)

/** Topics as text: the program may read others now. */
function readFields(fields: readonly Field[]): readonly Field[] {
  return fields.map((field) =>
    field.name === '_topic' ? { ...field, type: { kind: 'string' as const } } : field,
  )
}

function offsetOf({ offsets, rows, at }: Cursor): number {
  return millisAt(int64Column(offsets), rows[at]!)
}
