/** Which partitions this process has done with, for those that follow them. */
export class PartitionEnds {
  readonly #stopped = new Set<string>()
  #change = newChange()

  /** Its task is over. `hasStopped`: it has not come to its end, and nobody will read on in this run. */
  over(task: string, hasStopped: boolean): void {
    if (hasStopped) this.#stopped.add(task)
    this.#change.happen()
    this.#change = newChange()
  }

  hasStopped(task: string): boolean {
    return this.#stopped.has(task)
  }

  /** Resolves when the next task is over. */
  changed(): Promise<void> {
    return this.#change.promise
  }
}

interface Change {
  readonly promise: Promise<void>
  readonly happen: () => void
}

function newChange(): Change {
  let happen = (): void => {}
  const promise = new Promise<void>((resolve) => (happen = resolve))
  return { promise, happen }
}
