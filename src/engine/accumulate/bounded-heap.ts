/**
 * The `max` first items of an order, as a heap: the last of them is heap[0], so that one comparison tells whether another
 * comes in. Which items stay does not depend on the order in which they come, as long as those that compare equal are equal.
 */
export function offer<Item>(
  heap: Item[],
  max: number,
  compare: (left: Item, right: Item) => number,
  item: Item,
): void {
  if (heap.length < max) {
    heap.push(item)
    let at = heap.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (compare(heap[parent]!, item) >= 0) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = item
  } else if (compare(item, heap[0]!) < 0) {
    replaceLast(heap, compare, item)
  }
}

function replaceLast<Item>(heap: Item[], compare: (left: Item, right: Item) => number, item: Item): void {
  const half = heap.length >> 1
  let at = 0
  while (at < half) {
    let child = 2 * at + 1
    if (child + 1 < heap.length && compare(heap[child + 1]!, heap[child]!) > 0) child++
    if (compare(heap[child]!, item) <= 0) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = item
}
