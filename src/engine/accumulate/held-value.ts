import type { Column } from '../../columns/column.ts'
import type { ColumnType } from '../../columns/column-type.ts'
import { AssertionError, assert, unreachable } from '../../errors.ts'
import { putByteText } from './byte-text.ts'
import { readDouble, writeDouble } from './double-json.ts'
import { TextCache } from './text-cache.ts'
import { readWhole, writeWhole } from './whole-json.ts'
import { WORD_BASE, bigintOfWords, setWords, wordsOf } from './words.ts'
import type { WordsPerValue } from './words.ts'

/**
 * A value that a pane keeps beyond the batch it came in. Of each value there is one only, so that sets and maps tell
 * values apart: a whole number (the unscaled one of a decimal) is a number within ±2^53 and a bigint beyond, a boolean is 0
 * or 1, a float a number. Text, bytes and fixed are strings with one character of U+0000..U+00FF for each byte, which
 * JavaScript compares as the bytes; an enum is its symbol.
 */
export type HeldValue = number | bigint | string

/** What can be done with the held values of one column type. */
export interface HeldType {
  /** The value of a row that is not null. */
  readonly take: (column: Column, row: number) => HeldValue
  /** Numbers by size, -0 before 0 and NaN behind everything; text and bytes bytewise. */
  readonly compare: (left: HeldValue, right: HeldValue) => number
  /** To a column of the type that is not nullable: the elements of a list. */
  readonly append: (column: Column, value: HeldValue) => void
  readonly toJson: (value: HeldValue) => unknown
  readonly fromJson: (json: unknown) => HeldValue
}

/** For scalars: everything but lists, maps and records. */
export function heldTypeOf(type: ColumnType): HeldType {
  switch (type.kind) {
    case 'int32':
    case 'date':
      return INT
    case 'time':
      return type.unit === 'millis' ? INT : LONG
    case 'int64':
    case 'timestamp':
      return LONG
    case 'decimal':
      return DECIMAL
    case 'float32':
    case 'float64':
      return FLOAT
    case 'boolean':
      return BOOLEAN
    case 'string':
    case 'bytes':
      return binaryType()
    case 'fixed':
      return fixedType()
    case 'enum':
      return enumType(type.symbols)
    case 'list':
    case 'map':
    case 'struct':
      throw new AssertionError(`a ${type.kind} is not held`)
    default:
      return unreachable(type)
  }
}

function compareNatural(left: HeldValue, right: HeldValue): number {
  return left < right ? -1 : left > right ? 1 : 0
}

function compareFloats(left: HeldValue, right: HeldValue): number {
  if (left < right) return -1
  if (left > right) return 1
  if (left === right) return left === 0 ? Number(Object.is(right, -0)) - Number(Object.is(left, -0)) : 0
  return Number(Number.isNaN(left)) - Number(Number.isNaN(right))
}

/** The held whole number of two words. */
function heldLong(low: number, high: number): number | bigint {
  const value = high * WORD_BASE + (low >>> 0)
  if (Number.isSafeInteger(value)) return value
  return (BigInt(high) << 32n) | BigInt(low >>> 0)
}

function wholeType(words: WordsPerValue, take: HeldType['take']): HeldType {
  return {
    take,
    compare: compareNatural,
    append(column, value) {
      setWords(roomForWords(column, words), (column.length - 1) * words, words, BigInt(value))
    },
    toJson: (value) => (typeof value === 'bigint' ? writeWhole(value) : value),
    fromJson(json) {
      const value = readWhole(json)
      const rounded = Number(value)
      return Number.isSafeInteger(rounded) ? rounded : value
    },
  }
}

/** Appends a row, and returns the words of the column. */
function roomForWords(column: Column, words: WordsPerValue): Int32Array {
  column.reserve(column.length + 1)
  column.length++
  const all = wordsOf(column)
  assert(all.length >= column.length * words, `column ${column.field.name} has other words`)
  return all
}

const INT: HeldType = wholeType(1, (column, row) => {
  assert(column.storage === 'int32', 'an int32 column')
  return column.values[row]!
})

const LONG: HeldType = wholeType(2, (column, row) => {
  assert(column.storage === 'int64', 'an int64 column')
  return heldLong(column.words[row * 2]!, column.words[row * 2 + 1]!)
})

const DECIMAL: HeldType = wholeType(4, (column, row) => {
  const words = wordsOf(column)
  const at = row * 4
  const high = words[at + 1]!
  if (words[at + 2] === high >> 31 && words[at + 3] === high >> 31) return heldLong(words[at]!, high)
  return bigintOfWords(words, at, 4)
})

const FLOAT: HeldType = {
  take(column, row) {
    assert(column.storage === 'float64' || column.storage === 'float32', 'a float column')
    return column.values[row]!
  },
  compare: compareFloats,
  append(column, value) {
    assert(column.storage === 'float64' || column.storage === 'float32', 'a float column')
    column.reserve(column.length + 1)
    column.values[column.length++] = Number(value)
  },
  toJson: (value) => writeDouble(Number(value)),
  fromJson: readDouble,
}

const BOOLEAN: HeldType = {
  take(column, row) {
    assert(column.storage === 'boolean', 'a boolean column')
    return (column.bits[row >> 3]! >> (row & 7)) & 1
  },
  compare: compareNatural,
  append(column, value) {
    assert(column.storage === 'boolean', 'a boolean column')
    const row = column.length
    column.reserve(row + 1)
    if (value === 1) column.bits[row >> 3]! |= 1 << (row & 7)
    else column.bits[row >> 3]! &= ~(1 << (row & 7))
    column.length++
  },
  toJson: (value) => value === 1,
  fromJson(json) {
    assert(typeof json === 'boolean', 'a held boolean is true or false')
    return Number(json)
  },
}

function textFromJson(json: unknown): string {
  assert(typeof json === 'string', 'a held text is a string')
  return json
}

function binaryType(): HeldType {
  const cache = new TextCache()
  return {
    take(column, row) {
      assert(column.storage === 'binary', 'a binary column')
      return cache.textOf(column.data, column.offsets[row]!, column.offsets[row + 1]!)
    },
    compare: compareNatural,
    append(column, value) {
      assert(column.storage === 'binary' && typeof value === 'string', 'a binary column')
      column.reserve(column.length + 1)
      const at = column.offsets[column.length]!
      putByteText(column, at, value)
      column.offsets[++column.length] = at + value.length
    },
    toJson: (value) => value,
    fromJson: textFromJson,
  }
}

function fixedType(): HeldType {
  const cache = new TextCache()
  return {
    take(column, row) {
      assert(column.storage === 'fixed', 'a fixed column')
      return cache.textOf(column.data, row * column.width, (row + 1) * column.width)
    },
    compare: compareNatural,
    append(column, value) {
      assert(column.storage === 'fixed' && typeof value === 'string', 'a fixed column')
      column.reserve(column.length + 1)
      const at = column.length++ * column.width
      for (let i = 0; i < column.width; i++) column.data[at + i] = value.charCodeAt(i)
    },
    toJson: (value) => value,
    fromJson: textFromJson,
  }
}

/** Symbols and not their indices, so that a schema may reorder them. Avro's symbols are ASCII. */
function enumType(symbols: readonly string[]): HeldType {
  const indices = new Map<unknown, number>(symbols.map((symbol, index) => [symbol, index]))
  return {
    take(column, row) {
      assert(column.storage === 'int32', 'an enum column')
      return symbols[column.values[row]!]!
    },
    compare: compareNatural,
    append(column, value) {
      assert(column.storage === 'int32', 'an enum column')
      const index = indices.get(value)
      assert(index !== undefined, `${column.field.name} has no symbol ${value}`)
      column.reserve(column.length + 1)
      column.values[column.length++] = index
    },
    toJson: (value) => value,
    fromJson: textFromJson,
  }
}
