import { type Column, type ColumnBatch, createBatch, truncateBatch } from '../columns/column.ts'
import { unreachable } from '../errors.ts'
import type { Field } from '../columns/column-type.ts'

/** Row indices that grow. */
export class Selection {
  rows = new Int32Array(1024)
  count = 0

  reserve(count: number): void {
    if (count <= this.rows.length) return
    const rows = new Int32Array(Math.max(count, this.rows.length * 2))
    rows.set(this.rows.subarray(0, this.count))
    this.rows = rows
  }

  append(from: Selection): void {
    this.reserve(this.count + from.count)
    this.rows.set(from.rows.subarray(0, from.count), this.count)
    this.count += from.count
  }
}

/**
 * The rows of one epoch as columns, made by the source or by a map step. Beside the columns, and only for the rows of the range
 * in hand (`base` and above): each row's event time, the watermark that it found, its record in the raw batch, and that record's offset.
 */
export class Frame {
  readonly batch: ColumnBatch
  base = 0
  /** By row − base. */
  timesMs = new Float64Array(0)
  watermarksMs = new Float64Array(0)
  records = new Int32Array(0)
  /** The row's place in its task's order. */
  offsets = new Float64Array(0)

  constructor(fields: readonly Field[]) {
    this.batch = createBatch(fields)
  }

  /** Starts a range of at most `rows` rows. */
  startRange(rows: number): void {
    this.base = this.batch.length
    if (rows <= this.timesMs.length) return
    this.timesMs = new Float64Array(rows)
    this.watermarksMs = new Float64Array(rows)
    this.records = new Int32Array(rows)
    this.offsets = new Float64Array(rows)
  }

  /** Of all strings and bytes: what can make rows large. */
  get textBytes(): number {
    return this.batch.columns.reduce((sum, column) => sum + textBytesOf(column), 0)
  }

  clear(): void {
    truncateBatch(this.batch, 0)
    this.base = 0
  }
}

function textBytesOf(column: Column): number {
  switch (column.storage) {
    case 'binary':
      return column.offsets[column.length]!
    case 'list':
      return textBytesOf(column.element)
    case 'map':
      return textBytesOf(column.keys) + textBytesOf(column.values)
    case 'struct':
      return column.children.reduce((sum, child) => sum + textBytesOf(child), 0)
    case 'int32':
    case 'int64':
    case 'float32':
    case 'float64':
    case 'boolean':
    case 'fixed':
      return 0
    default:
      return unreachable(column)
  }
}
