import { PipelineError } from '../../src/errors.ts'
import type { ConsumerFacts, KinesisApi, StreamFacts } from '../../src/kinesis/api.ts'
import type { Clock, Log } from '../../src/ports.ts'

export interface FanOutConsumerOptions {
  readonly api: Pick<KinesisApi, 'registerConsumer'>
  /** The stream as it is now. Rejects where it is not the one that is read any more. */
  readonly stream: () => Promise<StreamFacts>
  /** As users give it. One for each pipeline: two that use the same take the shards from each other. */
  readonly name: string
  readonly clock: Clock
  readonly log: Log
}

/** Five registrations that are under way at once are one too many as well, for some seconds: only what lasts is a stream that is full. */
const FULL_AFTER_MS = 60_000
/** All shards of a source ask, and one request answers all. */
const RETRY_MS = 2_000

/**
 * The registered consumer of a source with enhanced fan-out: registered where it is not there, by whoever asks first. It is kept when the source is closed, because
 * each process of the pipeline uses it, and registering takes a while.
 */
export class FanOutConsumer {
  readonly #options: FanOutConsumerOptions
  #registration: Promise<ConsumerFacts> | null = null
  #current: ConsumerFacts | null = null
  #failed: { readonly error: unknown; readonly retryAtMs: number } | null = null
  #fullSinceMs: number | null = null

  constructor(options: FanOutConsumerOptions) {
    this.#options = options
  }

  /** One try, shared by all who ask meanwhile. Rejects as `registerConsumer`, and with KINESIS_CONSUMERS_FULL. */
  facts(): Promise<ConsumerFacts> {
    if (this.#current !== null) return Promise.resolve(this.#current)
    if (this.#failed !== null && this.#options.clock.nowMs() < this.#failed.retryAtMs) {
      return Promise.reject(this.#failed.error)
    }
    this.#registration ??= this.#register().finally(() => (this.#registration = null))
    return this.#registration
  }

  /**
   * Kinesis does not know what `consumer` was to read, or does not know the consumer: registers it again where it is the consumer. False where it is still there: then
   * something else is missing.
   */
  async isReplaced(consumer: ConsumerFacts): Promise<boolean> {
    if (this.#current?.arn === consumer.arn) this.#current = null
    const { arn } = await this.facts()
    return arn !== consumer.arn
  }

  async #register(): Promise<ConsumerFacts> {
    const { api, stream, name, clock, log } = this.#options
    try {
      const consumer = await api.registerConsumer(await stream(), name)
      log.info({ consumer: consumer.name, arn: consumer.arn }, 'reading with enhanced fan-out')
      this.#current = consumer
      this.#failed = null
      this.#fullSinceMs = null
      return consumer
    } catch (thrown) {
      const error = this.#isFull(thrown) ? consumersFull(name, thrown) : thrown
      this.#failed = { error, retryAtMs: clock.nowMs() + RETRY_MS }
      throw error
    }
  }

  #isFull(error: unknown): boolean {
    const nowMs = this.#options.clock.nowMs()
    const isThrottled = error instanceof PipelineError && error.code === 'KINESIS_THROTTLED'
    this.#fullSinceMs = isThrottled ? (this.#fullSinceMs ?? nowMs) : null
    return this.#fullSinceMs !== null && nowMs - this.#fullSinceMs >= FULL_AFTER_MS
  }
}

function consumersFull(name: string, cause: unknown): PipelineError {
  return new PipelineError(
    'KINESIS_CONSUMERS_FULL',
    `consumer ${name} cannot be registered: the stream has as many registered consumers as it may have`,
    {
      cause,
      advice:
        'A stream has 20 registered consumers at most (50 with On-demand Advantage). `aws kinesis list-stream-consumers --stream-arn …` lists them, `aws kinesis deregister-stream-consumer` removes one that nobody uses. Or read without fanOut.',
    },
  )
}
