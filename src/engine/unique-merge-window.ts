import type { UniqueNode } from '../topology/node.ts'
import { readDouble, writeDouble } from './accumulate/double-json.ts'
import { cellFromJson } from './cell-json.ts'
import type { KeyJson } from './key-codec.ts'
import { type FireAt, FiredRows, type MergeWindow, type MergeWindowOptions } from './merge-window.ts'
import type { KeyedJson } from './ordered-partial.ts'
import { OrderedRows, partsOf, placesOf, type RowPlace } from './ordered-rows.ts'
import type { ResultPlan } from './plan.ts'
import type { UniquePartialJson } from './unique-window-step.ts'

/** A dedupe over all partitions at rest. Changes come on top of what was known, less the rows that W has released. */
export interface UniqueSnapshotJson {
  /** Rows with t up to here have been released since; null where none was. */
  readonly releasedMs: number | string | null
  /** Keys, and the event time of the last row of each that was kept. */
  readonly kept: { readonly keys: readonly (readonly KeyJson[])[]; readonly timesMs: readonly number[] }
  /** Rows that wait; the cells by row. */
  readonly rows: KeyedJson & {
    readonly timesMs: readonly number[]
    readonly tasks: readonly string[]
    readonly offsets: readonly number[]
    readonly cells: readonly (readonly unknown[])[]
  }
}

interface UniqueKey {
  readonly text: string
  readonly key: readonly KeyJson[]
}

interface WaitingRow extends RowPlace {
  readonly of: UniqueKey
  readonly cells: readonly unknown[]
}

interface Kept {
  readonly key: readonly KeyJson[]
  readonly timeMs: number
}

/** Fewer are not worth a look. */
const FORGET_KEYS_MIN = 4096
/** Of a snapshot. */
const PART_MAX = 20_000

/**
 * Dedupe over all partitions. Rows wait until no row before them can come; then the first of a key leaves, and each that is `within` or more after the last that
 * left. A row that comes after its time, from a partition that was idle, is the next in order.
 */
export class UniqueMergeWindow implements MergeWindow {
  readonly plan: ResultPlan
  readonly fired: FiredRows
  /** Of rows, of some 500 bytes for short ones. */
  readonly panesMax = 2_000_000
  readonly earlyDueMs = Infinity
  /** Nothing is ever written again. */
  readonly liveEpochs: readonly number[] = []
  readonly #node: UniqueNode
  readonly #nextStage: boolean
  readonly #waiting = new OrderedRows<WaitingRow>()
  /** By the text of the key. */
  readonly #kept = new Map<string, Kept>()
  readonly #changed = new Set<string>()
  #releasedMs: number | null = null
  #forgetAtKeys = FORGET_KEYS_MIN
  #dropped = 0

  constructor(options: MergeWindowOptions, node: UniqueNode) {
    const { plan } = options
    this.plan = plan
    this.fired = new FiredRows(plan)
    this.#node = node
    this.#nextStage = options.readers.nextStage
  }

  /** Rows that wait. */
  get openPanes(): number {
    return this.#waiting.size
  }

  /** Keys of which the last row is remembered. */
  get keys(): number {
    return this.#kept.size
  }

  /** Rows that the last `fire` left out. */
  get dropped(): number {
    return this.#dropped
  }

  fold(json: unknown, task: string): void {
    const { keys, of, timesMs, offsets, cells } = json as UniquePartialJson
    const known = keys.map((key) => ({ text: JSON.stringify(key), key }))
    for (let i = 0; i < of.length; i++) {
      this.#waiting.add({
        of: known[of[i]!]!,
        timeMs: timesMs[i]!,
        task,
        offset: offsets[i]!,
        text: '',
        cells: cells.map((column) => column[i]),
      })
    }
  }

  fire({ watermarkMs, slowestMs }: FireAt): void {
    const { allowedLatenessMs } = this.#node
    // Rows with t = W − allowed lateness may still come.
    const readyMs = watermarkMs - allowedLatenessMs - 1
    for (const row of this.#waiting.take(readyMs)) {
      if (this.#keeps(row)) this.#append(row)
      else this.#dropped++
    }
    this.#releasedMs = Math.max(this.#releasedMs ?? -Infinity, readyMs)
    this.fired.count = this.fired.batch.length
    this.fired.written = this.fired.batch.length
    // Where all sources are idle, W may be behind the slowest.
    this.#forget(Math.min(slowestMs - allowedLatenessMs - 1, readyMs))
  }

  clear(): void {
    this.fired.clear()
    this.#dropped = 0
  }

  *snapshot(kind: 'full' | 'changes'): Generator<UniqueSnapshotJson> {
    const kept = kind === 'full' ? [...this.#kept.keys()] : [...this.#changed]
    const rows = this.#waiting.takeForSnapshot(kind)
    let releasedMs = this.#releasedMs === null || kind === 'full' ? null : writeDouble(this.#releasedMs)
    this.#changed.clear()
    this.#releasedMs = null
    for (const part of partsOf(kept, PART_MAX)) {
      yield { releasedMs, kept: this.#writeKept(part), rows: writeRows([]) }
      releasedMs = null
    }
    if (rows.length === 0) return
    for (const part of partsOf(rows, PART_MAX)) {
      yield { releasedMs: null, kept: this.#writeKept([]), rows: writeRows(part) }
    }
  }

  restore(json: unknown): void {
    const { releasedMs, kept, rows } = json as UniqueSnapshotJson
    if (releasedMs !== null) this.#waiting.take(readDouble(releasedMs))
    kept.keys.forEach((key, i) => this.#kept.set(JSON.stringify(key), { key, timeMs: kept.timesMs[i]! }))
    const known = rows.keys.map((key) => ({ text: JSON.stringify(key), key }))
    for (let i = 0; i < rows.of.length; i++) {
      this.#waiting.restore({
        of: known[rows.of[i]!]!,
        timeMs: rows.timesMs[i]!,
        task: rows.tasks[i]!,
        offset: rows.offsets[i]!,
        text: '',
        cells: rows.cells[i]!,
      })
    }
  }

  #keeps({ of: { text, key }, timeMs }: WaitingRow): boolean {
    const last = this.#kept.get(text)
    if (last !== undefined && timeMs < last.timeMs + this.#node.withinMs) return false
    this.#kept.set(text, { key, timeMs })
    this.#changed.add(text)
    return true
  }

  #append({ cells, timeMs }: WaitingRow): void {
    const { batch } = this.fired
    cells.forEach((cell, c) => cellFromJson(cell, batch.columns[c]!))
    const row = batch.length++
    if (this.#nextStage) this.fired.addFinal(row, timeMs)
  }

  /**
   * Looks when the keys have doubled. Rows to come, and those that wait, are after W of all sources − allowed lateness: where T + within is not, it keeps
   * none of them away.
   */
  #forget(passedMs: number): void {
    if (this.#kept.size < this.#forgetAtKeys) return
    for (const [text, { timeMs }] of this.#kept) {
      if (timeMs + this.#node.withinMs > passedMs) continue
      this.#kept.delete(text)
      this.#changed.delete(text)
    }
    this.#forgetAtKeys = Math.max(FORGET_KEYS_MIN, this.#kept.size * 2)
  }

  #writeKept(texts: readonly string[]): UniqueSnapshotJson['kept'] {
    const kept = texts.map((text) => this.#kept.get(text)!)
    return { keys: kept.map(({ key }) => key), timesMs: kept.map(({ timeMs }) => timeMs) }
  }
}

function writeRows(rows: readonly WaitingRow[]): UniqueSnapshotJson['rows'] {
  const texts = new Map(rows.map(({ of }) => [of.text, of.key]))
  const { distinct, of } = placesOf(rows.map((row) => row.of.text))
  return {
    keys: distinct.map((text) => texts.get(text)!),
    of,
    timesMs: rows.map(({ timeMs }) => timeMs),
    tasks: rows.map(({ task }) => task),
    offsets: rows.map(({ offset }) => offset),
    cells: rows.map(({ cells }) => cells),
  }
}
