/** How much the shards of one source may hold in memory together. */
export class FeedBudget {
  readonly #bytesMax: number
  #bytes = 0
  readonly #waiting = new Set<() => void>()

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Of one shard: it holds so many more, or fewer. */
  add(bytes: number): void {
    this.#bytes += bytes
    if (bytes > 0) return
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** Resolves when there is room, or `isDue` says that this one may go on in any case. It is asked whenever something was let go. */
  async room(isDue: () => boolean): Promise<void> {
    while (this.#bytes >= this.#bytesMax && !isDue()) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }
}
