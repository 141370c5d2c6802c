import type { PipelineError } from '../../src/errors.ts'
import { countFault, type KinesisCounts } from '../../src/kinesis/counts.ts'
import type { Clock, Entropy, Log } from '../../src/ports.ts'

export interface OutageWorld {
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  readonly counts: KinesisCounts
}

/** What fails for a moment is nobody's business. */
const WARN_AFTER = 4
/** Who waits for silence fails seldom. */
const WARN_AFTER_MS = 15_000

/** What has kept a shard from being read since something was read last: counts it, says how long to wait, and warns once where it lasts. */
export class ShardOutage {
  readonly #world: OutageWorld
  readonly #shardId: string
  #failures = 0
  #sinceMs = 0
  #isWarned = false

  constructor(world: OutageWorld, shardId: string) {
    this.#world = world
    this.#shardId = shardId
  }

  /** Another failure, which waiting mends. */
  add(error: PipelineError): void {
    const { clock, log, counts } = this.#world
    countFault(counts, error)
    const nowMs = clock.nowMs()
    if (this.#failures === 0) this.#sinceMs = nowMs
    this.#failures++
    const isLasting = this.#failures >= WARN_AFTER || nowMs - this.#sinceMs >= WARN_AFTER_MS
    const isNews = isLasting && !this.#isWarned
    if (isNews) this.#isWarned = true
    log[isNews ? 'warn' : 'debug'](
      {
        shard: this.#shardId,
        attempt: this.#failures,
        error: error.message,
        ...(isNews && error.advice !== undefined ? { advice: error.advice } : {}),
      },
      'reading is interrupted, trying again',
    )
  }

  /** Something was read. */
  end(): void {
    if (this.#isWarned) this.#world.log.info({ shard: this.#shardId }, 'reading goes on')
    this.#failures = 0
    this.#isWarned = false
  }

  /** Doubles with each failure, with jitter: between half of that and all of it. */
  delayMs(minMs: number, maxMs: number): number {
    const limitMs = Math.min(maxMs, minMs * 2 ** Math.min(Math.max(0, this.#failures - 1), 20))
    return limitMs * (0.5 + this.#world.entropy.random() / 2)
  }
}
