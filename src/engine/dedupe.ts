import { type Column, createBatch, truncateBatch } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import { type KeyJson, keyFromJson, keyToJson } from './key-codec.ts'
import { KeyTable } from './key-table.ts'
import type { KeyedState, Predecessor } from './window-step.ts'

/** Keys and the newest event time of a kept row of each. One array per key column. */
export interface DedupeJson {
  readonly keys: readonly (readonly KeyJson[])[]
  readonly timesMs: readonly number[]
}

/** Fewer are not worth a look. */
const FORGET_KEYS_MIN = 4096
/** Of what is written. */
const PART_KEYS_MAX = 100_000

/**
 * The keys of one dedupe step. For each key the newest event time T of a kept row; a row at t is a duplicate when |t − T| < within
 * and W < T + within. By the second condition a key that the watermark has left behind cannot matter any more, so freeing it or not changes no result.
 */
export class DedupeSet implements KeyedState {
  readonly #fields: readonly Field[]
  readonly #withinMs: number
  #keys: KeyTable
  /** By key id; −Infinity before the first. */
  #timesMs = new Float64Array(1024).fill(-Infinity)
  /** Key ids whose time changed since the last cut, each once. */
  #changed: number[] = []
  #isChanged = new Uint8Array(1024)
  #forgetAtKeys = FORGET_KEYS_MIN

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

  /** What changed since the last call, in parts: one at least, and all are to be taken. Forgets what cannot matter any more. */
  *takeChanges(watermarkMs: number): Generator<DedupeJson> {
    const changed = this.#changed
    this.#changed = []
    for (const id of changed) this.#isChanged[id] = 0
    yield* this.#parts(changed)
    this.#forget(watermarkMs)
  }

  /** All that can still matter at a watermark, likewise. */
  *takeSnapshot(watermarkMs: number): Generator<DedupeJson> {
    for (const id of this.#changed) this.#isChanged[id] = 0
    this.#changed = []
    yield* this.#parts(this.#live(watermarkMs))
    this.#forget(watermarkMs)
  }

  /** Adds a snapshot, or changes on top of it. */
  restore(part: unknown): void {
    this.#restoreAbove(part as DedupeJson, -Infinity)
  }

  /**
   * Keys that the predecessor's watermark had left behind are left out, whether it still had them or not: where two shards become one, its follower may
   * begin at a lower watermark, at which they would matter again.
   */
  inherit(part: unknown, { watermarkMs }: Predecessor): void {
    this.#restoreAbove(part as DedupeJson, watermarkMs - this.#withinMs)
  }

  /** Keys whose time is above. */
  #restoreAbove(json: DedupeJson, aboveMs: number): void {
    const batch = createBatch(this.#fields)
    for (let i = 0; i < json.timesMs.length; i++) {
      if (aboveMs !== -Infinity && json.timesMs[i]! <= aboveMs) continue
      truncateBatch(batch, 0)
      batch.columns.forEach((column, c) => keyFromJson(json.keys[c]![i]!, column))
      const id = this.#keys.idOf(batch.columns, 0)
      this.#setTime(id, Math.max(this.#timesMs[id] ?? -Infinity, json.timesMs[i]!))
    }
  }

  *#parts(ids: readonly number[]): Generator<DedupeJson> {
    const columns = this.#keys.keys.columns
    for (let from = 0; from === 0 || from < ids.length; from += PART_KEYS_MAX) {
      const part = ids.slice(from, from + PART_KEYS_MAX)
      yield {
        keys: columns.map((column) => part.map((id) => keyToJson(column, id))),
        timesMs: part.map((id) => this.#timesMs[id]!),
      }
    }
  }

  #live(watermarkMs: number): readonly number[] {
    const live: number[] = []
    for (let id = 0; id < this.#keys.size; id++) {
      if (watermarkMs < this.#timesMs[id]! + this.#withinMs) live.push(id)
    }
    return live
  }

  /** Looks when the keys have doubled, and moves those that can matter to a new table when they are the minority. */
  #forget(watermarkMs: number): void {
    if (this.#keys.size < this.#forgetAtKeys) return
    const live = this.#live(watermarkMs)
    if (live.length * 2 < this.#keys.size) {
      const old = this.#keys.keys.columns
      const times = this.#timesMs
      this.#keys = new KeyTable(this.#fields)
      this.#timesMs = new Float64Array(1024).fill(-Infinity)
      this.#isChanged = new Uint8Array(1024)
      for (const id of live) this.#setTime(this.#keys.idOf(old, id), times[id]!)
    }
    this.#forgetAtKeys = Math.max(FORGET_KEYS_MIN, live.length * 2)
  }

  #setTime(id: number, timeMs: number): void {
    if (id >= this.#timesMs.length) this.#grow(id + 1)
    this.#timesMs[id] = timeMs
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
