import type { Clock } from '../../src/ports.ts'

/**
 * Maps arrival times to a clock: `speed` seconds of the recording pass in one second. The first record that is asked for
 * is due at once and fixes the origin for all readers.
 */
export class Pace {
  readonly #clock: Clock
  readonly #speed: number
  #originClockMs = 0
  #originArrivalMs: number | null = null

  constructor(clock: Clock, speed: number) {
    this.#clock = clock
    this.#speed = speed
  }

  /** How long until a record with this arrival time is due; 0 when it is. */
  waitMs(arrivalMs: number): number {
    const nowMs = this.#clock.nowMs()
    if (this.#originArrivalMs === null) {
      this.#originArrivalMs = arrivalMs
      this.#originClockMs = nowMs
    }
    const dueMs = this.#originClockMs + (arrivalMs - this.#originArrivalMs) / this.#speed
    return Math.max(0, dueMs - nowMs)
  }

  /** The arrival time that is due now. */
  arrivalMs(): number {
    const originMs = this.#originArrivalMs ?? Number.NEGATIVE_INFINITY
    return originMs + (this.#clock.nowMs() - this.#originClockMs) * this.#speed
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(ms, signal)
  }
}
