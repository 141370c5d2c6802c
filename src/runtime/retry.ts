import { messageOf, PipelineError } from '../errors.ts'
import type { Clock, Entropy, Log, StopSignal } from '../ports.ts'

/** Who waits, and how. */
export interface Retry {
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  /** When it aborts, a call that keeps failing gives up. */
  readonly signal: StopSignal | null
  /** Of all calls of a run. Absent: each warns for itself. */
  readonly warnings?: Warnings
}

/**
 * What a run has warned of: a store that is away fails fifty puts at once, and one line tells as much as fifty. Calls are of a kind where the
 * first word of their operations ('put', 'read') and the code of their errors are the same.
 */
export class Warnings {
  readonly #warnedMs = new Map<string, number>()

  /** True where nobody has warned of this kind for a while; then the caller does. */
  isDue(operation: string, error: unknown, nowMs: number): boolean {
    const kind = `${operation.split(' ', 1)[0]} ${error instanceof PipelineError ? error.code : ''}`
    const warnedMs = this.#warnedMs.get(kind)
    if (warnedMs !== undefined && nowMs - warnedMs < WARN_EVERY_MS) return false
    this.#warnedMs.set(kind, nowMs)
    return true
  }
}

const DELAY_MS_MIN = 50
const DELAY_MS_MAX = 10_000
const ATTEMPTS_AFTER_STOP = 5
/** The first failures of a call are nobody's business: most stores have them. */
const QUIET_ATTEMPTS = 2
/** A server that hangs fails seldom. */
const QUIET_MS = 15_000
/** An outage of an hour is some lines in the log, not thousands. */
const WARN_EVERY_MS = 30_000

/** The waits between the tries of one operation: exponential, with full jitter. */
export class Backoff {
  readonly #retry: Retry
  readonly #operation: string
  readonly #warnings: Warnings
  #attempts = 0
  readonly #startMs: number
  #warnedMs: number | null = null

  constructor(retry: Retry, operation: string) {
    this.#retry = retry
    this.#operation = operation
    this.#warnings = retry.warnings ?? new Warnings()
    this.#startMs = retry.clock.nowMs()
  }

  /**
   * Resolves when the operation may be tried again. Throws the error where no waiting can mend it, and, once the run has been asked
   * to stop, after a few tries more: who waits for an outcome that does not come must leave it to the next start.
   */
  async wait(error: unknown): Promise<void> {
    const { clock, entropy, log, signal } = this.#retry
    if (!isRetryable(error)) throw error
    const attempt = ++this.#attempts
    const isStopping = signal?.aborted === true
    if (isStopping && attempt > ATTEMPTS_AFTER_STOP) throw error
    const operation = this.#operation
    const nowMs = clock.nowMs()
    const isFirst = this.#warnedMs === null
    const isLasting = attempt > QUIET_ATTEMPTS || nowMs - this.#startMs >= QUIET_MS
    const isNews = isLasting && this.#warnings.isDue(operation, error, nowMs)
    if (isNews) this.#warnedMs = nowMs
    log[isNews ? 'warn' : 'debug'](
      { operation, attempt, error: messageOf(error), ...(isFirst ? adviceOf(error) : {}) },
      `${operation} failed, trying again`,
    )
    const limitMs = Math.min(DELAY_MS_MAX, DELAY_MS_MIN * 2 ** Math.min(attempt, 10))
    // A stop cuts a long wait short; the tries after it are spaced all the same.
    await clock.sleep(entropy.random() * limitMs, isStopping || signal === null ? undefined : signal)
  }

  /** The operation has succeeded. Whoever was told of its failures is told of that too. */
  done(): void {
    if (this.#warnedMs === null) return
    const operation = this.#operation
    this.#retry.log.info({ operation, attempts: this.#attempts + 1 }, `${operation} works again`)
  }
}

/**
 * Calls until it succeeds: a failing dependency holds the input back, it is never turned into dead letters. Errors that no waiting
 * can mend are thrown at once.
 */
export async function retrying<T>(retry: Retry, operation: string, call: () => Promise<T>): Promise<T> {
  const backoff = new Backoff(retry, operation)
  for (;;) {
    try {
      const result = await call()
      backoff.done()
      return result
    } catch (error) {
      await backoff.wait(error)
    }
  }
}

/** Said once: what is only away comes back by itself, what is misspelt does not. */
function adviceOf(error: unknown): { readonly advice?: string } {
  const advice = error instanceof PipelineError ? error.advice : undefined
  return advice === undefined ? {} : { advice }
}

export function isRetryable(error: unknown): boolean {
  return error instanceof PipelineError && error.retryable
}
