/** An answer that several partitions look into. Its memory is used again when the last one has let go. */
export class SharedAnswer {
  #holders = 1
  readonly #free: () => void

  constructor(free: () => void) {
    this.#free = free
  }

  hold(): void {
    this.#holders++
  }

  release(): void {
    this.#holders--
    if (this.#holders === 0) this.#free()
  }
}
