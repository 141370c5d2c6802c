import { PipelineError } from '../errors.ts'
import type { CircuitBreakerSpec } from '../topology/node.ts'

export interface CircuitState {
  readonly seen: number
  readonly failed: number
}

const EXAMPLE_CHARACTERS_MAX = 500

/**
 * Stops a pipeline whose input has become mostly dead letters. It counts records, not rows, in blocks of `sample` from
 * the partition's first record on, so that it opens at the same record however the input is cut.
 */
export class CircuitBreaker {
  readonly #spec: CircuitBreakerSpec
  readonly #where: string
  #seen: number
  #failed: number
  #example = ''

  constructor(spec: CircuitBreakerSpec, where: string, state: CircuitState | null) {
    this.#spec = spec
    this.#where = where
    this.#seen = state?.seen ?? 0
    this.#failed = state?.failed ?? 0
  }

  get state(): CircuitState {
    return { seen: this.#seen, failed: this.#failed }
  }

  /** Something for the message: of an epoch that is not written nobody else could see what failed. */
  example(
    offset: number,
    { reason, stage, message }: { reason: string; stage: string; message: string },
  ): void {
    this.#example = `; one of them, at offset ${offset}: ${reason}, ${stage}, ${message.slice(0, EXAMPLE_CHARACTERS_MAX)}`
  }

  /** Takes the records `[0, count)` of a range, of which failed[i] is 1 for those that became dead letters. */
  observe(failed: Uint8Array, count: number): void {
    for (let i = 0; i < count; i++) {
      this.#seen++
      this.#failed += failed[i]!
      if (this.#seen === this.#spec.sample) this.#judge()
    }
  }

  /** The end of a recording: what is left is judged when it is at least a tenth of a block. */
  end(): void {
    if (this.#seen * 10 >= this.#spec.sample) this.#judge()
  }

  #judge(): void {
    if (this.#failed > this.#seen * this.#spec.maxShare) {
      throw new PipelineError(
        'CIRCUIT_OPEN',
        `${this.#failed} of the last ${this.#seen} records of ${this.#where} became dead letters, more than the circuit breaker allows (${this.#spec.maxShare * 100} %)${this.#example}`,
        {
          advice:
            'Nothing of this epoch was written. Look at what is already in dead_letters, mend the schema or the expectations, or set circuitBreaker: { maxShare, sample } or false in pipeline({ … }).',
        },
      )
    }
    this.#seen = 0
    this.#failed = 0
  }
}
