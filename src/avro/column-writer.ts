import { longAt, stringAt } from '../columns/cell.ts'
import {
  type BinaryColumn,
  type Column,
  type ColumnBatch,
  type FixedColumn,
  isValid,
} from '../columns/column.ts'
import { assert, unreachable } from '../errors.ts'
import type { AvroType, RecordType, UnionType } from './schema-model.ts'

const VARINT_BYTES_MAX = 10

interface UnionBranches {
  /** Below zero where null is none of them. */
  readonly nullIndex: number
  /** Of the others. */
  readonly indices: readonly number[]
}

/**
 * Writes rows of columns as Avro (specification 1.12, "Binary encoding") in the schema whose columns they are (`fieldsOf`): the way back of the
 * decoders. Everything goes into one growing arena, one value behind the other.
 */
export class ColumnWriter {
  readonly #schema: RecordType
  readonly #unions = new Map<UnionType, UnionBranches>()
  #bytes: Uint8Array
  #view: DataView
  /** Where the next byte goes. */
  #at = 0

  constructor(schema: AvroType) {
    assert(schema.kind === 'record', 'a row is a record')
    this.#schema = schema
    this.#bytes = new Uint8Array(4096)
    this.#view = new DataView(this.#bytes.buffer)
  }

  /** What was written so far, in an array that may be longer and is replaced when it grows. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  get length(): number {
    return this.#at
  }

  /** Bytes as they are. */
  raw(data: Uint8Array, start = 0, end = data.length): void {
    this.#reserve(end - start)
    this.#bytes.set(data.subarray(start, end), this.#at)
    this.#at += end - start
  }

  /** The record of a row. The batch begins with the columns of the schema. */
  row({ columns }: ColumnBatch, row: number): void {
    this.#record(this.#schema, columns, row)
  }

  #record({ fields }: RecordType, columns: readonly Column[], row: number): void {
    for (const [index, { type }] of fields.entries()) this.#value(type, columns[index]!, row)
  }

  #value(type: AvroType, column: Column, row: number): void {
    switch (type.kind) {
      case 'null':
        return
      case 'boolean':
        assert(column.storage === 'boolean', 'a boolean lies in bits')
        return this.#byte((column.bits[row >> 3]! >> (row & 7)) & 1)
      case 'int':
      case 'enum':
        assert(column.storage === 'int32', 'an int lies in one word')
        return this.#int(column.values[row]!)
      case 'long':
        assert(column.storage === 'int64', 'a long lies in two words')
        return this.#long(longAt(column, row))
      case 'float':
        assert(column.storage === 'float32', 'a float lies in one word')
        this.#reserve(4)
        this.#view.setFloat32(this.#at, column.values[row]!, true)
        this.#at += 4
        return
      case 'double':
        assert(column.storage === 'float64', 'a double lies in two words')
        this.#reserve(8)
        this.#view.setFloat64(this.#at, column.values[row]!, true)
        this.#at += 8
        return
      case 'string':
        return this.#text(binary(column), row)
      case 'bytes':
        if (column.storage === 'fixed') return this.#decimal(column, row, null)
        return this.#text(binary(column), row)
      case 'fixed':
        if (column.storage === 'binary') return this.#uuid(column, row)
        assert(column.storage === 'fixed', 'a fixed has a width')
        if (type.logical?.kind === 'decimal') return this.#decimal(column, row, type.size)
        return this.raw(column.data, row * column.width, (row + 1) * column.width)
      case 'array':
        assert(column.storage === 'list', 'an array lies in a list')
        return this.#blocks(column.offsets, row, (item) => this.#value(type.items, column.element, item))
      case 'map':
        assert(column.storage === 'map', 'a map lies in a map')
        return this.#blocks(column.offsets, row, (item) => {
          this.#text(column.keys, item)
          this.#value(type.values, column.values, item)
        })
      case 'record':
        assert(column.storage === 'struct', 'a record lies in a struct')
        return this.#record(type, column.children, row)
      case 'union':
        return this.#union(type, column, row)
      default:
        return unreachable(type)
    }
  }

  #union(type: UnionType, column: Column, row: number): void {
    const { branches } = type
    const { nullIndex, indices } = this.#branchesOf(type)
    if (!isValid(column, row)) return this.#int(nullIndex)
    if (indices.length === 1) {
      this.#int(indices[0]!)
      return this.#value(branches[indices[0]!]!, column, row)
    }
    assert(column.storage === 'struct', 'a union of several types lies in a struct')
    const child = column.children.findIndex((branch) => isValid(branch, row))
    assert(child >= 0, 'one branch of a union is present')
    this.#int(indices[child]!)
    this.#value(branches[indices[child]!]!, column.children[child]!, row)
  }

  #branchesOf(type: UnionType): UnionBranches {
    const known = this.#unions.get(type)
    if (known !== undefined) return known
    const nullIndex = type.branches.findIndex(({ kind }) => kind === 'null')
    const indices = [...type.branches.keys()].filter((index) => index !== nullIndex)
    const found = { nullIndex, indices }
    this.#unions.set(type, found)
    return found
  }

  /** An array or a map: one block with all items, where there are any, and the empty block that ends it. */
  #blocks(offsets: Int32Array, row: number, write: (item: number) => void): void {
    const start = offsets[row]!
    const end = offsets[row + 1]!
    if (end > start) this.#int(end - start)
    for (let item = start; item < end; item++) write(item)
    this.#byte(0)
  }

  #text({ data, offsets }: BinaryColumn, row: number): void {
    const start = offsets[row]!
    const end = offsets[row + 1]!
    this.#int(end - start)
    this.raw(data, start, end)
  }

  /** 16 bytes, least significant first, become `size` of them, or the fewest that say the same, the other way round. */
  #decimal({ data }: FixedColumn, row: number, size: number | null): void {
    const first = row * 16
    const sign = data[first + 15]! & 0x80 ? 0xff : 0
    let length = 16
    while (
      length > 1 &&
      data[first + length - 1] === sign &&
      (data[first + length - 2]! & 0x80) === (sign & 0x80)
    )
      length--
    const width = size ?? length
    if (size === null) this.#int(length)
    for (let index = width - 1; index >= 0; index--) this.#byte(index < 16 ? data[first + index]! : sign)
  }

  /** Text in the column, 16 bytes in Avro. */
  #uuid(column: BinaryColumn, row: number): void {
    const digits = stringAt(column, row).replaceAll('-', '')
    for (let at = 0; at < digits.length; at += 2) this.#byte(Number.parseInt(digits.slice(at, at + 2), 16))
  }

  /** Zig-zag varints. */
  #int(value: number): void {
    this.#reserve(VARINT_BYTES_MAX)
    let rest = ((value << 1) ^ (value >> 31)) >>> 0
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#bytes[this.#at++] = rest
  }

  #long(value: bigint): void {
    const small = Number(value)
    if (small < 0x4000_0000 && small >= -0x4000_0000) return this.#int(small)
    this.#reserve(VARINT_BYTES_MAX)
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    while (rest >= 0x80n) {
      this.#bytes[this.#at++] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    this.#bytes[this.#at++] = Number(rest)
  }

  #byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#at++] = value
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + bytes))
    larger.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}

function binary(column: Column): BinaryColumn {
  assert(column.storage === 'binary', 'text and bytes have offsets')
  return column
}
