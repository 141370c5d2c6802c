import type { ColumnBatch } from '../columns/column.ts'
import type { AggregateNode, SlidingSpec } from '../topology/node.ts'
import { readDouble, writeDouble } from './accumulate/double-json.ts'
import { DueList } from './due-list.ts'
import type { KeyJson } from './key-codec.ts'
import { type FireAt, FiredRows, type MergeWindow, type MergeWindowOptions } from './merge-window.ts'
import { OrderedPanes } from './ordered-panes.ts'
import type { KeyedStatesJson } from './ordered-partial.ts'
import { appendKeyAndBounds, appendNulls } from './ordered-row.ts'
import { partsOf, placesOf } from './ordered-rows.ts'
import { type PaneStatesJson, Phase } from './pane-states.ts'
import type { ResultPlan } from './plan.ts'
import { ResultBook } from './result-book.ts'
import { placeAfter, type SlidingSlice, SlidingSum } from './sliding-sum.ts'
import type { SlidingPartialJson } from './sliding-window-step.ts'

/** Sliding windows at rest. Of changes, `gone` and `forgottenMs` come before what is there, which replaces what was known of it. */
export interface SlidingSnapshotJson {
  /** Panes of windows. */
  readonly gone: readonly number[]
  /** Slices that end before are gone; null: none. */
  readonly forgottenMs: number | string | null
  readonly slices: SlidingPartialJson
  readonly windows: KeyedStatesJson &
    PaneStatesJson & {
      readonly panes: readonly number[]
      readonly timesMs: readonly number[]
      /** 1 where the states are the window's result: it has been summed up. */
      readonly summed: readonly number[]
    }
}

interface SlidingKey {
  readonly id: number
  readonly text: string
  readonly key: readonly KeyJson[]
  /** By time. */
  readonly slices: Slice[]
  /** Windows that are to be summed up, by time. */
  readonly unsummed: Window[]
  /** Windows that there are. */
  windows: number
  /** No window after this has been summed up. */
  summedMs: number
  sum: SlidingSum | null
}

interface Slice extends SlidingSlice {
  readonly of: SlidingKey
  window: Window | null
}

interface Window {
  readonly of: SlidingKey
  readonly timeMs: number
  readonly pane: number
  isSummed: boolean
}

/** Of a snapshot. */
const PART_MAX = 20_000
/** Sums of keys with fewer slices are not kept from cut to cut: they are soon made again. */
const KEPT_SUM_SLICES = 16

/**
 * Windows that end at each row, over all partitions: [t − size, t] for each t of a key at which rows were on time. Due windows of a key are summed up by rising t, and fire
 * through the book of results. After idleness rows may come for windows that have fired: these are summed up again.
 */
export class SlidingMergeWindow implements MergeWindow {
  readonly plan: ResultPlan
  readonly fired: FiredRows
  /** Of slices and windows, of some 400 bytes. */
  readonly panesMax = 2_000_000
  readonly #sizeMs: number
  readonly #latenessMs: number
  readonly #keys = new Map<string, SlidingKey>()
  readonly #keysById: (SlidingKey | undefined)[] = []
  #freeIds: number[] = []
  readonly #slicePanes: OrderedPanes
  readonly #sumPanes: OrderedPanes
  /** Results, by the panes of the book. */
  readonly #panes: OrderedPanes
  readonly #windows: (Window | undefined)[] = []
  readonly #book: ResultBook
  /** Keys by the W that their first window waits for, and by that of the slowest source that their first slice waits for. */
  readonly #due: DueList
  readonly #expiring: DueList
  readonly #changed = new Set<Slice>()
  readonly #gone = new Set<number>()
  #forgottenMs: number | null = null

  constructor(options: MergeWindowOptions, node: AggregateNode, window: SlidingSpec) {
    const { plan } = options
    this.plan = plan
    this.fired = new FiredRows(plan)
    this.#sizeMs = window.sizeMs
    this.#latenessMs = node.allowedLatenessMs
    this.#slicePanes = new OrderedPanes(plan)
    this.#sumPanes = new OrderedPanes(plan)
    this.#panes = new OrderedPanes(plan)
    this.#due = new DueList((id) => this.#dueMsOf(this.#keysById[id]))
    this.#expiring = new DueList((id) => this.#expiryMsOf(this.#keysById[id]))
    this.#book = new ResultBook(
      options,
      {
        endMsOf: (pane) => this.#windows[pane]!.timeMs + 1,
        appendRow: (pane, batch) => this.#panes.appendResults(pane, batch, this.#appendBounds(pane, batch)),
        appendRetracted: (pane, batch) => appendNulls(batch, this.#appendBounds(pane, batch)),
        release: (pane) => this.#release(pane),
      },
      this.fired,
    )
  }

  get openPanes(): number {
    return this.#slicePanes.open + this.#panes.open
  }

  get earlyDueMs(): number {
    return this.#book.earlyDueMs
  }

  get liveEpochs(): Iterable<number> {
    return this.#book.liveEpochs
  }

  fold(json: unknown): void {
    const partial = json as SlidingPartialJson
    const keys = partial.keys.map((key) => this.#keyOf(key))
    for (let i = 0; i < partial.of.length; i++) {
      const timeMs = partial.timesMs[i]!
      const slice = this.#sliceAt(keys[partial.of[i]!]!, timeMs, partial.fromsMs[i] ?? timeMs)
      this.#slicePanes.add(slice.pane, partial.states, i)
      this.#changed.add(slice)
      slice.of.sum?.changed(slice)
      if (slice.fromMs === timeMs && slice.window === null) this.#open(slice)
      this.#reviseFrom(slice)
    }
  }

  fire(at: FireAt): void {
    this.#due.takeDue(at.watermarkMs, (id) => this.#sumUp(this.#keysById[id]!, at.watermarkMs))
    this.#book.fire(at)
    // Where all sources are idle, W may be behind the slowest.
    const passedMs = Math.min(at.slowestMs, at.watermarkMs)
    this.#expiring.takeDue(passedMs, (id) => this.#forget(this.#keysById[id]!, passedMs))
    this.#forgottenMs = Math.max(this.#forgottenMs ?? -Infinity, passedMs)
  }

  clear(): void {
    this.fired.clear()
  }

  *snapshot(kind: 'full' | 'changes'): Generator<SlidingSnapshotJson> {
    const gone = kind === 'changes' ? [...this.#gone] : []
    const forgotten = kind === 'changes' ? this.#forgottenMs : null
    const slices =
      kind === 'full' ? [...this.#keys.values()].flatMap((key) => key.slices) : [...this.#changed]
    this.#gone.clear()
    this.#changed.clear()
    this.#forgottenMs = null
    const none = { slices: this.#writeSlices([]), windows: this.#writeWindows([]) }
    yield { ...none, gone, forgottenMs: forgotten === null ? null : writeDouble(forgotten) }
    for (const part of partsOf(slices, PART_MAX)) {
      if (part.length > 0) yield { ...none, gone: [], forgottenMs: null, slices: this.#writeSlices(part) }
    }
    for (const panes of this.#book.panes.takeForSnapshot(kind, PART_MAX)) {
      yield { ...none, gone: [], forgottenMs: null, windows: this.#writeWindows(panes) }
    }
  }

  restore(json: unknown): void {
    const { gone, forgottenMs, slices, windows } = json as SlidingSnapshotJson
    for (const pane of gone) this.#forgetWindow(pane)
    if (forgottenMs !== null) {
      const passedMs = readDouble(forgottenMs)
      this.#expiring.takeDue(passedMs, (id) => this.#forget(this.#keysById[id]!, passedMs))
    }
    const sliceKeys = slices.keys.map((key) => this.#keyOf(key))
    for (let i = 0; i < slices.of.length; i++) {
      const timeMs = slices.timesMs[i]!
      const slice = this.#sliceAt(sliceKeys[slices.of[i]!]!, timeMs, slices.fromsMs[i] ?? timeMs)
      this.#slicePanes.read(slice.pane, slices.states, i)
      slice.of.sum?.changed(slice)
    }
    const windowKeys = windows.keys.map((key) => this.#keyOf(key))
    for (let i = 0; i < windows.of.length; i++) this.#readWindow(windowKeys[windows.of[i]!]!, windows, i)
    this.#panes.listFree()
  }

  #dueMsOf(key: SlidingKey | undefined): number {
    const first = key?.unsummed[0]
    return first === undefined ? Number.NaN : first.timeMs + 1 + this.#latenessMs
  }

  #expiryMsOf(key: SlidingKey | undefined): number {
    const first = key?.slices[0]
    return first === undefined ? Number.NaN : first.timeMs + this.#sizeMs + 1 + this.#latenessMs
  }

  #keyOf(key: readonly KeyJson[]): SlidingKey {
    const text = JSON.stringify(key)
    let of = this.#keys.get(text)
    if (of === undefined) {
      const id = this.#freeIds.pop() ?? this.#keysById.length
      of = { id, text, key, slices: [], unsummed: [], windows: 0, summedMs: -Infinity, sum: null }
      this.#keys.set(text, of)
      this.#keysById[id] = of
    }
    return of
  }

  #dropKey(key: SlidingKey): void {
    if (key.slices.length > 0 || key.windows > 0) return
    this.#keys.delete(key.text)
    this.#keysById[key.id] = undefined
    this.#freeIds.push(key.id)
  }

  #sliceAt(of: SlidingKey, timeMs: number, fromMs: number): Slice {
    const { slices } = of
    const after = placeAfter(slices, timeMs)
    for (let i = after - 1; i >= 0 && slices[i]!.timeMs === timeMs; i--) {
      if (slices[i]!.fromMs === fromMs) return slices[i]!
    }
    const slice: Slice = { of, timeMs, fromMs, pane: this.#slicePanes.take(), window: null }
    slices.splice(after, 0, slice)
    if (slices[0] === slice) this.#expiring.add(of.id, this.#expiryMsOf(of))
    return slice
  }

  #open(slice: Slice): void {
    const { of, timeMs } = slice
    const window: Window = { of, timeMs, pane: this.#panes.take(), isSummed: false }
    this.#windows[window.pane] = window
    slice.window = window
    of.windows++
    this.#addUnsummed(window)
    this.#book.open(window.pane)
    this.#book.touch(window.pane, 1)
  }

  #addUnsummed(window: Window): void {
    const { of } = window
    of.unsummed.splice(placeAfter(of.unsummed, window.timeMs), 0, window)
    if (of.unsummed[0] === window) this.#due.add(of.id, this.#dueMsOf(of))
  }

  /** Windows that the slice is in and that have been summed up without it, as long as they are kept. */
  #reviseFrom({ of, timeMs, fromMs }: Slice): void {
    if (fromMs > of.summedMs) return
    for (let i = placeAfter(of.slices, fromMs - 0.5); i < of.slices.length; i++) {
      const { timeMs: windowMs, window } = of.slices[i]!
      if (windowMs > timeMs + this.#sizeMs) break
      if (window === null || !window.isSummed) continue
      if (this.#book.panes.phaseOf(window.pane) === Phase.Closed) continue
      window.isSummed = false
      this.#addUnsummed(window)
      this.#book.touch(window.pane, 1)
    }
  }

  #sumUp(key: SlidingKey, watermarkMs: number): void {
    const { slices, unsummed } = key
    const due = placeAfter(unsummed, watermarkMs - 1 - this.#latenessMs)
    key.sum ??= new SlidingSum(this.#sizeMs, this.#slicePanes, this.#sumPanes)
    for (const window of unsummed.splice(0, due)) {
      this.#panes.reset(window.pane)
      key.sum.addTo(this.#panes.accumulators, window.pane, slices, window.timeMs)
      window.isSummed = true
      key.summedMs = Math.max(key.summedMs, window.timeMs)
    }
    if (slices.length <= KEPT_SUM_SLICES) this.#dropSum(key)
    if (unsummed.length > 0) this.#due.add(key.id, this.#dueMsOf(key))
  }

  #dropSum(key: SlidingKey): void {
    key.sum?.clear()
    key.sum = null
  }

  /** No window to come, and none that could be revised, needs slices with t + size + 1 + allowed lateness ≤ W of all sources. */
  #forget(key: SlidingKey, passedMs: number): void {
    const expired = placeAfter(key.slices, passedMs - this.#latenessMs - 1 - this.#sizeMs)
    for (const slice of key.slices.splice(0, expired)) {
      this.#slicePanes.release(slice.pane)
      this.#changed.delete(slice)
    }
    if (key.slices.length === 0) this.#dropSum(key)
    else this.#expiring.add(key.id, this.#expiryMsOf(key))
    this.#dropKey(key)
  }

  #release(pane: number): void {
    if (this.#book.panes.isKnown(pane)) this.#gone.add(pane)
    this.#removeWindow(pane)
  }

  #forgetWindow(pane: number): void {
    if (this.#windows[pane] === undefined) return
    this.#book.forget(pane)
    this.#removeWindow(pane)
  }

  #removeWindow(pane: number): void {
    const window = this.#windows[pane]!
    const { of, timeMs } = window
    for (let i = placeAfter(of.slices, timeMs) - 1; i >= 0 && of.slices[i]!.timeMs === timeMs; i--) {
      if (of.slices[i]!.window === window) of.slices[i]!.window = null
    }
    if (!window.isSummed) {
      const place = of.unsummed.indexOf(window)
      of.unsummed.splice(place, 1)
      // The key waits for the next one now.
      if (place === 0 && of.unsummed.length > 0) this.#due.add(of.id, this.#dueMsOf(of))
    }
    this.#windows[pane] = undefined
    this.#panes.release(pane)
    of.windows--
    this.#dropKey(of)
  }

  #appendBounds(pane: number, batch: ColumnBatch): number {
    const { of, timeMs } = this.#windows[pane]!
    return appendKeyAndBounds(batch, of.key, [timeMs - this.#sizeMs, timeMs + 1])
  }

  #readWindow(of: SlidingKey, windows: SlidingSnapshotJson['windows'], index: number): void {
    const pane = windows.panes[index]!
    const timeMs = windows.timesMs[index]!
    const isSummed = windows.summed[index] === 1
    // Before the old one leaves, so that the key does not.
    of.windows++
    if (this.#windows[pane] !== undefined) this.#removeWindow(pane)
    this.#panes.takeAt(pane)
    const window: Window = { of, timeMs, pane, isSummed }
    this.#windows[pane] = window
    for (let i = placeAfter(of.slices, timeMs) - 1; i >= 0 && of.slices[i]!.timeMs === timeMs; i--) {
      if (of.slices[i]!.fromMs === timeMs) of.slices[i]!.window = window
    }
    if (isSummed) {
      this.#panes.read(pane, windows.states, index)
      of.summedMs = Math.max(of.summedMs, timeMs)
    } else this.#addUnsummed(window)
    this.#book.restore(pane, windows, index)
  }

  #writeSlices(slices: readonly Slice[]): SlidingPartialJson {
    const { distinct, of } = placesOf(slices.map((slice) => slice.of))
    return {
      keys: distinct.map(({ key }) => key),
      of,
      timesMs: slices.map(({ timeMs }) => timeMs),
      fromsMs: slices.map(({ timeMs, fromMs }) => (fromMs === timeMs ? null : fromMs)),
      states: this.#slicePanes.accumulators.map((accumulator) =>
        slices.map(({ pane }) => accumulator.write(pane)),
      ),
    }
  }

  #writeWindows(panes: readonly number[]): SlidingSnapshotJson['windows'] {
    const windows = panes.map((pane) => this.#windows[pane]!)
    const { distinct, of } = placesOf(windows.map((window) => window.of))
    return {
      keys: distinct.map(({ key }) => key),
      of,
      panes,
      timesMs: windows.map(({ timeMs }) => timeMs),
      summed: windows.map(({ isSummed }) => (isSummed ? 1 : 0)),
      states: this.#panes.accumulators.map((accumulator) =>
        windows.map(({ pane, isSummed }) => (isSummed ? accumulator.write(pane) : null)),
      ),
      ...this.#book.panes.write(panes),
    }
  }
}
