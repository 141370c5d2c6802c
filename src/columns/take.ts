import { assert, unreachable } from '../errors.ts'
import type { BinaryColumn, Column, ColumnBatch } from './column.ts'
import { createBatch, truncateBatch } from './column.ts'

/**
 * Gathers rows into other columns: row i of the result is row `selection[i]` of the batch, for i in [0, count). Rows may repeat
 * and come in any order. `target`, a batch of the same fields, is emptied and filled, so that its memory can be used again; without it a new one is made.
 */
export function takeRows(
  batch: ColumnBatch,
  selection: Int32Array,
  count: number,
  target: ColumnBatch = createBatch(batch.columns.map((column) => column.field)),
): ColumnBatch {
  assert(target !== batch, 'rows cannot be taken into the batch that they come from')
  assert(target.columns.length === batch.columns.length, 'the target has other columns than the batch')
  truncateBatch(target, 0)
  for (const [index, column] of batch.columns.entries())
    takeColumn(column, selection, count, target.columns[index]!)
  target.length = count
  return target
}

function takeColumn(from: Column, selection: Int32Array, count: number, to: Column): void {
  to.reserve(count)
  if (from.validity !== null) {
    assert(to.validity !== null, `column ${to.field.name} of the target is not nullable`)
    takeBits(from.validity, selection, count, to.validity)
  }
  const mismatch = `column ${to.field.name} of the target is not ${from.storage}`
  switch (from.storage) {
    case 'int32':
      assert(to.storage === 'int32', mismatch)
      takeValues(from.values, selection, count, to.values)
      break
    case 'float32':
      assert(to.storage === 'float32', mismatch)
      takeValues(from.values, selection, count, to.values)
      break
    case 'float64':
      assert(to.storage === 'float64', mismatch)
      takeValues(from.values, selection, count, to.values)
      break
    case 'int64': {
      assert(to.storage === 'int64', mismatch)
      takeWords(from.words, selection, count, to.words)
      break
    }
    case 'boolean':
      assert(to.storage === 'boolean', mismatch)
      takeBits(from.bits, selection, count, to.bits)
      break
    case 'binary':
      assert(to.storage === 'binary', mismatch)
      takeBytes(from, selection, count, to)
      break
    case 'fixed':
      assert(to.storage === 'fixed' && to.width === from.width, mismatch)
      takeFixed(from.data, selection, count, to.data, from.width)
      break
    case 'list': {
      assert(to.storage === 'list', mismatch)
      const items = takeRanges(from.offsets, selection, count, to.offsets)
      takeColumn(from.element, items, items.length, to.element)
      break
    }
    case 'map': {
      assert(to.storage === 'map', mismatch)
      const items = takeRanges(from.offsets, selection, count, to.offsets)
      takeColumn(from.keys, items, items.length, to.keys)
      takeColumn(from.values, items, items.length, to.values)
      break
    }
    case 'struct':
      assert(to.storage === 'struct', mismatch)
      for (const [index, child] of from.children.entries())
        takeColumn(child, selection, count, to.children[index]!)
      break
    default:
      unreachable(from)
  }
  to.length = count
}

type Numbers = Int32Array | Float32Array | Float64Array

function takeValues<T extends Numbers>(from: T, selection: Int32Array, count: number, to: T): void {
  for (let i = 0; i < count; i++) to[i] = from[selection[i]!]!
}

function takeWords(from: Int32Array, selection: Int32Array, count: number, to: Int32Array): void {
  for (let i = 0; i < count; i++) {
    const k = 2 * selection[i]!
    to[2 * i] = from[k]!
    to[2 * i + 1] = from[k + 1]!
  }
}

/** Eight bits make a byte before it is written. */
function takeBits(from: Uint8Array, selection: Int32Array, count: number, to: Uint8Array): void {
  let byte = 0
  for (let i = 0; i < count; i++) {
    const row = selection[i]!
    byte |= ((from[row >> 3]! >> (row & 7)) & 1) << (i & 7)
    if ((i & 7) === 7) {
      to[i >> 3] = byte
      byte = 0
    }
  }
  if ((count & 7) !== 0) to[count >> 3] = byte
}

function takeFixed(
  from: Uint8Array,
  selection: Int32Array,
  count: number,
  to: Uint8Array,
  width: number,
): void {
  for (let i = 0; i < count; i++) {
    const start = selection[i]! * width
    for (let k = 0; k < width; k++) to[i * width + k] = from[start + k]!
  }
}

function takeBytes(from: BinaryColumn, selection: Int32Array, count: number, to: BinaryColumn): void {
  const { offsets, data } = from
  const ends = to.offsets
  let bytes = 0
  ends[0] = 0
  for (let i = 0; i < count; i++) {
    const row = selection[i]!
    bytes += offsets[row + 1]! - offsets[row]!
    ends[i + 1] = bytes
  }
  to.reserveData(bytes)
  const target = to.data
  for (let i = 0; i < count; ) {
    // Neighbours that stay neighbours are one copy: most selections leave out few rows.
    const first = selection[i]!
    let next = i + 1
    while (next < count && selection[next] === first + next - i) next++
    copyRange(data, offsets[first]!, offsets[first + next - i]!, target, ends[i]!)
    i = next
  }
}

function copyRange(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start > 64) to.set(from.subarray(start, end), at)
  else for (let i = start; i < end; i++) to[at + i - start] = from[i]!
}

/** The rows of the items, for the child of a list or map. */
function takeRanges(offsets: Int32Array, selection: Int32Array, count: number, ends: Int32Array): Int32Array {
  let total = 0
  ends[0] = 0
  for (let i = 0; i < count; i++) {
    const row = selection[i]!
    total += offsets[row + 1]! - offsets[row]!
    ends[i + 1] = total
  }
  const items = new Int32Array(total)
  let at = 0
  for (let i = 0; i < count; i++) {
    const row = selection[i]!
    for (let item = offsets[row]!; item < offsets[row + 1]!; item++) items[at++] = item
  }
  return items
}
