import { appendNull } from '../columns/append.ts'
import { type ColumnBatch, createBatch, setValid, truncateBatch } from '../columns/column.ts'
import { type RowOps, rowOpsFor } from '../columns/row-ops.ts'
import { appendInt64, int64Column } from '../columns/write.ts'
import type { AggregateSpec } from '../topology/node.ts'
import type { Accumulator } from './accumulate/accumulator.ts'
import { type KeyJson, keyFromJson, keyToJson } from './key-codec.ts'
import { GonePanes, type GonePanesJson } from './gone-panes.ts'
import { type FireAt, FiredRows, type MergeWindow, type MergeWindowOptions } from './merge-window.ts'
import { OpenPanes } from './open-panes.ts'
import type { PaneStatesJson } from './pane-states.ts'
import type { PanesJson } from './partial.ts'
import type { ResultPlan } from './plan.ts'
import { ResultBook } from './result-book.ts'
import { accumulatorsOf, countsRows } from './row-adder.ts'
import { type AlignedSpec, type AlignedWindows, alignedWindows } from './window.ts'

/** Panes of a merge at rest: what the partials hold, and what was written of each pane. */
export interface MergePanesJson extends PanesJson, PaneStatesJson {
  /** Of changes: panes that are gone. They come before those that are there. */
  readonly gone?: GonePanesJson
  /** Of changes: all panes of before are gone. Those that are there follow. */
  readonly goneAll?: true
}

/** Of a snapshot: a line of JSON is a string. */
const PART_PANES_MAX = 20_000

/** Where an aggregate keeps values of rows on the heap: 300 to 1,400 bytes for ten values. */
const HOLDING_PANES_MAX = 1_000_000
const HOLDING: ReadonlySet<string> = new Set<AggregateSpec['kind']>([
  'count-distinct',
  'quantile',
  'quantiles',
  'top-k',
  'most-frequent',
  'collect',
  'custom',
])

/** The merge's side of windows that are known by their start: tumbling, calendar, hopping and global ones. */
export class PaneMergeWindow implements MergeWindow {
  readonly plan: ResultPlan
  readonly fired: FiredRows
  readonly panesMax?: number
  readonly #windows: AlignedWindows
  readonly #hasBounds: boolean
  readonly #hopMs: number
  readonly #countsRows: boolean
  readonly #keyOps: readonly RowOps[]
  readonly #panes: OpenPanes
  readonly #book: ResultBook
  /** One key and one state, on their way from JSON. */
  readonly #key: ColumnBatch
  readonly #scratch: readonly Accumulator[]
  readonly #gone: GonePanes

  constructor(options: MergeWindowOptions, window: AlignedSpec) {
    const { plan } = options
    this.plan = plan
    this.fired = new FiredRows(plan)
    if (holdsValues(plan)) this.panesMax = HOLDING_PANES_MAX
    this.#windows = alignedWindows(window)
    this.#hasBounds = window.kind !== 'global'
    this.#hopMs = window.kind === 'hopping' ? window.hopMs : 0
    this.#countsRows = countsRows(plan)
    this.#keyOps = plan.keyFields.map(rowOpsFor)
    this.#panes = new OpenPanes(plan.keyFields, () => accumulatorsOf(plan))
    this.#key = createBatch(plan.keyFields)
    this.#scratch = accumulatorsOf(plan)
    for (const accumulator of this.#scratch) accumulator.reserve(1)
    this.#gone = new GonePanes(plan.keyFields)
    this.#book = new ResultBook(
      options,
      {
        endMsOf: (pane) => this.#windows.endOf(this.#panes.startOf(pane)),
        appendRow: (pane, batch) => this.#appendRow(pane, batch),
        appendRetracted: (pane, batch) => this.#appendRetracted(pane, batch),
        release: (pane) => this.#release(pane),
      },
      this.fired,
    )
  }

  get openPanes(): number {
    return this.#panes.open
  }

  get earlyDueMs(): number {
    return this.#book.earlyDueMs
  }

  get liveEpochs(): Iterable<number> {
    return this.#book.liveEpochs
  }

  fold(json: unknown): void {
    const panes = json as PanesJson
    for (let i = 0; i < panes.windowStartsMs.length; i++) {
      const keyId = this.#keyIdOf(panes.keys, i)
      const startMs = panes.windowStartsMs[i]!
      const windows = panes.windows?.[i] ?? 1
      for (let w = 0; w < windows; w++) this.#add(keyId, startMs + w * this.#hopMs, panes.states, i)
    }
  }

  #add(keyId: number, startMs: number, states: PanesJson['states'], index: number): void {
    const known = this.#panes.find(keyId, startMs)
    if (known >= 0) this.#merge(known, states, index)
    const pane = known >= 0 ? known : this.#open(keyId, startMs, states, index)
    if (known < 0) this.#book.open(pane)
    this.#book.touch(pane, this.#countsRows ? Number(states.at(-1)![index]) : 1)
  }

  fire(at: FireAt): void {
    this.#book.fire(at)
  }

  clear(): void {
    this.fired.clear()
  }

  *snapshot(kind: 'full' | 'changes'): Generator<MergePanesJson> {
    const gone = this.#gone
    // Where more is gone than is left, what is left says it in fewer words.
    const isAll = kind === 'full' || gone.isCountOnly
    if (kind === 'changes' && isAll) yield { ...this.#write([]), goneAll: true }
    if (!isAll) for (const part of gone.parts(PART_PANES_MAX)) yield { ...this.#write([]), gone: part }
    gone.clear()
    for (const panes of this.#book.panes.takeForSnapshot(isAll ? 'full' : 'changes', PART_PANES_MAX)) {
      yield this.#write(panes)
    }
  }

  restore(json: unknown): void {
    const panes = json as MergePanesJson
    if (panes.goneAll === true) this.#forgetAll()
    if (panes.gone !== undefined) this.#forget(panes.gone)
    for (let i = 0; i < panes.windowStartsMs.length; i++) {
      const keyId = this.#keyIdOf(panes.keys, i)
      const startMs = panes.windowStartsMs[i]!
      const known = this.#panes.find(keyId, startMs)
      if (known >= 0) this.#read(known, panes.states, i)
      const pane = known >= 0 ? known : this.#open(keyId, startMs, panes.states, i)
      this.#book.restore(pane, panes, i)
    }
  }

  #keyIdOf(keys: readonly (readonly KeyJson[])[], index: number): number {
    const { columns } = this.#key
    truncateBatch(this.#key, 0)
    for (let c = 0; c < columns.length; c++) keyFromJson(keys[c]![index]!, columns[c]!)
    return this.#panes.keys.idOf(columns, 0)
  }

  #open(keyId: number, startMs: number, states: PanesJson['states'], index: number): number {
    const pane = this.#panes.add(keyId, startMs)
    this.#read(pane, states, index)
    return pane
  }

  #read(pane: number, states: PanesJson['states'], index: number): void {
    const accumulators = this.#panes.accumulatorsOf(pane)
    const place = this.#panes.placeOf(pane)
    for (let a = 0; a < accumulators.length; a++) accumulators[a]!.read(place, states[a]![index])
  }

  #merge(pane: number, states: PanesJson['states'], index: number): void {
    const accumulators = this.#panes.accumulatorsOf(pane)
    const place = this.#panes.placeOf(pane)
    for (let a = 0; a < accumulators.length; a++) {
      const scratch = this.#scratch[a]!
      scratch.read(0, states[a]![index])
      accumulators[a]!.mergePane(scratch, 0, place)
    }
  }

  #forget(gone: GonePanesJson): void {
    for (let i = 0; i < gone.windowStartsMs.length; i++) {
      const pane = this.#panes.find(this.#keyIdOf(gone.keys, i), gone.windowStartsMs[i]!)
      if (pane < 0) continue
      this.#book.forget(pane)
      this.#panes.remove(pane)
    }
  }

  #forgetAll(): void {
    for (const pane of this.#panes.all()) {
      this.#book.forget(pane)
      this.#panes.remove(pane)
    }
  }

  #release(pane: number): void {
    if (this.#book.panes.isKnown(pane)) {
      const keyId = this.#panes.keyIdOf(pane)
      const { keys } = this.#panes
      this.#gone.add(keys.columnsOf(keyId), keys.rowOf(keyId), this.#panes.startOf(pane))
      if (this.#gone.size > this.#panes.open) this.#gone.countOnly()
    }
    this.#panes.remove(pane)
  }

  #write(listed: readonly number[]): MergePanesJson {
    const { keys } = this.#panes
    return {
      keys: this.plan.keyFields.map((_, c) =>
        listed.map((pane) => {
          const keyId = this.#panes.keyIdOf(pane)
          return keyToJson(keys.columnsOf(keyId)[c]!, keys.rowOf(keyId))
        }),
      ),
      windowStartsMs: listed.map((pane) => this.#panes.startOf(pane)),
      states: this.#scratch.map((_, a) =>
        listed.map((pane) => this.#panes.accumulatorsOf(pane)[a]!.write(this.#panes.placeOf(pane))),
      ),
      ...this.#book.panes.write(listed),
    }
  }

  /** Returns the index of the next column. */
  #appendKey(pane: number, batch: ColumnBatch): number {
    const { columns } = batch
    const keyId = this.#panes.keyIdOf(pane)
    const from = this.#panes.keys.columnsOf(keyId)
    const row = this.#panes.keys.rowOf(keyId)
    let at = 0
    for (const ops of this.#keyOps) {
      ops.append(from[at]!, row, columns[at]!)
      at++
    }
    const startMs = this.#panes.startOf(pane)
    for (const boundMs of [startMs, this.#windows.endOf(startMs)]) {
      const column = int64Column(columns[at++]!)
      if (!this.#hasBounds) appendNull(column)
      else {
        appendInt64(column, boundMs)
        if (column.validity !== null) setValid(column, column.length - 1, true)
      }
    }
    return at
  }

  #appendRow(pane: number, batch: ColumnBatch): void {
    let at = this.#appendKey(pane, batch)
    const place = this.#panes.placeOf(pane)
    const accumulators = this.#panes.accumulatorsOf(pane)
    // The last column is the revision; an accumulator for the trigger has none.
    for (let a = 0; at < batch.columns.length - 1; a++) {
      accumulators[a]!.appendResult(place, batch.columns[at++]!)
    }
  }

  #appendRetracted(pane: number, batch: ColumnBatch): void {
    for (let at = this.#appendKey(pane, batch); at < batch.columns.length; at++) {
      appendNull(batch.columns[at]!)
    }
  }
}

function holdsValues({ node }: ResultPlan): boolean {
  return node.kind === 'aggregate' && node.aggregates.some(({ spec }) => HOLDING.has(spec.kind))
}
