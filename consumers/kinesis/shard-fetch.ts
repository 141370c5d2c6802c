import type { PipelineError } from '../../src/errors.ts'
import type { ShardAnswer, ShardPlace, ShardStart } from '../../src/kinesis/api.ts'

/** One shard that somebody reads, as the loops that fetch it see it. */
export interface ShardTarget {
  readonly place: ShardPlace
  /** Where to go on: behind the last answer that was accepted. */
  readonly start: ShardStart
  /** Aborted where nobody reads it any more. */
  readonly signal: AbortSignal
  /** Resolves when there is room for another answer, or when nobody reads any more. */
  room(): Promise<void>
  /** Takes an answer for `start`, in order. One with `children` is the last. */
  accept(answer: ShardAnswer): void
  /** The reader gets this after what is buffered: not for what waiting mends. */
  fail(error: PipelineError): void
}

/**
 * Fetches a shard until it has ended, has failed, or nobody reads it any more. Never rejects. What waiting mends it tries again by itself, with backoff, and counts.
 */
export type ShardFetch = (target: ShardTarget) => Promise<void>
