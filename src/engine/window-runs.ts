import type { HoppingSpec } from '../topology/node.ts'
import type { Frame, Selection } from './frame.ts'
import type { PaneTable } from './pane-table.ts'
import { type AlignedWindows, alignedWindows } from './window.ts'
import type { WindowPlacer } from './window-placer.ts'

interface WindowRun {
  readonly firstMs: number
  readonly lastMs: number
}

/**
 * Windows that overlap. A row is in many of them, and is added once: to the *run* of windows for which it is on time, from the first start to the last. What a run has got is added to each of
 * its windows when the epoch ends. (Slices as in Li et al., "No Pane, No Gain", SIGMOD Record 2005; rows that come too late for the first windows have runs of their own.)
 *
 *    2    4    5        6    8
 *    [------------------)               size 4, hop 2: at 5 windows 2 and 4; at W = 6 or beyond 4 alone
 *         [------------------)
 */
export class WindowRuns implements WindowPlacer {
  readonly #spec: HoppingSpec
  readonly #windows: AlignedWindows
  readonly #allowedLatenessMs: number
  readonly #emptyTable: () => PaneTable
  #runs: WindowRun[] = []
  /** By the start of the last window, then of the first. */
  readonly #index = new Map<number, Map<number, number>>()

  constructor(spec: HoppingSpec, allowedLatenessMs: number, emptyTable: () => PaneTable) {
    this.#spec = spec
    this.#windows = alignedWindows(spec)
    this.#allowedLatenessMs = allowedLatenessMs
    this.#emptyTable = emptyTable
  }

  place(input: Selection, frame: Frame, places: Float64Array, onTime: Selection, late: Selection): void {
    const { sizeMs, hopMs } = this.#spec
    const { timesMs, watermarksMs, base } = frame
    onTime.count = 0
    late.count = 0
    // Rows come mostly one after the other in the same windows, late for none of them: times [from, to), W below `lateFromMs`.
    let run = -1
    let fromMs = Infinity
    let toMs = -Infinity
    let lateFromMs = -Infinity
    for (let i = 0; i < input.count; i++) {
      const row = input.rows[i]!
      const timeMs = timesMs[row - base]!
      const watermarkMs = watermarksMs[row - base]!
      if (!(timeMs >= fromMs && timeMs < toMs && watermarkMs < lateFromMs)) {
        const lastMs = this.#windows.startOf(timeMs)
        const firstMs = this.#windows.startOf(timeMs - sizeMs) + hopMs
        const firstOpenMs = Math.max(firstMs, this.#firstOpenMs(watermarkMs))
        if (firstOpenMs > lastMs) {
          late.rows[late.count++] = row
          continue
        }
        run = this.#indexOf(firstOpenMs, lastMs)
        fromMs = firstOpenMs === firstMs ? Math.max(lastMs, firstMs - hopMs + sizeMs) : Infinity
        toMs = Math.min(lastMs + hopMs, firstMs + sizeMs)
        lateFromMs = firstMs + sizeMs + this.#allowedLatenessMs
      }
      onTime.rows[onTime.count++] = row
      places[row - base] = run
    }
  }

  windowPanes(places: PaneTable): PaneTable {
    const windows = this.#emptyTable()
    for (let pane = 0; pane < places.size; pane++) {
      const { firstMs, lastMs } = this.#runs[places.windowStartOf(pane)]!
      const keyId = windows.keyIdFor(places.keys.columns, places.keyIdOf(pane))
      for (let startMs = firstMs; startMs <= lastMs; startMs += this.#spec.hopMs) {
        const into = windows.paneOf(keyId, startMs)
        for (const [a, accumulator] of windows.accumulators.entries()) {
          accumulator.mergePane(places.accumulators[a]!, pane, into)
        }
      }
    }
    return windows
  }

  clear(): void {
    this.#runs = []
    this.#index.clear()
  }

  /** The start of the first window that W has not closed. */
  #firstOpenMs(watermarkMs: number): number {
    const closedMs = watermarkMs - this.#allowedLatenessMs - this.#spec.sizeMs
    return closedMs === -Infinity ? closedMs : this.#windows.startOf(closedMs) + this.#spec.hopMs
  }

  #indexOf(firstMs: number, lastMs: number): number {
    let byFirst = this.#index.get(lastMs)
    if (byFirst === undefined) {
      byFirst = new Map()
      this.#index.set(lastMs, byFirst)
    }
    let run = byFirst.get(firstMs)
    if (run === undefined) {
      run = this.#runs.push({ firstMs, lastMs }) - 1
      byFirst.set(firstMs, run)
    }
    return run
  }
}
