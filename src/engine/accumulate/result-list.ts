import { setValid } from '../../columns/column.ts'
import type { Column } from '../../columns/column.ts'
import { assert } from '../../errors.ts'

/** Appends a list to a list column; `appendItem` appends to the column of its elements. */
export function appendList<Item>(
  column: Column,
  items: readonly Item[],
  appendItem: (column: Column, item: Item) => void,
): void {
  assert(column.storage === 'list', 'a list goes to a list column')
  const row = column.length
  column.reserve(row + 1)
  column.element.reserve(column.element.length + items.length)
  for (const item of items) appendItem(column.element, item)
  column.offsets[row + 1] = column.element.length
  column.length = row + 1
  if (column.validity !== null) setValid(column, row, true)
}
