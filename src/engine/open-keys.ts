import { type Column, type ColumnBatch, createBatch } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import { type RowOps, rowOpsFor } from '../columns/row-ops.ts'
import { grownInt32 } from './accumulate/growth.ts'

/** Keys of a segment. Growing copies one segment, and forgetting frees it. */
const SEGMENT_BITS = 14
const SEGMENT_KEYS = 1 << SEGMENT_BITS
const SLOTS_MIN = 256
const NOTHING: ColumnBatch = { length: 0, columns: [] }

/**
 * The keys of open panes: each distinct key has an id for as long as a pane refers to it, and often longer, because keys come back. Open
 * addressing, linear probing, load at most 2/3. Keys that nobody refers to are swept out when the table would have to grow.
 */
export class OpenKeys {
  readonly #fields: readonly Field[]
  readonly #ops: readonly RowOps[]
  /** Told of a sweep: `ids[old]` is the new id. */
  readonly #moved: (ids: Int32Array) => void
  #segments: ColumnBatch[] = []
  #size = 0
  /** Id + 1; 0 is an empty slot. */
  #slots = new Int32Array(SLOTS_MIN)
  #hashes = new Int32Array(0)
  #references = new Int32Array(0)
  #unused = 0

  constructor(fields: readonly Field[], moved: (ids: Int32Array) => void) {
    this.#fields = fields
    this.#ops = fields.map(rowOpsFor)
    this.#moved = moved
  }

  /** Keys in memory, those that nobody refers to among them. */
  get size(): number {
    return this.#size
  }

  /** The columns that hold a key, which is their row `rowOf(id)`. */
  columnsOf(id: number): readonly Column[] {
    return this.#segments[id >> SEGMENT_BITS]!.columns
  }

  rowOf(id: number): number {
    return id & (SEGMENT_KEYS - 1)
  }

  /** The id of the key in a row of other columns; a new one is added, which may move all others. */
  idOf(columns: readonly Column[], row: number): number {
    const hash = this.#hashOf(columns, row)
    const mask = this.#slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = this.#slots[slot]! - 1
      if (id < 0) return this.#add(columns, row, hash)
      if (this.#hashes[id] === hash && this.#isEqual(columns, row, id)) return id
    }
  }

  refer(id: number): void {
    if (this.#references[id]!++ === 0) this.#unused--
  }

  unrefer(id: number): void {
    if (--this.#references[id]! === 0) this.#unused++
  }

  #hashOf(columns: readonly Column[], row: number): number {
    let hash = 0
    for (let i = 0; i < this.#ops.length; i++) {
      hash = Math.imul(hash, 31) + this.#ops[i]!.hash(columns[i]!, row)
    }
    return hash | 0
  }

  #isEqual(columns: readonly Column[], row: number, id: number): boolean {
    const own = this.columnsOf(id)
    const ownRow = this.rowOf(id)
    for (let i = 0; i < this.#ops.length; i++) {
      if (!this.#ops[i]!.equal(columns[i]!, row, own[i]!, ownRow)) return false
    }
    return true
  }

  #add(columns: readonly Column[], row: number, hash: number): number {
    if ((this.#size + 1) * 3 > this.#slots.length * 2) {
      if (this.#unused * 2 > this.#size) this.#sweep()
      else this.#enterAll(this.#slots.length * 2)
    }
    const id = this.#append(columns, row, hash)
    this.#references[id] = 0
    this.#unused++
    this.#enter(id)
    return id
  }

  #append(columns: readonly Column[], row: number, hash: number): number {
    const id = this.#size++
    if (id >> SEGMENT_BITS === this.#segments.length) this.#segments.push(createBatch(this.#fields))
    const segment = this.#segments[id >> SEGMENT_BITS]!
    for (let i = 0; i < this.#ops.length; i++) {
      this.#ops[i]!.append(columns[i]!, row, segment.columns[i]!)
    }
    segment.length++
    this.#hashes = grownInt32(this.#hashes, id + 1)
    this.#references = grownInt32(this.#references, id + 1)
    this.#hashes[id] = hash
    return id
  }

  #enter(id: number): void {
    const mask = this.#slots.length - 1
    let slot = this.#hashes[id]! & mask
    while (this.#slots[slot]! !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = id + 1
  }

  #enterAll(slots: number): void {
    this.#slots = new Int32Array(slots)
    for (let id = 0; id < this.#size; id++) this.#enter(id)
  }

  /** Segment by segment, so that not all keys are in memory twice. */
  #sweep(): void {
    const ids = new Int32Array(this.#size).fill(-1)
    const old = this.#segments
    const size = this.#size
    this.#segments = []
    this.#size = 0
    this.#unused = 0
    for (let id = 0; id < size; id++) {
      const segment = id >> SEGMENT_BITS
      if (this.rowOf(id) === 0 && segment > 0) old[segment - 1] = NOTHING
      if (this.#references[id] === 0) continue
      const references = this.#references[id]!
      const moved = this.#append(old[segment]!.columns, this.rowOf(id), this.#hashes[id]!)
      this.#references[moved] = references
      ids[id] = moved
    }
    this.#enterAll(this.#slots.length)
    this.#moved(ids)
  }
}
