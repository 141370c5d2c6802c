import type { Frame, Selection } from './frame.ts'
import type { PaneTable } from './pane-table.ts'
import { type PanesJson, slicedPanes } from './partial.ts'
import type { AlignedWindows } from './window.ts'

/** Says to which pane of its key a row is added, if it is not late for all that it belongs to. */
export interface WindowPlacer {
  /** Parts `input`, less the rows that belong to no window; places[row − base of the frame] becomes a number for each row that is on time. Rows of a key with the same number share a pane. */
  place(input: Selection, frame: Frame, places: Float64Array, onTime: Selection, late: Selection): void
  /** The panes of an epoch by their windows, as JSON by slice of the keys; null for slices without panes. */
  partials(places: PaneTable, slices: number): readonly (PanesJson | null)[]
  /** The epoch has ended. */
  clear(): void
}

/**
 * Windows that lie side by side, or the one that has no end: a place is the start of its window. On time or late, by the watermark that the row found:
 *
 *    start        end        end + allowed lateness
 *    [------------)----------|
 *                            W at or beyond here: late
 */
export class SingleWindowPlacer implements WindowPlacer {
  readonly #windows: AlignedWindows
  readonly #allowedLatenessMs: number

  constructor(windows: AlignedWindows, allowedLatenessMs: number) {
    this.#windows = windows
    this.#allowedLatenessMs = allowedLatenessMs
  }

  place(input: Selection, frame: Frame, places: Float64Array, onTime: Selection, late: Selection): void {
    const { timesMs, watermarksMs, base } = frame
    onTime.count = 0
    late.count = 0
    // Rows come mostly one after the other in the same window.
    let startMs = Infinity
    let endMs = -Infinity
    let closeMs = -Infinity
    for (let i = 0; i < input.count; i++) {
      const row = input.rows[i]!
      const timeMs = timesMs[row - base]!
      if (!(timeMs >= startMs && timeMs < endMs)) {
        startMs = this.#windows.startOf(timeMs)
        endMs = this.#windows.endOf(startMs)
        closeMs = endMs + this.#allowedLatenessMs
      }
      if (watermarksMs[row - base]! >= closeMs) {
        late.rows[late.count++] = row
        continue
      }
      onTime.rows[onTime.count++] = row
      places[row - base] = startMs
    }
  }

  partials(places: PaneTable, slices: number): readonly (PanesJson | null)[] {
    return slicedPanes(places, slices)
  }

  clear(): void {}
}
