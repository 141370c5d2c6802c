import type { Clock } from '../ports.ts'

/** Wakes one who sleeps. A ring while nobody sleeps is kept for the next. */
export class Bell {
  readonly #clock: Clock
  #rung = new AbortController()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  ring(): void {
    // With a reason of ours: without one each ring would make an error with a stack.
    this.#rung.abort('rung')
  }

  /** Resolves after `ms`, or when the bell rings. */
  async sleep(ms: number): Promise<void> {
    const rung = this.#rung
    await this.#clock.sleep(ms, rung.signal)
    if (rung.signal.aborted) this.#rung = new AbortController()
  }
}

/** Whether a promise settles within `ms`. Rejects as it does. */
export async function settlesWithin(clock: Clock, ms: number, promise: Promise<unknown>): Promise<boolean> {
  const limit = new AbortController()
  try {
    return await Promise.race([promise.then(() => true), clock.sleep(ms, limit.signal).then(() => false)])
  } finally {
    limit.abort()
  }
}
