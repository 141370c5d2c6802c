import { type Column, type ColumnBatch, createBatch } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import { type RowOps, rowOpsFor } from '../columns/row-ops.ts'
import { grownFloat64 } from './accumulate/growth.ts'
import { type KeyJson, keyToJson } from './key-codec.ts'

/** Panes that are gone, at rest. */
export interface GonePanesJson {
  readonly keys: readonly (readonly KeyJson[])[]
  readonly windowStartsMs: readonly number[]
}

/** Panes that have been closed since the last snapshot, which has them: the next one must say that they are gone. */
export class GonePanes {
  readonly #fields: readonly Field[]
  readonly #ops: readonly RowOps[]
  #size = 0
  #countsOnly = false
  #keys: ColumnBatch
  #startsMs = new Float64Array(0)

  constructor(fields: readonly Field[]) {
    this.#fields = fields
    this.#ops = fields.map(rowOpsFor)
    this.#keys = createBatch(fields)
  }

  get size(): number {
    return this.#size
  }

  get isCountOnly(): boolean {
    return this.#countsOnly
  }

  add(keyColumns: readonly Column[], row: number, startMs: number): void {
    const index = this.#size++
    if (this.#countsOnly) return
    for (let i = 0; i < this.#ops.length; i++) {
      this.#ops[i]!.append(keyColumns[i]!, row, this.#keys.columns[i]!)
    }
    this.#keys.length++
    this.#startsMs = grownFloat64(this.#startsMs, index + 1)
    this.#startsMs[index] = startMs
  }

  /** From now on until `clear`: nobody will ask which they are. */
  countOnly(): void {
    if (this.#countsOnly) return
    this.#countsOnly = true
    this.#forget()
  }

  *parts(max: number): Generator<GonePanesJson> {
    for (let from = 0; from < this.#size; from += max) {
      const rows = Array.from({ length: Math.min(max, this.#size - from) }, (_, i) => from + i)
      yield {
        keys: this.#keys.columns.map((column) => rows.map((row) => keyToJson(column, row))),
        windowStartsMs: rows.map((row) => this.#startsMs[row]!),
      }
    }
  }

  clear(): void {
    this.#size = 0
    this.#countsOnly = false
    this.#forget()
  }

  #forget(): void {
    this.#keys = createBatch(this.#fields)
    this.#startsMs = new Float64Array(0)
  }
}
