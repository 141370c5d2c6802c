import type { PipelineError } from '../../src/errors.ts'
import { countFault } from '../../src/kinesis/counts.ts'
import type { PollLimits } from './poll-limits.ts'
import type { OutageWorld } from './shard-outage.ts'
import type { ShardPlace } from '../../src/kinesis/api.ts'

/** What lasts no longer is nobody's business. */
const WARN_AFTER_MS = 30_000
/** Who is throttled reads now and then all the same: trouble is over when there has been none for so long. */
const OVER_AFTER_MS = 10_000

/** What keeps a shard from being polled: counts it, says how long to wait, warns once where it lasts, and says when it is over. */
export class PollTrouble {
  readonly #world: OutageWorld
  readonly #limits: PollLimits
  readonly #place: ShardPlace
  /** In a row. */
  #failures = 0
  /** Of this trouble, which began with it; null where there is none. */
  #firstMs: number | null = null
  #lastMs = 0
  #isWarned = false

  constructor(world: OutageWorld, limits: PollLimits, place: ShardPlace) {
    this.#world = world
    this.#limits = limits
    this.#place = place
  }

  /** A failure that waiting mends: gives the milliseconds to wait. Exponential, with jitter: between half of the step and all of it. */
  failed(error: PipelineError): number {
    const { clock, entropy, log, counts } = this.#world
    countFault(counts, error)
    const nowMs = clock.nowMs()
    if (this.#failures === 0) this.#endWhereOver(nowMs)
    this.#failures++
    this.#firstMs ??= nowMs
    this.#lastMs = nowMs
    const isNews = !this.#isWarned && nowMs - this.#firstMs >= WARN_AFTER_MS
    this.#isWarned ||= isNews
    log[isNews ? 'warn' : 'debug'](
      {
        stream: this.#place.stream,
        shard: this.#place.shardId,
        attempt: this.#failures,
        sinceMs: nowMs - this.#firstMs,
        error: error.message,
        ...(isNews && error.advice !== undefined ? { advice: error.advice } : {}),
      },
      isNews ? 'a shard cannot be read as it should be' : 'a read failed, trying again',
    )
    // Another iterator mends that, unless it happens again.
    if (error.code === 'KINESIS_ITERATOR_EXPIRED' && this.#failures === 1) return 0
    const { retryMsMin, retryMsMax } = this.#limits
    const stepMs = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(this.#failures - 1, 20))
    return stepMs * (0.5 + entropy.random() / 2)
  }

  worked(): void {
    this.#failures = 0
    if (this.#firstMs !== null) this.#endWhereOver(this.#world.clock.nowMs())
  }

  #endWhereOver(nowMs: number): void {
    if (this.#firstMs === null || nowMs - this.#lastMs < OVER_AFTER_MS) return
    if (this.#isWarned) {
      const { stream, shardId } = this.#place
      this.#world.log.info(
        { stream, shard: shardId, forMs: this.#lastMs - this.#firstMs },
        'the shard is read as before',
      )
    }
    this.#firstMs = null
    this.#isWarned = false
  }
}
