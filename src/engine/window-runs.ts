import type { HoppingSpec } from '../topology/node.ts'
import type { Frame, Selection } from './frame.ts'
import type { PaneTable } from './pane-table.ts'
import { type AlignedWindows, alignedWindows } from './window.ts'
import { type PanesJson, slicedPanes } from './partial.ts'
import type { WindowPlacer } from './window-placer.ts'

/** Windows that a partial holds for each run. */
const EXPANSION_MAX = 4

interface WindowRun {
  readonly firstMs: number
  readonly lastMs: number
}

/**
 * Windows that overlap. A row is in many of them, and is added once: to the *run* of windows for which it is on time, from the first start to the last. What a run has got is added to its
 * windows when the epoch ends, or, where that would make many more of them, by the merge. (Slices as in Li et al., "No Pane, No Gain", SIGMOD Record 2005; rows that come too late for the first windows have runs of their own.)
 *
 *    2    4    5        6    8
 *    [------------------)               size 4, hop 2: at 5 windows 2 and 4; at W = 6 or beyond 4 alone
 *         [------------------)
 *
 * To add runs to windows, they are added to blocks of 1, 2, 4, … windows, as in a segment tree, and each block then to its two halves: 2 log2 n additions for a run of n windows, and not n.
 */
export class WindowRuns implements WindowPlacer {
  readonly #spec: HoppingSpec
  readonly #windows: AlignedWindows
  readonly #allowedLatenessMs: number
  /** With the keys of another table. */
  readonly #tableLike: (table: PaneTable) => PaneTable
  #runs: WindowRun[] = []
  /** By the start of the last window, then of the first. */
  readonly #index = new Map<number, Map<number, number>>()

  constructor(spec: HoppingSpec, allowedLatenessMs: number, tableLike: (table: PaneTable) => PaneTable) {
    this.#spec = spec
    this.#windows = alignedWindows(spec)
    this.#allowedLatenessMs = allowedLatenessMs
    this.#tableLike = tableLike
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
        // Between two windows that begin further apart than they are long.
        if (firstMs > lastMs) continue
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

  partials(places: PaneTable, slices: number): readonly (PanesJson | null)[] {
    const windowsOfRow = Math.ceil(this.#spec.sizeMs / this.#spec.hopMs)
    const runsOfKey = places.size / Math.max(1, places.keys.length)
    // r runs of a key are in about r + n windows. What a partial holds stays in proportion to the rows.
    if (runsOfKey + windowsOfRow > runsOfKey * EXPANSION_MAX) {
      return slicedPanes(places, slices).map((panes) => (panes === null ? null : this.#asRuns(panes)))
    }
    return slicedPanes(this.#windowPanes(places, blockLevels(windowsOfRow, runsOfKey)), slices)
  }

  #asRuns(panes: PanesJson): PanesJson {
    const runs = panes.windowStartsMs.map((place) => this.#runs[place]!)
    return {
      ...panes,
      windowStartsMs: runs.map(({ firstMs }) => firstMs),
      windows: runs.map(({ firstMs, lastMs }) => (lastMs - firstMs) / this.#spec.hopMs + 1),
    }
  }

  #windowPanes(places: PaneTable, levels: number): PaneTable {
    const { hopMs, offsetMs } = this.#spec
    // Tables of blocks, by the start of their first window; blocks[level] are of 2^level windows.
    const blocks = Array.from({ length: levels }, () => this.#tableLike(places))
    for (let pane = 0; pane < places.size; pane++) {
      const { firstMs, lastMs } = this.#runs[places.windowStartOf(pane)]!
      const keyId = places.keyIdOf(pane)
      const last = (lastMs - offsetMs) / hopMs
      let next = (firstMs - offsetMs) / hopMs
      while (next <= last) {
        const level = blockLevel(next, last, blocks.length)
        addPane(places, pane, blocks[level]!, keyId, next * hopMs + offsetMs)
        next += 2 ** level
      }
    }
    for (let level = blocks.length - 1; level > 0; level--) {
      const whole = blocks[level]!
      const halfMs = 2 ** (level - 1) * hopMs
      for (let pane = 0; pane < whole.size; pane++) {
        const keyId = whole.keyIdOf(pane)
        const startMs = whole.windowStartOf(pane)
        addPane(whole, pane, blocks[level - 1]!, keyId, startMs)
        addPane(whole, pane, blocks[level - 1]!, keyId, startMs + halfMs)
      }
    }
    return blocks[0]!
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

/**
 * Sizes of blocks; one, for no blocks but windows themselves, where that is cheaper: r runs of n windows are r × n additions, by blocks about r × 2 log2 n and 2 for each of the
 * r + n windows.
 */
function blockLevels(windows: number, runs: number): number {
  const levels = Math.floor(Math.log2(windows)) + 1
  return runs * (windows - 2 * levels) > 2 * (runs + windows) ? levels : 1
}

/** The largest block that begins at a window and ends at `last` or before. */
function blockLevel(first: number, last: number, levels: number): number {
  let level = 0
  while (level + 1 < levels) {
    const size = 2 ** (level + 1)
    if (first % size !== 0 || first + size - 1 > last) break
    level++
  }
  return level
}

function addPane(from: PaneTable, pane: number, to: PaneTable, keyId: number, startMs: number): void {
  const into = to.paneOf(keyId, startMs)
  for (const [a, accumulator] of to.accumulators.entries()) {
    accumulator.mergePane(from.accumulators[a]!, pane, into)
  }
}
