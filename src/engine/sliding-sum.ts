import type { Accumulator } from './accumulate/accumulator.ts'
import type { OrderedPanes } from './ordered-panes.ts'

/** The rows of one key and event time that are in the same windows: all that end at `fromMs` + 1 or later, and no later than t + size + 1. */
export interface SlidingSlice {
  readonly timeMs: number
  /** t where the rows were on time for their own window. */
  readonly fromMs: number
  readonly pane: number
}

interface Suffix {
  readonly timeMs: number
  /** The sum of this slice and of all later ones of the front. */
  readonly pane: number
}

/**
 * The sums of windows that only move forward, without taking anything out of a sum: two stacks (as in Tangwongsan, Hirzel and Schneider, "Low-Latency
 * Sliding-Window Aggregation in Worst-Case Constant Time", DEBS 2017, section 3). New slices go into one sum, the back. When the window leaves the oldest slices behind and
 * there is no front, the back becomes the front: a sum for each slice, of itself and those after it. A slice is merged three times at most, however many windows it is in.
 *
 * A slice that is in later windows only, because its rows came late, is put in by starting over when the first of these windows comes.
 */
export class SlidingSum {
  readonly #sizeMs: number
  readonly #slicePanes: OrderedPanes
  readonly #panes: OrderedPanes
  /** The oldest last. */
  #front: Suffix[] = []
  #back: SlidingSlice[] = []
  #backPane = -1
  /** The window that was summed up last is [this − size, this]. */
  #lastMs = -Infinity
  /** The first window that needs a slice which has been passed over. */
  #waitingMs = Infinity
  #isStale = true

  constructor(sizeMs: number, slicePanes: OrderedPanes, panes: OrderedPanes) {
    this.#sizeMs = sizeMs
    this.#slicePanes = slicePanes
    this.#panes = panes
  }

  /** A slice has come or grown. */
  changed({ timeMs, fromMs }: SlidingSlice): void {
    if (timeMs > this.#lastMs) return
    if (fromMs <= this.#lastMs) this.#isStale = true
    else this.#waitingMs = Math.min(this.#waitingMs, fromMs)
  }

  /** Adds the sum of the window that ends with `timeMs` to a pane of other accumulators. The slices are all there are of the key, by time. */
  addTo(
    accumulators: readonly Accumulator[],
    pane: number,
    slices: readonly SlidingSlice[],
    timeMs: number,
  ): void {
    const firstMs = timeMs - this.#sizeMs
    if (this.#isStale || timeMs < this.#lastMs || timeMs >= this.#waitingMs) this.clear()
    for (let i = placeAfter(slices, Math.max(this.#lastMs, firstMs - 0.5)); i < slices.length; i++) {
      const slice = slices[i]!
      if (slice.timeMs > timeMs) break
      if (slice.fromMs > timeMs) this.#waitingMs = Math.min(this.#waitingMs, slice.fromMs)
      else this.#push(slice)
    }
    this.#isStale = false
    this.#lastMs = timeMs
    this.#leaveBehind(firstMs)
    const oldest = this.#front.at(-1)
    accumulators.forEach((accumulator, a) => {
      const sums = this.#panes.accumulators[a]!
      if (oldest !== undefined) accumulator.mergePane(sums, oldest.pane, pane)
      if (this.#backPane >= 0) accumulator.mergePane(sums, this.#backPane, pane)
    })
  }

  /** Forgets all sums. */
  clear(): void {
    for (const { pane } of this.#front) this.#panes.release(pane)
    this.#front = []
    this.#clearBack()
    this.#lastMs = -Infinity
    this.#waitingMs = Infinity
    this.#isStale = true
  }

  #push(slice: SlidingSlice): void {
    if (this.#backPane < 0) this.#backPane = this.#panes.take()
    this.#panes.mergeFrom(this.#slicePanes, slice.pane, this.#backPane)
    this.#back.push(slice)
  }

  #leaveBehind(firstMs: number): void {
    while (this.#front.length > 0 && this.#front.at(-1)!.timeMs < firstMs) {
      this.#panes.release(this.#front.pop()!.pane)
    }
    if (this.#front.length > 0 || this.#back.length === 0 || this.#back[0]!.timeMs >= firstMs) return
    const back = this.#back
    this.#clearBack()
    for (let i = back.length - 1; i >= 0 && back[i]!.timeMs >= firstMs; i--) {
      const pane = this.#panes.take()
      const later = this.#front.at(-1)
      if (later !== undefined) this.#panes.merge(later.pane, pane)
      this.#panes.mergeFrom(this.#slicePanes, back[i]!.pane, pane)
      this.#front.push({ timeMs: back[i]!.timeMs, pane })
    }
  }

  #clearBack(): void {
    if (this.#backPane >= 0) this.#panes.release(this.#backPane)
    this.#back = []
    this.#backPane = -1
  }
}

/** Of slices by time, the first that is after a time. */
export function placeAfter(slices: readonly { readonly timeMs: number }[], timeMs: number): number {
  let low = 0
  let high = slices.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (slices[middle]!.timeMs <= timeMs) low = middle + 1
    else high = middle
  }
  return low
}
