import { ColumnWriter } from '../avro/column-writer.ts'
import type { AvroType } from '../avro/schema-model.ts'
import { historyPosition } from '../checkpoint/history-position.ts'
import { millisAt } from '../columns/cell.ts'
import { type Column, type ColumnBatch, isValid } from '../columns/column.ts'
import { valueAt } from '../columns/row.ts'
import { binaryColumn, int32Column, int64Column } from '../columns/write.ts'
import type { Header, HistoryRecords, RecordBatch } from '../ports.ts'

/** Rows of a bronze table, or of the dead letters, whose columns are found by name. */
export interface HistoryRows {
  readonly batch: ColumnBatch
  readonly columns: HistoryColumns
}

export interface HistoryColumns {
  readonly offset: Column
  readonly timestamp: Column
  readonly ingestedAt: Column
  readonly key: Column
  readonly headers: Column
  readonly schemaId: Column
  /** The bytes of a dead letter; null for the rows of a bronze table, which are written anew. */
  readonly value: Column | null
}

/** Of Confluent. No registry gives the id 0: the bytes of a stored row are of no schema that a registry knows. */
const FRAME = new Uint8Array(5)

/** Rows become the records again that they were made of. */
export class HistoryBatch {
  readonly #writer: ColumnWriter
  readonly #tables: HistoryRecords['tables']
  readonly #recordsMax: number
  readonly #keyStart: Int32Array
  readonly #keyEnd: Int32Array
  readonly #valueStart: Int32Array
  readonly #valueEnd: Int32Array
  readonly #offsets: Float64Array
  readonly #timestampsMs: Float64Array
  readonly #arrivalsMs: Float64Array
  readonly #isStored: Uint8Array
  readonly #schemaIds: Int32Array
  readonly #headers: (readonly Header[] | null)[] = []
  #count = 0

  constructor(schema: AvroType, tables: HistoryRecords['tables'], recordsMax: number) {
    this.#writer = new ColumnWriter(schema)
    this.#tables = tables
    this.#recordsMax = recordsMax
    const ints = () => new Int32Array(recordsMax)
    const doubles = () => new Float64Array(recordsMax)
    ;[this.#keyStart, this.#keyEnd, this.#valueStart, this.#valueEnd] = [ints(), ints(), ints(), ints()]
    ;[this.#offsets, this.#timestampsMs, this.#arrivalsMs] = [doubles(), doubles(), doubles()]
    this.#isStored = new Uint8Array(recordsMax)
    this.#schemaIds = ints()
  }

  get count(): number {
    return this.#count
  }

  isFull(bytesMax: number): boolean {
    return this.#count === this.#recordsMax || this.#writer.length >= bytesMax
  }

  append({ batch, columns }: HistoryRows, row: number): void {
    const writer = this.#writer
    const at = this.#count++
    this.#keyStart[at] = writer.length
    this.#keyEnd[at] = this.#bytes(columns.key, row)
    this.#valueStart[at] = writer.length
    if (columns.value === null) {
      writer.raw(FRAME)
      writer.row(batch, row)
      this.#valueEnd[at] = writer.length
      this.#isStored[at] = 1
    } else this.#valueEnd[at] = this.#bytes(columns.value, row)
    this.#offsets[at] = millisAt(int64Column(columns.offset), row)
    this.#timestampsMs[at] = millisAt(int64Column(columns.timestamp), row)
    this.#arrivalsMs[at] = millisAt(int64Column(columns.ingestedAt), row)
    const id = isValid(columns.schemaId, row) ? int32Column(columns.schemaId).values[row]! : -1
    this.#schemaIds[at] = id
    this.#headers.push(valueAt(columns.headers, row) as readonly Header[] | null)
  }

  toRecords(): RecordBatch {
    const offsets = this.#offsets
    return {
      count: this.#count,
      arena: this.#writer.bytes,
      keyStart: this.#keyStart,
      keyEnd: this.#keyEnd,
      valueStart: this.#valueStart,
      valueEnd: this.#valueEnd,
      offsets,
      timestampsMs: this.#timestampsMs,
      arrivalsMs: this.#arrivalsMs,
      headers: this.#headers.every((headers) => headers === null) ? null : this.#headers,
      history: { isStored: this.#isStored, schemaIds: this.#schemaIds, tables: this.#tables },
      positionAfter: (index) => historyPosition(offsets[index]! + 1),
    }
  }

  /** Where they end; −1 for null. */
  #bytes(column: Column, row: number): number {
    if (!isValid(column, row)) return -1
    const { data, offsets } = binaryColumn(column)
    this.#writer.raw(data, offsets[row], offsets[row + 1])
    return this.#writer.length
  }
}
