import type { Clock } from '../../src/ports.ts'

/** Wakes one who sleeps. A ring while nobody sleeps is kept for the next. */
export class Bell {
  readonly #clock: Clock
  #controller = new AbortController()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  ring(): void {
    // With a reason of ours: without one each ring would make an error with a stack.
    this.#controller.abort('rung')
  }

  /** Resolves after `ms`, or when the bell rings. */
  async sleep(ms: number): Promise<void> {
    const controller = this.#controller
    await this.#clock.sleep(ms, controller.signal)
    if (controller.signal.aborted) this.#controller = new AbortController()
  }
}
