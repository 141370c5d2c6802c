import type { ColumnBatch } from '../columns/column.ts'
import { appendInt32, appendInt64, int32Column, int64Column } from '../columns/write.ts'
import type { AggregateNode, CountSpec } from '../topology/node.ts'
import { readDouble, writeDouble } from './accumulate/double-json.ts'
import type { CountPartialJson } from './count-window-step.ts'
import type { KeyJson } from './key-codec.ts'
import { type FireAt, FiredRows, type MergeWindow, type MergeWindowOptions } from './merge-window.ts'
import { OrderedPanes } from './ordered-panes.ts'
import type { KeyedStatesJson } from './ordered-partial.ts'
import { appendKeyAndBounds } from './ordered-row.ts'
import { OrderedRows, partsOf, placesOf, type RowPlace } from './ordered-rows.ts'
import type { ResultPlan } from './plan.ts'

/** Count windows at rest. Of changes: windows replace what was known of their keys, rows come on top of those that W has not released. */
export interface CountSnapshotJson {
  /** Rows with t up to here have been released since; null where none was. */
  readonly releasedMs: number | string | null
  /** The open window of each key. */
  readonly windows: KeyedStatesJson & {
    readonly numbers: readonly number[]
    /** 0: none has come, and there is no state. */
    readonly rows: readonly number[]
    readonly startsMs: readonly number[]
    readonly lastsMs: readonly number[]
  }
  /** Rows that wait. */
  readonly rows: KeyedStatesJson & {
    readonly timesMs: readonly number[]
    readonly tasks: readonly string[]
    readonly offsets: readonly number[]
  }
}

/** A key and its open window. The key is remembered for ever, because its windows are numbered. */
interface CountKey {
  readonly key: readonly KeyJson[]
  number: number
  rows: number
  /** −1 where there are no rows. */
  pane: number
  startMs: number
  lastMs: number
}

interface WaitingRow extends RowPlace {
  readonly of: CountKey
  readonly pane: number
}

/** Of a snapshot. */
const PART_MAX = 20_000

/**
 * Windows of so many rows, over all partitions. A row waits until no row before it can come; then it is added to the open window of its key, so that
 * there is a state for each waiting row and one for each key. What comes after its time, from a partition that was idle, is the next in order.
 */
export class CountMergeWindow implements MergeWindow {
  readonly plan: ResultPlan
  readonly fired: FiredRows
  /** Of waiting rows and keys, of some 500 bytes. */
  readonly panesMax = 2_000_000
  readonly earlyDueMs = Infinity
  /** Nothing is ever written again. */
  readonly liveEpochs: readonly number[] = []
  readonly #windowRows: number
  /** A row with t is in its place when W reaches t + this. */
  readonly #delayMs: number
  readonly #nextStage: boolean
  readonly #keys = new Map<string, CountKey>()
  readonly #waiting = new OrderedRows<WaitingRow>()
  readonly #panes: OrderedPanes
  readonly #changed = new Set<CountKey>()
  #releasedMs: number | null = null

  constructor(options: MergeWindowOptions, node: AggregateNode, window: CountSpec) {
    const { plan } = options
    this.plan = plan
    this.fired = new FiredRows(plan)
    this.#windowRows = window.rows
    // Rows, and results, with t = W − allowed lateness may still come.
    this.#delayMs = node.allowedLatenessMs + 1
    this.#nextStage = options.readers.nextStage
    this.#panes = new OrderedPanes(plan)
  }

  /** Waiting rows, and keys. */
  get openPanes(): number {
    return this.#waiting.size + this.#keys.size
  }

  fold(json: unknown, task: string): void {
    const partial = json as CountPartialJson
    const keys = partial.keys.map((key) => this.#keyOf(key))
    for (let i = 0; i < partial.of.length; i++) {
      const of = keys[partial.of[i]!]!
      this.#waiting.add(
        this.#row(of, partial.timesMs[i]!, this.#overResults ? '' : task, partial.offsets[i]!, partial, i),
      )
    }
  }

  fire({ watermarkMs }: FireAt): void {
    const readyMs = watermarkMs - this.#delayMs
    for (const row of this.#waiting.take(readyMs)) this.#release(row)
    this.#releasedMs = Math.max(this.#releasedMs ?? -Infinity, readyMs)
    this.fired.count = this.fired.batch.length
    this.fired.written = this.fired.batch.length
  }

  clear(): void {
    this.fired.clear()
  }

  *snapshot(kind: 'full' | 'changes'): Generator<CountSnapshotJson> {
    const keys = kind === 'full' ? [...this.#keys.values()] : [...this.#changed]
    const rows = this.#waiting.takeForSnapshot(kind)
    const released = this.#releasedMs === null || kind === 'full' ? null : writeDouble(this.#releasedMs)
    this.#changed.clear()
    this.#releasedMs = null
    let releasedMs = released
    for (const part of partsOf(keys, PART_MAX)) {
      yield { releasedMs, windows: this.#writeWindows(part), rows: this.#writeRows([]) }
      releasedMs = null
    }
    if (rows.length === 0) return
    for (const part of partsOf(rows, PART_MAX)) {
      yield { releasedMs: null, windows: this.#writeWindows([]), rows: this.#writeRows(part) }
    }
  }

  restore(json: unknown): void {
    const { releasedMs, windows, rows } = json as CountSnapshotJson
    if (releasedMs !== null) {
      for (const { pane } of this.#waiting.take(readDouble(releasedMs))) this.#panes.release(pane)
    }
    const windowKeys = windows.keys.map((key) => this.#keyOf(key))
    for (let i = 0; i < windows.of.length; i++) this.#readWindow(windowKeys[windows.of[i]!]!, windows, i)
    const rowKeys = rows.keys.map((key) => this.#keyOf(key))
    for (let i = 0; i < rows.of.length; i++) {
      const of = rowKeys[rows.of[i]!]!
      this.#waiting.restore(this.#row(of, rows.timesMs[i]!, rows.tasks[i]!, rows.offsets[i]!, rows, i))
    }
  }

  get #overResults(): boolean {
    return this.plan.stage > 0
  }

  #keyOf(key: readonly KeyJson[]): CountKey {
    const text = JSON.stringify(key)
    let of = this.#keys.get(text)
    if (of === undefined) {
      of = { key, number: 0, rows: 0, pane: -1, startMs: Infinity, lastMs: -Infinity }
      this.#keys.set(text, of)
    }
    return of
  }

  #row(
    of: CountKey,
    timeMs: number,
    task: string,
    offset: number,
    { states }: KeyedStatesJson,
    index: number,
  ): WaitingRow {
    const pane = this.#panes.take()
    this.#panes.read(pane, states, index)
    const text = this.#overResults ? JSON.stringify(states.map((state) => state[index])) : ''
    return { of, timeMs, task, offset, text, pane }
  }

  #release({ of, timeMs, pane }: WaitingRow): void {
    this.#changed.add(of)
    if (of.pane < 0) of.pane = pane
    else {
      this.#panes.merge(pane, of.pane)
      this.#panes.release(pane)
    }
    // A row that comes after its time may lie before the others.
    of.startMs = Math.min(of.startMs, timeMs)
    of.lastMs = Math.max(of.lastMs, timeMs)
    if (++of.rows < this.#windowRows) return
    this.#append(of, this.fired.batch)
    this.#panes.release(of.pane)
    of.number++
    of.rows = 0
    of.pane = -1
    of.startMs = Infinity
    of.lastMs = -Infinity
  }

  #append({ key, number, startMs, lastMs, pane }: CountKey, batch: ColumnBatch): void {
    const at = appendKeyAndBounds(batch, key, [startMs, lastMs + 1])
    appendInt64(int64Column(batch.columns[at]!), number)
    this.#panes.appendResults(pane, batch, at + 1)
    appendInt32(int32Column(batch.columns.at(-1)!), 0)
    const row = batch.length++
    if (this.#nextStage) this.fired.addFinal(row, lastMs)
  }

  #readWindow(of: CountKey, windows: CountSnapshotJson['windows'], index: number): void {
    if (of.pane >= 0) this.#panes.release(of.pane)
    of.number = windows.numbers[index]!
    of.rows = windows.rows[index]!
    of.pane = -1
    of.startMs = Infinity
    of.lastMs = -Infinity
    if (of.rows === 0) return
    of.pane = this.#panes.take()
    of.startMs = windows.startsMs[index]!
    of.lastMs = windows.lastsMs[index]!
    this.#panes.read(of.pane, windows.states, index)
  }

  #writeWindows(keys: readonly CountKey[]): CountSnapshotJson['windows'] {
    return {
      keys: keys.map(({ key }) => key),
      of: keys.map((_, i) => i),
      numbers: keys.map(({ number }) => number),
      rows: keys.map(({ rows }) => rows),
      startsMs: keys.map(({ rows, startMs }) => (rows === 0 ? 0 : startMs)),
      lastsMs: keys.map(({ rows, lastMs }) => (rows === 0 ? 0 : lastMs)),
      states: this.#panes.accumulators.map((accumulator) =>
        keys.map(({ pane }) => (pane < 0 ? null : accumulator.write(pane))),
      ),
    }
  }

  #writeRows(rows: readonly WaitingRow[]): CountSnapshotJson['rows'] {
    const { distinct, of } = placesOf(rows.map((row) => row.of))
    return {
      keys: distinct.map(({ key }) => key),
      of,
      timesMs: rows.map(({ timeMs }) => timeMs),
      tasks: rows.map(({ task }) => task),
      offsets: rows.map(({ offset }) => offset),
      states: this.#panes.accumulators.map((accumulator) => rows.map(({ pane }) => accumulator.write(pane))),
    }
  }
}
