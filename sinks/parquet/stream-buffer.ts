const FIRST_BYTES = 1 << 16
/** Less than doubling, because a stream has tens of megabytes. */
const GROWTH = 1.5

/**
 * Bytes that grow at the end. The memory is kept between streams, because touching fresh memory costs more than
 * filling it.
 */
export class StreamBuffer {
  bytes = new Uint8Array(FIRST_BYTES)
  length = 0

  /** Makes room at the end and returns where it starts. What is there is whatever was there before. */
  append(byteCount: number): number {
    const start = this.length
    const length = start + byteCount
    if (length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(length, Math.ceil(this.bytes.length * GROWTH)))
      larger.set(this.bytes.subarray(0, start))
      this.bytes = larger
    }
    this.length = length
    return start
  }

  appendBytes(bytes: Uint8Array): void {
    const start = this.append(bytes.length)
    this.bytes.set(bytes, start)
  }

  int32At(start: number, count: number): Int32Array {
    return new Int32Array(this.bytes.buffer, start, count)
  }

  written(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  /** Empties it, and gives the memory back where it holds more than `bytesMax`. */
  reset(bytesMax: number): void {
    if (this.bytes.length > bytesMax) this.bytes = new Uint8Array(FIRST_BYTES)
    this.length = 0
  }
}
