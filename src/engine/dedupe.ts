import { type Column, createBatch, truncateBatch } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import { type KeyJson, keyFromJson, keyToJson } from './key-codec.ts'
import { KeyTable } from './key-table.ts'

/** Keys and the newest event time of a kept row of each. One array per key column. */
export interface DedupeJson {
  readonly keys: readonly (readonly KeyJson[])[]
  readonly timesMs: readonly number[]
}

const COMPACT_KEYS_MIN = 4096

/**
 * The keys of one dedupe step. For each key the newest event time T of a kept row; a row at t is a duplicate when |t − T| < within
 * and W < T + within. By the second condition a key that the watermark has left behind cannot matter any more, so freeing it or not changes no result.
 */
export class DedupeSet {
  readonly #fields: readonly Field[]
  readonly #withinMs: number
  #keys: KeyTable
  /** By key id; −Infinity before the first. */
  #timesMs = new Float64Array(1024).fill(-Infinity)
  /** Key ids whose time changed since the last cut, each once. */
  #changed: number[] = []
  #isChanged = new Uint8Array(1024)

  constructor(fields: readonly Field[], withinMs: number) {
    this.#fields = fields
    this.#withinMs = withinMs
    this.#keys = new KeyTable(fields)
  }

  get size(): number {
    return this.#keys.size
  }

  /** Keeps rows[i] that are not duplicates: writes them to `kept`, ascending, and returns how many. */
  keep(
    keyColumns: readonly Column[],
    rows: Int32Array,
    count: number,
    timeOf: (row: number) => number,
    watermarkOf: (row: number) => number,
    kept: Int32Array,
  ): number {
    let keptCount = 0
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      const id = this.#keys.idOf(keyColumns, row)
      if (id >= this.#timesMs.length) this.#grow(id + 1)
      const time = timeOf(row)
      const newest = this.#timesMs[id]!
      const isDuplicate =
        Math.abs(time - newest) < this.#withinMs && watermarkOf(row) < newest + this.#withinMs
      if (isDuplicate) continue
      kept[keptCount++] = row
      if (time > newest) {
        this.#timesMs[id] = time
        if (this.#isChanged[id] === 0) {
          this.#isChanged[id] = 1
          this.#changed.push(id)
        }
      }
    }
    return keptCount
  }

  /** What changed since the last call. */
  takeChanges(): DedupeJson {
    const json = this.#toJson(this.#changed)
    for (const id of this.#changed) this.#isChanged[id] = 0
    this.#changed = []
    return json
  }

  /** All that can still matter at a watermark; forgets the rest. */
  takeSnapshot(watermarkMs: number): DedupeJson {
    for (const id of this.#changed) this.#isChanged[id] = 0
    this.#changed = []
    const live: number[] = []
    for (let id = 0; id < this.#keys.size; id++) {
      if (watermarkMs < this.#timesMs[id]! + this.#withinMs) live.push(id)
    }
    const json = this.#toJson(live)
    if (this.#keys.size > COMPACT_KEYS_MIN && live.length * 2 < this.#keys.size) this.#rebuild(json)
    return json
  }

  /** Adds a snapshot, or changes on top of it. */
  restore(json: DedupeJson): void {
    const batch = createBatch(this.#fields)
    for (let i = 0; i < json.timesMs.length; i++) {
      truncateBatch(batch, 0)
      batch.columns.forEach((column, c) => keyFromJson(json.keys[c]![i]!, column))
      const id = this.#keys.idOf(batch.columns, 0)
      if (id >= this.#timesMs.length) this.#grow(id + 1)
      this.#timesMs[id] = Math.max(this.#timesMs[id]!, json.timesMs[i]!)
    }
  }

  #toJson(ids: readonly number[]): DedupeJson {
    const columns = this.#keys.keys.columns
    return {
      keys: columns.map((column) => ids.map((id) => keyToJson(column, id))),
      timesMs: ids.map((id) => this.#timesMs[id]!),
    }
  }

  #rebuild(json: DedupeJson): void {
    this.#keys = new KeyTable(this.#fields)
    this.#timesMs = new Float64Array(1024).fill(-Infinity)
    this.#isChanged = new Uint8Array(1024)
    this.restore(json)
  }

  #grow(size: number): void {
    const capacity = Math.max(size, this.#timesMs.length * 2)
    const timesMs = new Float64Array(capacity).fill(-Infinity)
    timesMs.set(this.#timesMs)
    this.#timesMs = timesMs
    const isChanged = new Uint8Array(capacity)
    isChanged.set(this.#isChanged)
    this.#isChanged = isChanged
  }
}
