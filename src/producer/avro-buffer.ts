/** Avro's binary encoding (specification 1.12) into one buffer that grows and is used again. */
export class AvroBuffer {
  #bytes: Buffer = Buffer.allocUnsafe(1024)
  #at = 0

  /** Begins a value, after `headBytes` that the caller fills in. */
  begin(headBytes: number): void {
    this.#at = headBytes
  }

  /** A copy of its own, for the next value overwrites the buffer. */
  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#at))
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#at++] = value
  }

  /** A zig-zag varint; also of lengths, counts and indices. */
  int(value: number): void {
    this.#reserve(5)
    let rest = ((value << 1) ^ (value >> 31)) >>> 0
    for (; rest > 0x7f; rest >>>= 7) this.#bytes[this.#at++] = (rest & 0x7f) | 0x80
    this.#bytes[this.#at++] = rest
  }

  long(value: bigint): void {
    this.#reserve(10)
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    for (; rest > 0x7fn; rest >>= 7n) this.#bytes[this.#at++] = Number(rest & 0x7fn) | 0x80
    this.#bytes[this.#at++] = Number(rest)
  }

  /** A whole number of up to 2^53 as a long. */
  safeLong(value: number): void {
    if (value === (value | 0)) this.int(value)
    else this.long(BigInt(value))
  }

  float(value: number): void {
    this.#reserve(4)
    this.#at = this.#bytes.writeFloatLE(value, this.#at)
  }

  double(value: number): void {
    this.#reserve(8)
    this.#at = this.#bytes.writeDoubleLE(value, this.#at)
  }

  string(value: string): void {
    const length = Buffer.byteLength(value)
    this.int(length)
    this.#reserve(length)
    this.#at += this.#bytes.write(value, this.#at)
  }

  bytes(value: Uint8Array): void {
    this.int(value.length)
    this.raw(value)
  }

  raw(value: Uint8Array): void {
    this.#reserve(value.length)
    this.#bytes.set(value, this.#at)
    this.#at += value.length
  }

  /** Two's complement, big-endian, in so many bytes. */
  bigEndian(value: bigint, length: number): void {
    this.#reserve(length)
    let rest = value
    for (let index = this.#at + length - 1; index >= this.#at; index--) {
      this.#bytes[index] = Number(rest & 0xffn)
      rest >>= 8n
    }
    this.#at += length
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes))
    larger.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = larger
  }
}
