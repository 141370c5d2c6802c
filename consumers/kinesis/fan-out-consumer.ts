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

/** Six registrations under way at once are one too many as well, for some seconds: only what lasts is a stream that is full. */
const FULL_AFTER_MS = 60_000
/** Mostly it takes five seconds. */
const SLOW_AFTER_MS = 30_000
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
  /** When the first of the tries began of which none has succeeded. */
  #tryingSinceMs: number | null = null

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
    const done = new AbortController()
    this.#tryingSinceMs ??= clock.nowMs()
    void this.#warnWhereSlow(done.signal)
    try {
      const consumer = await api.registerConsumer(await stream(), name)
      log.info({ consumer: name, arn: consumer.arn }, 'reading with enhanced fan-out')
      this.#current = consumer
      this.#failed = null
      this.#tryingSinceMs = null
      return consumer
    } catch (thrown) {
      const nowMs = clock.nowMs()
      const isThrottled = thrown instanceof PipelineError && thrown.code === 'KINESIS_THROTTLED'
      if (!isThrottled) this.#tryingSinceMs = null
      const isFull = isThrottled && nowMs - (this.#tryingSinceMs ?? nowMs) >= FULL_AFTER_MS
      const error = isFull ? consumersFull(name, thrown) : thrown
      this.#failed = { error, retryAtMs: nowMs + RETRY_MS }
      throw error
    } finally {
      done.abort()
    }
  }

  /** Who registers waits, and tries again, for minutes. */
  async #warnWhereSlow(done: AbortSignal): Promise<void> {
    const { clock, log, name } = this.#options
    await clock.sleep(SLOW_AFTER_MS, done)
    if (done.aborted) return
    log.warn(
      { consumer: name, advice: FULL_ADVICE },
      'the consumer of enhanced fan-out is still being registered',
    )
  }
}

const FULL_ADVICE =
  'A stream has 20 registered consumers at most (50 with On-demand Advantage). `aws kinesis list-stream-consumers --stream-arn …` lists them, `aws kinesis deregister-stream-consumer` removes one that nobody uses. Or read without fanOut.'

function consumersFull(name: string, cause: unknown): PipelineError {
  return new PipelineError(
    'KINESIS_CONSUMERS_FULL',
    `consumer ${name} cannot be registered: the stream has as many registered consumers as it may have`,
    { cause, advice: FULL_ADVICE },
  )
}
