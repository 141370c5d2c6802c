import type { HistoryRecords, RecordBatch } from '../ports.ts'
import { type Frame, Selection } from './frame.ts'

/** Which rows of the epoch no bronze table has yet: all, but for those that come out of one again. */
export class UnstoredRows {
  readonly #rows = new Selection()
  /** Null where no row of the epoch comes out of a table. */
  #tables: HistoryRecords['tables'] | null = null

  /** Takes the rows of the range in hand. */
  add(frame: Frame, { history }: RecordBatch): void {
    if (history === undefined && this.#tables === null) return
    const { base, records, batch } = frame
    if (this.#tables === null) {
      this.#tables = history!.tables
      this.#rows.count = 0
      this.#append(base, 0)
    }
    this.#rows.reserve(this.#rows.count + batch.length - base)
    for (let row = base; row < batch.length; row++) {
      if (history?.isStored[records[row - base]!] !== 1) this.#append(1, row)
    }
  }

  /** The rows to be written to a bronze table. */
  of(table: string, length: number): { readonly selection: Int32Array | null; readonly count: number } {
    if (this.#tables === null || !this.#tables.has(table)) return { selection: null, count: length }
    const { rows, count } = this.#rows
    return { selection: count === length ? null : rows, count }
  }

  clear(): void {
    this.#tables = null
  }

  #append(count: number, first: number): void {
    this.#rows.reserve(this.#rows.count + count)
    for (let i = 0; i < count; i++) this.#rows.rows[this.#rows.count++] = first + i
  }
}
