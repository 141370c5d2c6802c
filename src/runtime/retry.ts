import { messageOf, PipelineError } from '../errors.ts'
import type { Clock, Entropy, Log } from '../ports.ts'

/** Who waits, and how. */
export interface Retry {
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  /** When it aborts, a call that keeps failing gives up. */
  readonly signal: AbortSignal | null
}

const DELAY_MS_MIN = 50
const DELAY_MS_MAX = 10_000
const ATTEMPTS_AFTER_STOP = 5
/** The first failures of a call are nobody's business: most stores have them. */
const QUIET_ATTEMPTS = 2

/**
 * Calls until it succeeds: a failing dependency holds the input back, it is never turned into dead letters. Errors that no waiting
 * can mend are thrown at once. Exponential backoff with full jitter.
 */
export async function retrying<T>(retry: Retry, operation: string, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call()
    } catch (error) {
      if (!isRetryable(error)) throw error
      if (retry.signal?.aborted && attempt > ATTEMPTS_AFTER_STOP) throw error
      const log = attempt > QUIET_ATTEMPTS ? 'warn' : 'debug'
      retry.log[log]({ operation, attempt, error: messageOf(error) }, `${operation} failed, trying again`)
      const limitMs = Math.min(DELAY_MS_MAX, DELAY_MS_MIN * 2 ** Math.min(attempt, 10))
      await retry.clock.sleep(retry.entropy.random() * limitMs)
    }
  }
}

export function isRetryable(error: unknown): boolean {
  return error instanceof PipelineError && error.retryable
}
