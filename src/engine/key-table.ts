import { type Column, type ColumnBatch, createBatch, truncateBatch } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import { type RowOps, rowOpsFor } from '../columns/row-ops.ts'

const SLOTS_MIN = 1024

/**
 * Gives each distinct key a dense id, 0, 1, 2, … in order of arrival. The keys themselves are the rows of a batch, so they
 * can be written to a table without ever having been JavaScript values. Open addressing, linear probing, load at most 1/2.
 */
export class KeyTable {
  readonly keys: ColumnBatch
  readonly #ops: readonly RowOps[]
  #slots = new Int32Array(SLOTS_MIN).fill(-1)
  /** Of each key, so that growing and most comparisons do not read the key again. */
  #hashes = new Int32Array(SLOTS_MIN)

  constructor(fields: readonly Field[]) {
    this.keys = createBatch(fields)
    this.#ops = fields.map(rowOpsFor)
  }

  get size(): number {
    return this.keys.length
  }

  /** The id of the key in a row of other columns; a new one is added. */
  idOf(columns: readonly Column[], row: number): number {
    const hash = this.#hashOf(columns, row)
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hash & mask
    for (;;) {
      const id = slots[slot]!
      if (id < 0) return this.#add(columns, row, hash, slot)
      if (this.#hashes[id] === hash && this.#equal(columns, row, id)) return id
      slot = (slot + 1) & mask
    }
  }

  /** Like `idOf` for every row of a selection: ids[i] is the id of rows[i]. */
  idsOf(columns: readonly Column[], rows: Int32Array, count: number, ids: Int32Array): void {
    for (let i = 0; i < count; i++) ids[i] = this.idOf(columns, rows[i]!)
  }

  /** Forgets all keys and keeps the memory. */
  clear(): void {
    truncateBatch(this.keys, 0)
    this.#slots.fill(-1)
  }

  #hashOf(columns: readonly Column[], row: number): number {
    const ops = this.#ops
    // No key at all is one group.
    if (ops.length === 0) return 0
    let hash = ops[0]!.hash(columns[0]!, row)
    for (let i = 1; i < ops.length; i++) hash = Math.imul(hash, 31) + ops[i]!.hash(columns[i]!, row)
    return hash | 0
  }

  #equal(columns: readonly Column[], row: number, id: number): boolean {
    const ops = this.#ops
    for (let i = 0; i < ops.length; i++) {
      if (!ops[i]!.equal(columns[i]!, row, this.keys.columns[i]!, id)) return false
    }
    return true
  }

  #add(columns: readonly Column[], row: number, hash: number, slot: number): number {
    const id = this.keys.length
    for (let i = 0; i < this.#ops.length; i++) {
      this.#ops[i]!.append(columns[i]!, row, this.keys.columns[i]!)
    }
    this.keys.length = id + 1
    if (id >= this.#hashes.length) {
      const hashes = new Int32Array(this.#hashes.length * 2)
      hashes.set(this.#hashes)
      this.#hashes = hashes
    }
    this.#hashes[id] = hash
    this.#slots[slot] = id
    if ((id + 1) * 2 > this.#slots.length) this.#grow()
    return id
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(-1)
    const mask = slots.length - 1
    for (let id = 0; id < this.keys.length; id++) {
      let slot = this.#hashes[id]! & mask
      while (slots[slot]! >= 0) slot = (slot + 1) & mask
      slots[slot] = id
    }
    this.#slots = slots
  }
}
