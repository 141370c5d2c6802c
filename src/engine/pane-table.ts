import type { Column, ColumnBatch } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import { mix32 } from '../columns/row-ops.ts'
import type { Accumulator } from './accumulate/accumulator.ts'
import { KeyTable } from './key-table.ts'

const SLOTS_MIN = 1024

/** The state of one aggregate's panes (key × window), by dense index. */
export class PaneTable {
  readonly accumulators: readonly Accumulator[]
  readonly #keys: KeyTable
  #size = 0
  #keyIds = new Int32Array(SLOTS_MIN)
  #starts = new Float64Array(SLOTS_MIN)
  #slots = new Int32Array(SLOTS_MIN * 2).fill(-1)
  /** Of each key, the pane it was in last: most rows follow one of their own window. */
  #lastPane = new Int32Array(SLOTS_MIN).fill(-1)
  #rowKeys = new Int32Array(0)

  constructor(
    keyFields: readonly Field[],
    accumulators: readonly Accumulator[],
    keys = new KeyTable(keyFields),
  ) {
    this.#keys = keys
    this.accumulators = accumulators
  }

  /** Panes, of which the indices are 0 … size − 1. */
  get size(): number {
    return this.#size
  }

  /** One row for each key; `keyIdOf` says which belongs to a pane. */
  get keys(): ColumnBatch {
    return this.#keys.keys
  }

  keyIdOf(pane: number): number {
    return this.#keyIds[pane]!
  }

  windowStartOf(pane: number): number {
    return this.#starts[pane]!
  }

  /** panes[i] becomes the pane of key columns' row rows[i] and the window that starts at startsMs[rows[i] − base]. */
  panesOf(
    keyColumns: readonly Column[],
    rows: Int32Array,
    count: number,
    startsMs: Float64Array,
    base: number,
    panes: Int32Array,
  ): void {
    if (this.#rowKeys.length < count) this.#rowKeys = new Int32Array(count * 2)
    const ids = this.#rowKeys
    this.#keys.idsOf(keyColumns, rows, count, ids)
    for (let i = 0; i < count; i++) panes[i] = this.#paneOf(ids[i]!, startsMs[rows[i]! - base]!)
    for (const accumulator of this.accumulators) accumulator.reserve(this.#size)
  }

  /** The keys themselves, for another table of the same. */
  get keyTable(): KeyTable {
    return this.#keys
  }

  /** The pane of a key, by its id, and a window. */
  paneOf(keyId: number, startMs: number): number {
    const pane = this.#paneOf(keyId, startMs)
    for (const accumulator of this.accumulators) accumulator.reserve(this.#size)
    return pane
  }

  /** Forgets everything and keeps the memory. */
  clear(): void {
    if (this.#size === 0) return
    for (let pane = 0; pane < this.#size; pane++) {
      for (const accumulator of this.accumulators) accumulator.reset(pane)
    }
    this.#size = 0
    this.#slots.fill(-1)
    this.#lastPane.fill(-1)
    this.#keys.clear()
  }

  #paneOf(keyId: number, startMs: number): number {
    if (keyId < this.#lastPane.length) {
      const last = this.#lastPane[keyId]!
      if (last >= 0 && this.#starts[last] === startMs) return last
    }
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hashOf(keyId, startMs) & mask
    for (;;) {
      const pane = slots[slot]!
      if (pane < 0) return this.#add(keyId, startMs, slot)
      if (this.#keyIds[pane] === keyId && this.#starts[pane] === startMs) {
        this.#remember(keyId, pane)
        return pane
      }
      slot = (slot + 1) & mask
    }
  }

  #add(keyId: number, startMs: number, slot: number): number {
    const pane = this.#size++
    if (pane >= this.#keyIds.length) this.#growPanes()
    this.#keyIds[pane] = keyId
    this.#starts[pane] = startMs
    this.#slots[slot] = pane
    this.#remember(keyId, pane)
    if (this.#size * 2 > this.#slots.length) this.#growSlots()
    return pane
  }

  #remember(keyId: number, pane: number): void {
    if (keyId >= this.#lastPane.length) {
      const lastPane = new Int32Array(Math.max(keyId + 1, this.#lastPane.length * 2)).fill(-1)
      lastPane.set(this.#lastPane)
      this.#lastPane = lastPane
    }
    this.#lastPane[keyId] = pane
  }

  #growPanes(): void {
    const keyIds = new Int32Array(this.#keyIds.length * 2)
    keyIds.set(this.#keyIds)
    this.#keyIds = keyIds
    const starts = new Float64Array(this.#starts.length * 2)
    starts.set(this.#starts)
    this.#starts = starts
  }

  #growSlots(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(-1)
    const mask = slots.length - 1
    for (let pane = 0; pane < this.#size; pane++) {
      let slot = hashOf(this.#keyIds[pane]!, this.#starts[pane]!) & mask
      while (slots[slot]! >= 0) slot = (slot + 1) & mask
      slots[slot] = pane
    }
    this.#slots = slots
  }
}

function hashOf(keyId: number, startMs: number): number {
  // A window's start is an integer of up to 53 bits: its low and high words both count.
  const low = startMs | 0
  const high = Math.floor(startMs / 4294967296) | 0
  return mix32(Math.imul(keyId, 0x9e3779b1) ^ mix32(low ^ Math.imul(high, 0x27d4eb2f)))
}
