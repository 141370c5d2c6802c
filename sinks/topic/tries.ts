import type { Clock, Entropy } from '../../src/ports.ts'

const PAUSE_MS_MIN = 10
const PAUSE_MS_MAX = 500

/**
 * The pauses between tries, until a time. Short: a coordinator that is still writing the end of the last transaction has done so in a few
 * milliseconds.
 */
export class Tries {
  readonly #clock: Clock
  readonly #entropy: Entropy
  readonly #untilMs: number
  #pauseMs = PAUSE_MS_MIN

  constructor({ clock, entropy }: { readonly clock: Clock; readonly entropy: Entropy }, limitMs: number) {
    this.#clock = clock
    this.#entropy = entropy
    this.#untilMs = clock.nowMs() + limitMs
  }

  /** Resolves after a pause; false at once where no time is left. */
  async more(): Promise<boolean> {
    if (this.#clock.nowMs() >= this.#untilMs) return false
    await this.#clock.sleep(this.#pauseMs * (0.5 + this.#entropy.random()))
    this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS_MAX)
    return true
  }
}
