/** Output of a decompressor whose size is not known before. Throws RangeError above `bytesMax`. */
export class GrowingBytes {
  bytes: Uint8Array
  used = 0
  readonly #bytesMax: number

  constructor(bytesExpected: number, bytesMax: number) {
    if (bytesExpected > bytesMax) throw tooLarge(bytesMax)
    this.bytes = new Uint8Array(bytesExpected)
    this.#bytesMax = bytesMax
  }

  /** Has room for `count` bytes more. */
  ensure(count: number): void {
    const needed = this.used + count
    if (needed <= this.bytes.length) return
    if (needed > this.#bytesMax) throw tooLarge(this.#bytesMax)
    const larger = new Uint8Array(Math.min(this.#bytesMax, Math.max(needed, this.bytes.length * 2)))
    larger.set(this.bytes.subarray(0, this.used))
    this.bytes = larger
  }

  append(source: Uint8Array, start: number, end: number): void {
    this.ensure(end - start)
    this.bytes.set(source.subarray(start, end), this.used)
    this.used += end - start
  }

  /** Repeats `count` bytes from `distance` bytes back; what is being written may be repeated too. The room is there. */
  repeat(distance: number, count: number): void {
    const { bytes, used } = this
    const from = used - distance
    if (distance <= 0 || from < 0) throw new RangeError('a match begins before the output')
    if (distance >= count && count > 32) bytes.copyWithin(used, from, from + count)
    else for (let index = 0; index < count; index++) bytes[used + index] = bytes[from + index]!
    this.used = used + count
  }

  finish(): Uint8Array {
    return this.bytes.subarray(0, this.used)
  }
}

function tooLarge(bytesMax: number): RangeError {
  return new RangeError(`it would be more than ${bytesMax} bytes`)
}
