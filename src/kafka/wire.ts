import { assert } from '../errors.ts'

/**
 * The primitive types of the Kafka protocol (kafka.apache.org/protocol, "Protocol Primitive Types"). Offsets, times and producer ids are
 * int64 there and numbers here: all of them stay far below 2^53.
 */
export class WireWriter {
  #buffer = Buffer.allocUnsafe(256)
  #at = 0

  int8(value: number): this {
    this.#ensure(1)
    this.#at = this.#buffer.writeInt8(value, this.#at)
    return this
  }

  int16(value: number): this {
    this.#ensure(2)
    this.#at = this.#buffer.writeInt16BE(value, this.#at)
    return this
  }

  int32(value: number): this {
    this.#ensure(4)
    this.#at = this.#buffer.writeInt32BE(value, this.#at)
    return this
  }

  int64(value: number): this {
    this.#ensure(8)
    this.#at = this.#buffer.writeBigInt64BE(BigInt(value), this.#at)
    return this
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  unsignedVarint(value: number): this {
    let rest = value
    while (rest > 0x7f) {
      this.uint8((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    return this.uint8(rest)
  }

  uint8(value: number): this {
    this.#ensure(1)
    this.#at = this.#buffer.writeUInt8(value, this.#at)
    return this
  }

  /** Without a length in front. */
  raw(bytes: Uint8Array): this {
    this.#ensure(bytes.length)
    this.#buffer.set(bytes, this.#at)
    this.#at += bytes.length
    return this
  }

  string(value: string): this {
    const bytes = Buffer.from(value)
    return this.int16(bytes.length).raw(bytes)
  }

  nullableString(value: string | null): this {
    return value === null ? this.int16(-1) : this.string(value)
  }

  bytes(value: Uint8Array): this {
    return this.int32(value.length).raw(value)
  }

  compactString(value: string): this {
    const bytes = Buffer.from(value)
    return this.unsignedVarint(bytes.length + 1).raw(bytes)
  }

  compactNullableString(value: string | null): this {
    return value === null ? this.uint8(0) : this.compactString(value)
  }

  array<T>(values: readonly T[], write: (value: T) => void): this {
    this.int32(values.length)
    values.forEach(write)
    return this
  }

  compactArray<T>(values: readonly T[] | null, write: (value: T) => void): this {
    if (values === null) return this.uint8(0)
    this.unsignedVarint(values.length + 1)
    values.forEach(write)
    return this
  }

  uuid(value: string): this {
    return this.raw(Buffer.from(value.replaceAll('-', ''), 'hex'))
  }

  /** No tagged fields. */
  tags(): this {
    return this.uint8(0)
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at)
  }

  #ensure(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes))
    larger.set(this.#buffer.subarray(0, this.#at))
    this.#buffer = larger
  }
}

const TWO_POW_32 = 0x1_0000_0000

/** Reads what a broker sent. Throws RangeError past the end. */
export class WireReader {
  readonly #buffer: Buffer
  at: number
  readonly end: number

  constructor(buffer: Buffer, at = 0, end = buffer.length) {
    this.#buffer = buffer
    this.at = at
    this.end = end
  }

  int8(): number {
    return this.#buffer.readInt8(this.#take(1))
  }

  int16(): number {
    return this.#buffer.readInt16BE(this.#take(2))
  }

  int32(): number {
    return this.#buffer.readInt32BE(this.#take(4))
  }

  int64(): number {
    const at = this.#take(8)
    return this.#buffer.readInt32BE(at) * TWO_POW_32 + this.#buffer.readUInt32BE(at + 4)
  }

  boolean(): boolean {
    return this.int8() !== 0
  }

  unsignedVarint(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      if (shift > 28) throw new RangeError('a varint has more than five bytes')
      const byte = this.#buffer[this.#take(1)]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
  }

  /** A view, not a copy. */
  raw(bytes: number): Buffer {
    const at = this.#take(bytes)
    return this.#buffer.subarray(at, at + bytes)
  }

  string(): string {
    const value = this.nullableString()
    assert(value !== null, 'a broker sent null for a string that cannot be null')
    return value
  }

  nullableString(): string | null {
    const length = this.int16()
    return length < 0 ? null : this.raw(length).toString('utf8')
  }

  /** A view, not a copy. */
  bytes(): Buffer | null {
    const length = this.int32()
    return length < 0 ? null : this.raw(length)
  }

  compactString(): string {
    const value = this.compactNullableString()
    assert(value !== null, 'a broker sent null for a string that cannot be null')
    return value
  }

  compactNullableString(): string | null {
    const length = this.unsignedVarint()
    return length === 0 ? null : this.raw(length - 1).toString('utf8')
  }

  /** A view, not a copy. */
  compactBytes(): Buffer | null {
    const length = this.unsignedVarint()
    return length === 0 ? null : this.raw(length - 1)
  }

  /** Null is empty. */
  array<T>(read: () => T): T[] {
    return this.#elements(this.int32(), read)
  }

  compactArray<T>(read: () => T): T[] {
    return this.#elements(this.unsignedVarint() - 1, read)
  }

  uuid(): string {
    const hex = this.raw(16).toString('hex')
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
  }

  skipTags(): void {
    for (let left = this.unsignedVarint(); left > 0; left--) {
      this.unsignedVarint()
      this.#take(this.unsignedVarint())
    }
  }

  #elements<T>(count: number, read: () => T): T[] {
    const values: T[] = []
    for (let index = 0; index < count; index++) values.push(read())
    return values
  }

  #take(bytes: number): number {
    const at = this.at
    if (bytes < 0 || at + bytes > this.end) throw new RangeError('a broker sent less than it announced')
    this.at = at + bytes
    return at
  }
}
