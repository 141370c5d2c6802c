/** Smaller answers are left to the garbage collector. */
const POOLED_BYTES_MIN = 64 * 1024
const POOLED_BYTES_MAX = 32 * 1024 * 1024
/** More free memory than this is given back. */
const FREE_BYTES_MAX = 64 * 1024 * 1024

/**
 * Memory of large answers, used again: at the speed of a backlog it is a hundred megabytes a second, and collecting that costs more than
 * reading it.
 */
export class AnswerMemory {
  readonly #free: ArrayBufferLike[] = []
  #freeBytes = 0
  readonly #lent = new WeakSet<ArrayBufferLike>()

  /** At least so many bytes, of any content. */
  take(bytes: number): Buffer {
    if (bytes < POOLED_BYTES_MIN || bytes > POOLED_BYTES_MAX) return Buffer.allocUnsafeSlow(bytes)
    let size = POOLED_BYTES_MIN
    while (size < bytes) size *= 2
    const index = this.#free.findIndex(({ byteLength }) => byteLength === size)
    let memory: ArrayBufferLike
    if (index < 0) memory = Buffer.allocUnsafeSlow(size).buffer
    else {
      memory = this.#free.splice(index, 1)[0]!
      this.#freeBytes -= size
    }
    this.#lent.add(memory)
    return Buffer.from(memory)
  }

  /** Nobody looks at it any more. Memory that was not taken from here is ignored. */
  give(memory: ArrayBufferLike): void {
    if (!this.#lent.delete(memory) || this.#freeBytes + memory.byteLength > FREE_BYTES_MAX) return
    this.#free.push(memory)
    this.#freeBytes += memory.byteLength
  }
}
