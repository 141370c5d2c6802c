import { type Column, createBatch, truncateBatch } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import { type KeyJson, keyFromJson } from './key-codec.ts'
import { KeyTable } from './key-table.ts'
import { keyJsonOf } from './ordered-partial.ts'
import type { LiveSessions } from './session-live.ts'
import { floorFromJson, floorToJson } from './session-partial.ts'
import type { KeyedState, Predecessor } from './window-step.ts'

/** Keys, and of each the sessions that are live, or those of them that have changed: [start, end, highest floor or null, …]. */
export interface LiveSessionsJson {
  readonly keys: readonly (readonly KeyJson[])[]
  readonly sessions: readonly (readonly (number | null)[])[]
}

/** Fewer are not worth a look. */
const FORGET_KEYS_MIN = 4096
/** Of what is written. */
const PART_KEYS_MAX = 100_000

/** The keys of a partition's live sessions, from epoch to epoch. */
export class SessionKeys implements KeyedState {
  readonly #fields: readonly Field[]
  readonly #sessions: LiveSessions
  #table: KeyTable
  /** Key ids that changed since the last cut, each once. */
  #changed: number[] = []
  #isChanged = new Uint8Array(1024)
  #forgetAtKeys = FORGET_KEYS_MIN

  constructor(fields: readonly Field[], sessions: LiveSessions) {
    this.#fields = fields
    this.#sessions = sessions
    this.#table = new KeyTable(fields)
  }

  /** The keys, each in the row of its id. */
  get columns(): readonly Column[] {
    return this.#table.keys.columns
  }

  /** Sessions, some of which may be over. */
  get size(): number {
    return this.#sessions.size
  }

  idOf(columns: readonly Column[], row: number): number {
    return this.#table.idOf(columns, row)
  }

  touch(keyId: number): void {
    if (keyId >= this.#isChanged.length) {
      const isChanged = new Uint8Array(Math.max(keyId + 1, this.#isChanged.length * 2))
      isChanged.set(this.#isChanged)
      this.#isChanged = isChanged
    }
    if (this.#isChanged[keyId] === 1) return
    this.#isChanged[keyId] = 1
    this.#changed.push(keyId)
  }

  /** Forgets keys and sessions. */
  clear(): void {
    this.#table.clear()
    this.#sessions.clear()
    this.#forgetChanges()
  }

  *takeChanges(watermarkMs: number): Generator<LiveSessionsJson> {
    const changed = this.#changed
    this.#forgetChanges()
    yield* this.#parts(changed, watermarkMs, 'changed')
    this.#forget(watermarkMs)
  }

  *takeSnapshot(watermarkMs: number): Generator<LiveSessionsJson> {
    this.#forgetChanges()
    yield* this.#parts(this.#live(watermarkMs), watermarkMs, 'all')
    this.#forget(watermarkMs)
  }

  restore(json: unknown): void {
    for (const { id, extents } of this.#read(json)) this.#sessions.putExtents(id, extents)
  }

  /**
   * Only of a predecessor at whose watermark this partition begins. Rows of one that was further ahead have floors (`LiveSessions`) above the W that rows find here: a segment
   * of these could not stand for what lies between them. Rows of its keys are judged here by themselves until they have made sessions anew.
   */
  inherit(json: unknown, { watermarkMs, isLowest }: Predecessor): void {
    if (!isLowest) return
    for (const { id, extents } of this.#read(json)) this.#sessions.uniteLive(id, extents, watermarkMs)
  }

  *#read(json: unknown): Generator<{ readonly id: number; readonly extents: number[] }> {
    const { keys, sessions } = json as LiveSessionsJson
    const batch = createBatch(this.#fields)
    for (let i = 0; i < keys.length; i++) {
      truncateBatch(batch, 0)
      batch.columns.forEach((column, c) => keyFromJson(keys[i]![c]!, column))
      const extents = sessions[i]!.map((value, at) => (at % 3 === 2 ? floorFromJson(value) : value!))
      yield { id: this.#table.idOf(batch.columns, 0), extents }
    }
  }

  *#parts(ids: readonly number[], watermarkMs: number, kind: 'all' | 'changed'): Generator<LiveSessionsJson> {
    const { columns } = this.#table.keys
    for (let from = 0; from === 0 || from < ids.length; from += PART_KEYS_MAX) {
      const part = ids.slice(from, from + PART_KEYS_MAX)
      yield {
        keys: part.map((id) => keyJsonOf(columns, id)),
        sessions: part.map((id) =>
          this.#sessions
            .takeExtents(id, watermarkMs, kind)
            .map((value, at) => (at % 3 === 2 ? floorToJson(value) : value)),
        ),
      }
    }
  }

  #live(watermarkMs: number): readonly number[] {
    const live: number[] = []
    for (let id = 0; id < this.#table.size; id++) {
      if (this.#sessions.isLive(id, watermarkMs)) live.push(id)
    }
    return live
  }

  #forgetChanges(): void {
    for (const id of this.#changed) this.#isChanged[id] = 0
    this.#changed = []
  }

  /** Looks when the keys have doubled, and moves those that have live sessions to a new table when they are the minority. */
  #forget(watermarkMs: number): void {
    if (this.#table.size < this.#forgetAtKeys) return
    const live = this.#live(watermarkMs)
    if (live.length * 2 < this.#table.size) {
      const old = this.#table.keys.columns
      const extents = live.map((id) => this.#sessions.takeExtents(id, watermarkMs, 'all'))
      this.#table = new KeyTable(this.#fields)
      this.#sessions.clear()
      live.forEach((id, i) => this.#sessions.putExtents(this.#table.idOf(old, id), extents[i]!))
    }
    this.#forgetAtKeys = Math.max(FORGET_KEYS_MIN, live.length * 2)
  }
}
