/** Which partitions this process has done with, for those that follow them. */
export class PartitionEnds {
  /** This process reads all partitions by itself: one that has stopped here goes on nowhere else. */
  readonly isAlone: boolean
  readonly #stopped = new Set<string>()
  readonly #waiting = new Set<() => void>()

  constructor(isAlone: boolean) {
    this.isAlone = isAlone
  }

  /** Its task is over here, at its end or before. */
  over(task: string, hasEnded: boolean): void {
    if (this.isAlone && !hasEnded) this.#stopped.add(task)
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }

  /** It has not come to its end, and nobody will read on in this run. */
  hasStopped(task: string): boolean {
    return this.#stopped.has(task)
  }

  /** Resolves when the next task is over here; never where it is aborted before. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve)
      signal.addEventListener('abort', () => this.#waiting.delete(resolve), { once: true })
    })
  }
}
