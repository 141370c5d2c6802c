import type { Clock, StopSignal } from '../../src/ports.ts'

interface Sleeper {
  readonly atMs: number
  wake(): void
}

/** Time that a test moves. */
export class StepClock implements Clock {
  #nowMs: number
  readonly #sleepers = new Set<Sleeper>()

  constructor(nowMs = 1_700_000_000_000) {
    this.#nowMs = nowMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal?: StopSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#sleepers.delete(sleeper)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      const sleeper = { atMs: this.#nowMs + Math.max(0, ms), wake }
      if (signal?.aborted === true) return resolve()
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', wake)
    })
  }

  /** Wakes those whose time comes meanwhile, one after the other; everybody does what there is to do at each moment. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    await settled()
    for (let next = this.#next(); next !== null && next.atMs <= untilMs; next = this.#next()) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.wake()
      await settled()
    }
    this.#nowMs = untilMs
  }

  /** Moves from sleeper to sleeper until the condition holds. */
  async until(condition: () => boolean, limitMs = 3_600_000): Promise<void> {
    const limit = this.#nowMs + limitMs
    await settled()
    while (!condition()) {
      const next = this.#next()
      if (next === null) throw new Error('nobody sleeps, and nothing more will happen')
      if (next.atMs > limit) throw new Error(`it has not come about in ${limitMs} ms`)
      await this.advance(Math.max(0, next.atMs - this.#nowMs))
    }
  }

  /** The earliest, and of those the one that went to sleep first. */
  #next(): Sleeper | null {
    let first: Sleeper | null = null
    for (const sleeper of this.#sleepers) if (first === null || sleeper.atMs < first.atMs) first = sleeper
    return first
  }
}

/** All promises that can be kept without time are kept. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}
