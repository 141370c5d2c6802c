import { type Column, type ColumnBatch, isValid } from '../../src/columns/column.ts'
import { longAt } from '../../src/columns/cell.ts'
import type { ColumnType, Field } from '../../src/columns/column-type.ts'
import { assert, unreachable } from '../../src/errors.ts'

/** Confluent's frame: a zero, then the schema id as int32, big-endian. */
const FRAME_BYTES = 5
const VARINT_BYTES_MAX = 10

/**
 * Writes rows as Avro (specification 1.12, "Binary encoding") in Confluent's frame, straight from their columns. It goes with the schema that
 * `avroSchemaText` gives for the same fields. One buffer serves all rows.
 */
export class AvroRowEncoder {
  #buffer = new Uint8Array(256)
  #at = 0

  /** A copy of its own: the next row overwrites the buffer. `fields` are the schema's, and say what is a union with null. */
  encode(schemaId: number, fields: readonly Field[], columns: readonly Column[], row: number): Uint8Array {
    this.#at = 0
    this.#reserve(FRAME_BYTES)
    this.#buffer[0] = 0
    new DataView(this.#buffer.buffer).setInt32(1, schemaId)
    this.#at = FRAME_BYTES
    for (const [index, column] of columns.entries()) this.#field(fields[index]!, column, row)
    return this.#buffer.slice(0, this.#at)
  }

  #field({ nullable, type }: Field, column: Column, row: number): void {
    if (nullable) {
      const isPresent = isValid(column, row)
      // The branch of the union with null.
      this.#byte(isPresent ? 2 : 0)
      if (!isPresent) return
    }
    this.#value(type, column, row)
  }

  #value(type: ColumnType, column: Column, row: number): void {
    switch (column.storage) {
      case 'int32':
        // Also an enum: its symbols are those of the schema, in their order.
        this.#long(BigInt(column.values[row]!))
        return
      case 'int64':
        this.#long(longAt(column, row))
        return
      case 'float32':
        this.#reserve(4)
        this.#view().setFloat32(this.#at, column.values[row]!, true)
        this.#at += 4
        return
      case 'float64':
        this.#reserve(8)
        this.#view().setFloat64(this.#at, column.values[row]!, true)
        this.#at += 8
        return
      case 'boolean':
        this.#byte((column.bits[row >> 3]! >> (row & 7)) & 1)
        return
      case 'binary':
        this.#bytes(column.data, column.offsets[row]!, column.offsets[row + 1]!)
        return
      case 'fixed':
        if (type.kind === 'decimal') this.#decimal(column.data, row)
        else this.#raw(column.data, row * column.width, (row + 1) * column.width)
        return
      case 'list':
        return this.#blocks(column.offsets, row, (item) =>
          this.#field(column.element.field, column.element, item),
        )
      case 'map':
        return this.#blocks(column.offsets, row, (item) => {
          this.#field(column.keys.field, column.keys, item)
          this.#field(column.values.field, column.values, item)
        })
      case 'struct':
        for (const child of column.children) this.#field(child.field, child, row)
        return
      default:
        unreachable(column)
    }
  }

  /** An array or a map: one block with all items, where there are any, and the empty block that ends it. */
  #blocks(offsets: Int32Array, row: number, write: (item: number) => void): void {
    const start = offsets[row]!
    const end = offsets[row + 1]!
    if (end > start) this.#long(BigInt(end - start))
    for (let item = start; item < end; item++) write(item)
    this.#byte(0)
  }

  /** 16 bytes, little-endian, become the fewest that say the same, big-endian. */
  #decimal(data: Uint8Array, row: number): void {
    const first = row * 16
    const sign = data[first + 15]! & 0x80 ? 0xff : 0
    let length = 16
    while (
      length > 1 &&
      data[first + length - 1] === sign &&
      (data[first + length - 2]! & 0x80) === (sign & 0x80)
    ) {
      length--
    }
    this.#long(BigInt(length))
    for (let index = length - 1; index >= 0; index--) this.#byte(data[first + index]!)
  }

  #bytes(data: Uint8Array, start: number, end: number): void {
    this.#long(BigInt(end - start))
    this.#raw(data, start, end)
  }

  #raw(data: Uint8Array, start: number, end: number): void {
    this.#reserve(end - start)
    this.#buffer.set(data.subarray(start, end), this.#at)
    this.#at += end - start
  }

  /** An int or a long: both are zig-zag varints. */
  #long(value: bigint): void {
    this.#reserve(VARINT_BYTES_MAX)
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    while (rest >= 0x80n) {
      this.#buffer[this.#at++] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    this.#buffer[this.#at++] = Number(rest)
  }

  #byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#at++] = value
  }

  #view(): DataView {
    return new DataView(this.#buffer.buffer)
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.#at + bytes))
    larger.set(this.#buffer.subarray(0, this.#at))
    this.#buffer = larger
  }
}

/** The columns of these fields, by their names. */
export function columnsOf(batch: ColumnBatch, names: readonly string[]): readonly Column[] {
  return names.map((name) => {
    const column = batch.columns.find(({ field }) => field.name === name)
    assert(column !== undefined, `a result has the column ${name}`)
    return column
  })
}
