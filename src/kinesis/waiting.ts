import { PipelineError } from '../errors.ts'
import type { Clock } from '../ports.ts'

const FIRST_MS = 200
const STEP_MS_MAX = 2_000
const LIMIT_MS = 300_000

/** Waits for what Kinesis does behind its answers: streams and consumers that become active. */
export class Waiting {
  readonly #clock: Clock
  readonly #closing = new AbortController()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Asks again and again until the answer is not null. What waiting mends (throttling, a lost connection) is waited for too.
   *
   * @throws PipelineError the last failure, or KINESIS_IN_USE, when nothing has come of it for five minutes
   */
  async until<Answer>(what: string, ask: () => Promise<Answer | null>): Promise<Answer> {
    const startMs = this.#clock.nowMs()
    for (let stepMs = FIRST_MS; ; stepMs = Math.min(STEP_MS_MAX, stepMs * 1.5)) {
      let failure: PipelineError | null = null
      try {
        const answer = await ask()
        if (answer !== null) return answer
      } catch (error) {
        if (!(error instanceof PipelineError) || !error.retryable) throw error
        failure = error
      }
      if (this.#closing.signal.aborted) {
        throw new PipelineError('KINESIS_UNAVAILABLE', `cannot wait for ${what}: the client has been closed`)
      }
      if (this.#clock.nowMs() - startMs >= LIMIT_MS) {
        throw (
          failure ??
          new PipelineError(
            'KINESIS_IN_USE',
            `${what} has not become active for ${LIMIT_MS / 60_000} minutes`,
            {
              retryable: true,
              advice: 'Look at its state in the console of AWS, or with `aws kinesis`.',
            },
          )
        )
      }
      await this.#clock.sleep(stepMs, this.#closing.signal)
    }
  }

  close(): void {
    this.#closing.abort()
  }
}
