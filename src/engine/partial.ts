import { type KeyJson, keyToJson } from './key-codec.ts'
import type { PaneTable } from './pane-table.ts'
import { sliceByKey } from './slice.ts'

/** Panes at rest: one array per key column, one per accumulator, all of the length of `windowStartsMs`. */
export interface PanesJson {
  readonly keys: readonly (readonly KeyJson[])[]
  readonly windowStartsMs: readonly number[]
  readonly states: readonly (readonly unknown[])[]
  /** Of hopping windows, where a pane stands for several that are a hop apart: how many, from the one that starts at `windowStartsMs` on. */
  readonly windows?: readonly number[]
}

/** What an epoch adds to each result, by name. Of windows that are known by their start: `PanesJson`; other kinds have a form of their own. */
export type PartialsJson = Readonly<Record<string, unknown>>

/** The panes as JSON, those listed, in that order. */
function panesToJson(table: PaneTable, panes: readonly number[]): PanesJson {
  return {
    keys: table.keys.columns.map((column) => panes.map((pane) => keyToJson(column, table.keyIdOf(pane)))),
    windowStartsMs: panes.map((pane) => table.windowStartOf(pane)),
    states: table.accumulators.map((accumulator) => panes.map((pane) => accumulator.write(pane))),
  }
}

/** All panes of a table, by slice of their keys; null for slices without panes. */
export function slicedPanes(table: PaneTable, slices: number): readonly (PanesJson | null)[] {
  return sliceByKey(table, slices).map((panes) => (panes.length === 0 ? null : panesToJson(table, panes)))
}
