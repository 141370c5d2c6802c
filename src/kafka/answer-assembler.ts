import type { AnswerMemory } from './answer-memory.ts'

/** Above this an answer gets memory as it comes: a server that speaks something else announces any size. */
const AT_ONCE_BYTES = 32 * 1024 * 1024
const SIZE_BYTES = 4

/**
 * Puts the answers of a broker together from the pieces in which they arrive, each in memory of its own: a size (4 bytes), then as many bytes.
 * A piece may be overwritten as soon as `push` returns.
 */
export class AnswerAssembler {
  readonly #memory: AnswerMemory
  readonly #deliver: (answer: Buffer) => void
  readonly #size = Buffer.alloc(SIZE_BYTES)
  #answer: Buffer | null = null
  #bytes = 0
  /** Of the size, or of the answer. */
  #filled = 0

  constructor(memory: AnswerMemory, deliver: (answer: Buffer) => void) {
    this.#memory = memory
    this.#deliver = deliver
  }

  /** Throws RangeError for a size that none can be. */
  push(piece: Buffer): void {
    let at = 0
    while (at < piece.length) {
      if (this.#answer === null) {
        const count = Math.min(SIZE_BYTES - this.#filled, piece.length - at)
        piece.copy(this.#size, this.#filled, at, at + count)
        this.#filled += count
        at += count
        if (this.#filled < SIZE_BYTES) return
        this.#bytes = this.#size.readInt32BE()
        if (this.#bytes < SIZE_BYTES) throw new RangeError(`an answer of ${this.#bytes} bytes`)
        this.#answer = this.#memory.take(Math.min(this.#bytes, AT_ONCE_BYTES))
        this.#filled = 0
      }
      const count = Math.min(this.#bytes - this.#filled, piece.length - at)
      this.#ensure(this.#filled + count)
      piece.copy(this.#answer, this.#filled, at, at + count)
      this.#filled += count
      at += count
      if (this.#filled < this.#bytes) return
      const answer = this.#answer.subarray(0, this.#bytes)
      this.#answer = null
      this.#filled = 0
      this.#deliver(answer)
    }
  }

  #ensure(bytes: number): void {
    const answer = this.#answer!
    if (bytes <= answer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#bytes, answer.length * 2))
    answer.copy(larger, 0, 0, this.#filled)
    this.#answer = larger
  }
}
