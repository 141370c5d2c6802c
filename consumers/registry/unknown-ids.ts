import { setTimeout as sleep } from 'node:timers/promises'

export interface UnknownIdsOptions {
  /** How long an id is asked for again before it counts as unknown. */
  readonly afterMs: number
  /** How long it then counts without another request. */
  readonly forMs: number
}

const WAIT_MS_MIN = 100
const IDS_MAX = 10_000
/** So many ids in a row that stayed unknown in spite of the wait: then this is garbage and no registry that lags. */
const VAIN_WAITS_MAX = 3

/**
 * The ids, or UUIDs, that a registry does not have. An id may be unknown for a moment only, because the registry's followers lag; and it may
 * be registered later. But records that begin with a zero byte by chance have ids too, as many as there are records: to wait for each of
 * them would stop the stream.
 */
export class UnknownIds {
  readonly #options: UnknownIdsOptions
  /** Until when an id counts as unknown, by the monotonic clock. In the order in which they were found. */
  readonly #untilMs = new Map<number | string, number>()
  #vainWaits = 0

  constructor(options: UnknownIdsOptions) {
    this.#options = options
  }

  has(id: number | string): boolean {
    const untilMs = this.#untilMs.get(id)
    return untilMs !== undefined && performance.now() < untilMs
  }

  /** What `ask` gives; null only where it gave null until the wait was over. */
  async confirm<T>(id: number | string, ask: () => Promise<T | null>): Promise<T | null> {
    const { afterMs, forMs } = this.#options
    const startMs = performance.now()
    // An id that was waited for once is not waited for again.
    const mayWait = !this.#untilMs.has(id) && this.#vainWaits < VAIN_WAITS_MAX
    const endMs = mayWait ? startMs + afterMs : startMs
    for (let waitMs = WAIT_MS_MIN; ; waitMs *= 2) {
      const found = await ask()
      if (found !== null) {
        this.#untilMs.delete(id)
        this.#vainWaits = 0
        return found
      }
      const leftMs = endMs - performance.now()
      if (leftMs <= 0) break
      await sleep(Math.min(waitMs, leftMs))
    }
    if (mayWait) this.#vainWaits += 1
    this.#untilMs.delete(id)
    this.#untilMs.set(id, performance.now() + forMs)
    for (const oldest of this.#untilMs.keys()) {
      if (this.#untilMs.size <= IDS_MAX) break
      this.#untilMs.delete(oldest)
    }
    return null
  }
}
