import { type KeyJson, keyToJson } from './key-codec.ts'
import type { PaneTable } from './pane-table.ts'

/** Panes at rest: one array per key column, one per accumulator, all of the length of `windowStartsMs`. */
export interface PanesJson {
  readonly keys: readonly (readonly KeyJson[])[]
  readonly windowStartsMs: readonly number[]
  readonly states: readonly (readonly unknown[])[]
}

/** What an epoch adds to each result, by name. Of windows that are known by their start: `PanesJson`; other kinds have a form of their own. */
export type PartialsJson = Readonly<Record<string, unknown>>

/** The panes as JSON, those listed, in that order. */
export function panesToJson(table: PaneTable, panes: readonly number[]): PanesJson {
  return {
    keys: table.keys.columns.map((column) => panes.map((pane) => keyToJson(column, table.keyIdOf(pane)))),
    windowStartsMs: panes.map((pane) => table.windowStartOf(pane)),
    states: table.accumulators.map((accumulator) => panes.map((pane) => accumulator.write(pane))),
  }
}
