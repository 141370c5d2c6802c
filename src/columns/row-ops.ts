import { assert, PipelineError, unreachable } from '../errors.ts'
import { type Column, isValid, setValid } from './column.ts'
import type { Field } from './column-type.ts'

/**
 * What a hash table over columns needs of one column, specialised by its storage: rows are hashed, compared and copied
 * where they are, and no key becomes a JavaScript value.
 */
export interface RowOps {
  /** A 32-bit hash of the row; null has one too. */
  hash(column: Column, row: number): number
  equal(left: Column, leftRow: number, right: Column, rightRow: number): boolean
  /** Appends the row to a column of the same field. */
  append(from: Column, row: number, to: Column): void
}

const NULL_HASH = 0x5bd1e995

/** Ops for a column that can be a key. Floats, lists, maps and records cannot: PipelineError. */
export function rowOpsFor(field: Field): RowOps {
  const ops = presentOps(field)
  return field.nullable ? nullableOps(ops) : ops
}

/** The final mix of MurmurHash3 (public domain, Austin Appleby): spreads the bits of a 32-bit integer. */
export function mix32(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

function presentOps(field: Field): RowOps {
  const kind = field.type.kind
  switch (kind) {
    case 'int32':
    case 'date':
    case 'enum':
      return INT32_OPS
    case 'time':
      return field.type.unit === 'millis' ? INT32_OPS : INT64_OPS
    case 'int64':
    case 'timestamp':
      return INT64_OPS
    case 'boolean':
      return BOOLEAN_OPS
    case 'string':
    case 'bytes':
      return BINARY_OPS
    case 'fixed':
    case 'decimal':
      return FIXED_OPS
    case 'float32':
    case 'float64':
    case 'list':
    case 'map':
    case 'struct':
      throw new PipelineError('KEY_NOT_GROUPABLE', `field ${field.name} (${kind}) cannot be a key`, {
        advice: 'Group by strings, integers, booleans, enums, dates or timestamps.',
      })
    default:
      return unreachable(kind)
  }
}

function nullableOps(ops: RowOps): RowOps {
  return {
    hash: (column, row) => (isValid(column, row) ? ops.hash(column, row) : NULL_HASH),
    equal: (left, leftRow, right, rightRow) => {
      const present = isValid(left, leftRow)
      if (present !== isValid(right, rightRow)) return false
      return !present || ops.equal(left, leftRow, right, rightRow)
    },
    append: (from, row, to) => {
      const present = isValid(from, row)
      // The slot of a null row is garbage but for the range of a binary, which is empty.
      ops.append(from, row, to)
      setValid(to, to.length - 1, present)
    },
  }
}

const INT32_OPS: RowOps = {
  hash(column, row) {
    assert(column.storage === 'int32', 'int32 expected')
    return mix32(column.values[row]!)
  },
  equal(left, leftRow, right, rightRow) {
    assert(left.storage === 'int32' && right.storage === 'int32', 'int32 expected')
    return left.values[leftRow] === right.values[rightRow]
  },
  append(from, row, to) {
    assert(from.storage === 'int32' && to.storage === 'int32', 'int32 expected')
    to.reserve(to.length + 1)
    to.values[to.length++] = from.values[row]!
  },
}

const INT64_OPS: RowOps = {
  hash(column, row) {
    assert(column.storage === 'int64', 'int64 expected')
    return mix32(column.words[row * 2]! ^ Math.imul(column.words[row * 2 + 1]!, 0x9e3779b1))
  },
  equal(left, leftRow, right, rightRow) {
    assert(left.storage === 'int64' && right.storage === 'int64', 'int64 expected')
    return (
      left.words[leftRow * 2] === right.words[rightRow * 2] &&
      left.words[leftRow * 2 + 1] === right.words[rightRow * 2 + 1]
    )
  },
  append(from, row, to) {
    assert(from.storage === 'int64' && to.storage === 'int64', 'int64 expected')
    to.reserve(to.length + 1)
    to.words[to.length * 2] = from.words[row * 2]!
    to.words[to.length * 2 + 1] = from.words[row * 2 + 1]!
    to.length++
  },
}

const BOOLEAN_OPS: RowOps = {
  hash(column, row) {
    assert(column.storage === 'boolean', 'boolean expected')
    return mix32(((column.bits[row >> 3]! >> (row & 7)) & 1) + 1)
  },
  equal(left, leftRow, right, rightRow) {
    assert(left.storage === 'boolean' && right.storage === 'boolean', 'boolean expected')
    return (
      ((left.bits[leftRow >> 3]! >> (leftRow & 7)) & 1) ===
      ((right.bits[rightRow >> 3]! >> (rightRow & 7)) & 1)
    )
  },
  append(from, row, to) {
    assert(from.storage === 'boolean' && to.storage === 'boolean', 'boolean expected')
    to.reserve(to.length + 1)
    const at = to.length++
    if ((from.bits[row >> 3]! >> (row & 7)) & 1) to.bits[at >> 3]! |= 1 << (at & 7)
    else to.bits[at >> 3]! &= ~(1 << (at & 7))
  },
}

const BINARY_OPS: RowOps = {
  hash(column, row) {
    assert(column.storage === 'binary', 'binary expected')
    const data = column.data
    const end = column.offsets[row + 1]!
    // FNV-1a, 32 bit (Fowler, Noll, Vo), then mixed.
    let hash = 0x811c9dc5
    for (let i = column.offsets[row]!; i < end; i++) hash = Math.imul(hash ^ data[i]!, 0x01000193)
    return mix32(hash)
  },
  equal(left, leftRow, right, rightRow) {
    assert(left.storage === 'binary' && right.storage === 'binary', 'binary expected')
    const leftStart = left.offsets[leftRow]!
    const rightStart = right.offsets[rightRow]!
    const length = left.offsets[leftRow + 1]! - leftStart
    if (length !== right.offsets[rightRow + 1]! - rightStart) return false
    const leftData = left.data
    const rightData = right.data
    for (let i = 0; i < length; i++) {
      if (leftData[leftStart + i] !== rightData[rightStart + i]) return false
    }
    return true
  },
  append(from, row, to) {
    assert(from.storage === 'binary' && to.storage === 'binary', 'binary expected')
    const start = from.offsets[row]!
    const length = from.offsets[row + 1]! - start
    to.reserve(to.length + 1)
    const at = to.offsets[to.length]!
    to.reserveData(at + length)
    const source = from.data
    const target = to.data
    for (let i = 0; i < length; i++) target[at + i] = source[start + i]!
    to.offsets[++to.length] = at + length
  },
}

const FIXED_OPS: RowOps = {
  hash(column, row) {
    assert(column.storage === 'fixed', 'fixed expected')
    const end = (row + 1) * column.width
    let hash = 0x811c9dc5
    for (let i = row * column.width; i < end; i++) hash = Math.imul(hash ^ column.data[i]!, 0x01000193)
    return mix32(hash)
  },
  equal(left, leftRow, right, rightRow) {
    assert(left.storage === 'fixed' && right.storage === 'fixed', 'fixed expected')
    const width = left.width
    for (let i = 0; i < width; i++) {
      if (left.data[leftRow * width + i] !== right.data[rightRow * width + i]) return false
    }
    return true
  },
  append(from, row, to) {
    assert(from.storage === 'fixed' && to.storage === 'fixed', 'fixed expected')
    to.reserve(to.length + 1)
    to.data.set(from.data.subarray(row * from.width, (row + 1) * from.width), to.length * to.width)
    to.length++
  },
}
