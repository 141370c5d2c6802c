import type { Column } from '../../columns/column.ts'
import type { ColumnType } from '../../columns/column-type.ts'
import type { HeldType, HeldValue } from './held-value.ts'
import { hash64 } from './murmur3.ts'

/**
 * Hashes of 64 bits of the values of a column, over bytes that are the same whatever the column is held in: whole
 * numbers as 8 bytes, little-endian (16 where they need more), floats as the 8 bytes of a double with one NaN and one zero, text and bytes as
 * they are.
 */
export class ValueHash {
  readonly #held: HeldType
  readonly #isFloat: boolean
  readonly #hash = new Int32Array(2)
  #bytes = new Uint8Array(256)
  #view = new DataView(this.#bytes.buffer)

  /** `held` is that of the type. */
  constructor(type: ColumnType, held: HeldType) {
    this.#held = held
    this.#isFloat = type.kind === 'float32' || type.kind === 'float64'
  }

  /** Two words, overwritten by the next call. The row is not null. */
  ofRow(column: Column, row: number): Int32Array {
    if (column.storage !== 'binary') return this.of(this.#held.take(column, row))
    hash64(column.data, column.offsets[row]!, column.offsets[row + 1]!, this.#hash)
    return this.#hash
  }

  /** The same of a value that was taken out of its column. */
  of(value: HeldValue): Int32Array {
    const length = this.#isFloat ? this.#putFloat(Number(value)) : this.#put(value)
    hash64(this.#bytes, 0, length, this.#hash)
    return this.#hash
  }

  #putFloat(value: number): number {
    // -0 + 0 is 0. Bits of a NaN are written, for JavaScript leaves open which NaN a DataView writes.
    if (Number.isNaN(value)) this.#view.setBigUint64(0, 0x7ff8_0000_0000_0000n, true)
    else this.#view.setFloat64(0, value + 0, true)
    return 8
  }

  #put(value: HeldValue): number {
    if (typeof value === 'string') return this.#putText(value)
    if (typeof value === 'number') {
      this.#view.setInt32(0, value | 0, true)
      this.#view.setInt32(4, Math.floor(value / 4294967296), true)
      return 8
    }
    this.#view.setBigInt64(0, BigInt.asIntN(64, value), true)
    this.#view.setBigInt64(8, value >> 64n, true)
    return BigInt.asIntN(64, value) === value ? 8 : 16
  }

  #putText(text: string): number {
    if (text.length > this.#bytes.length) {
      this.#bytes = new Uint8Array(text.length * 2)
      this.#view = new DataView(this.#bytes.buffer)
    }
    for (let i = 0; i < text.length; i++) this.#bytes[i] = text.charCodeAt(i)
    return text.length
  }
}
