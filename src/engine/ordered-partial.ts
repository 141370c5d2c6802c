import type { Column } from '../columns/column.ts'
import type { Accumulator } from './accumulate/accumulator.ts'
import { type KeyJson, keyToJson } from './key-codec.ts'
import { sliceOf } from './slice.ts'

/** What partials of windows without a grid have in common: items that belong to keys. */
export interface KeyedJson {
  /** Each key once. */
  readonly keys: readonly (readonly KeyJson[])[]
  /** Of each item, its key's place in `keys`. */
  readonly of: readonly number[]
}

/** Items with a state for each aggregate: an array per aggregate, by item. */
export interface KeyedStatesJson extends KeyedJson {
  readonly states: readonly (readonly unknown[])[]
}

/** Which items a slice has, in their order. */
export function itemsBySlice(
  keyColumns: readonly Column[],
  keyIdOf: (item: number) => number,
  items: Iterable<number>,
  slices: number,
): readonly (readonly number[])[] {
  const bySlice: number[][] = Array.from({ length: slices }, () => [])
  const sliceOfKey = new Map<number, number>()
  for (const item of items) {
    const id = keyIdOf(item)
    let slice = sliceOfKey.get(id)
    if (slice === undefined) {
      slice = sliceOf(keyColumns, id, slices)
      sliceOfKey.set(id, slice)
    }
    bySlice[slice]!.push(item)
  }
  return bySlice
}

export function keyedJson(
  keyColumns: readonly Column[],
  keyIdOf: (item: number) => number,
  items: readonly number[],
): KeyedJson {
  const places = new Map<number, number>()
  const listed: (readonly KeyJson[])[] = []
  const of = items.map((item) => {
    const id = keyIdOf(item)
    let place = places.get(id)
    if (place === undefined) {
      place = listed.length
      places.set(id, place)
      listed.push(keyJsonOf(keyColumns, id))
    }
    return place
  })
  return { keys: listed, of }
}

export function keyJsonOf(columns: readonly Column[], row: number): readonly KeyJson[] {
  return columns.map((column) => keyToJson(column, row))
}

export function statesJson(
  accumulators: readonly Accumulator[],
  panes: readonly number[],
): readonly (readonly unknown[])[] {
  return accumulators.map((accumulator) => panes.map((pane) => accumulator.write(pane)))
}
