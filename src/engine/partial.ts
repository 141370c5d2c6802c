import { createBatch, truncateBatch } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import type { Accumulator } from './accumulate/accumulator.ts'
import { type KeyJson, keyFromJson, keyToJson } from './key-codec.ts'
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
export function panesToJson(table: PaneTable, panes: readonly number[] | null): PanesJson {
  const listed = panes ?? Array.from({ length: table.size }, (_, pane) => pane)
  return {
    keys: table.keys.columns.map((column) => listed.map((pane) => keyToJson(column, table.keyIdOf(pane)))),
    windowStartsMs: listed.map((pane) => table.windowStartOf(pane)),
    states: table.accumulators.map((accumulator) => listed.map((pane) => accumulator.write(pane))),
  }
}

/** Folds panes into a table; `touched(pane, i)` is called for each, i being its place in the JSON. */
export function foldPanes(
  json: PanesJson,
  keyFields: readonly Field[],
  scratch: readonly Accumulator[],
  table: PaneTable,
  touched: (pane: number, index: number) => void,
): void {
  const key = createBatch(keyFields)
  for (const accumulator of scratch) accumulator.reserve(1)
  for (let i = 0; i < json.windowStartsMs.length; i++) {
    truncateBatch(key, 0)
    key.columns.forEach((column, c) => keyFromJson(json.keys[c]![i]!, column))
    const pane = table.paneOf(key.columns, 0, json.windowStartsMs[i]!)
    for (let a = 0; a < scratch.length; a++) {
      scratch[a]!.reset(0)
      scratch[a]!.read(0, json.states[a]![i])
      table.accumulators[a]!.mergePane(scratch[a]!, 0, pane)
    }
    touched(pane, i)
  }
}
