import { PipelineError } from '../errors.ts'
import type { Clock, Log } from '../ports.ts'
import type { KafkaClient } from './client.ts'
import { protocolFault } from './faults.ts'
import { BATCH_OVERHEAD_BYTES, encodeBatch, type OutRecord } from './record-batch.ts'
import { produceRequest } from './transaction-requests.ts'

/** Where a record was stored. */
export interface Sent {
  readonly partition: number
  /** Null where the broker only said that it has it already: an answer was lost before. */
  readonly offset: number | null
}

export interface ProducerIdentity {
  readonly producerId: number
  readonly producerEpoch: number
}

/** What the lanes of a producer share. */
export interface DeliveryOptions {
  readonly client: KafkaClient
  readonly topic: string
  readonly clock: Clock
  readonly log: Log
  readonly compression: 'none' | 'gzip'
  readonly batchBytesMax: number
  readonly lingerMs: number
  readonly deliveryTimeoutMs: number
  readonly identity: () => Promise<ProducerIdentity>
  readonly leader: (partition: number) => Promise<number>
  readonly refresh: () => Promise<void>
  /** So many bytes are acknowledged or have failed. */
  readonly settled: (bytes: number) => void
}

interface Waiting {
  readonly record: OutRecord & { readonly timestampMs: number }
  readonly bytes: number
  readonly resolve: (sent: Sent) => void
  readonly reject: (error: unknown) => void
}

const REQUEST_TIMEOUT_MS = 30_000
const PAUSE_MS_MIN = 50
const PAUSE_MS_MAX = 2_000
const SEQUENCE_COUNT = 2 ** 31

const MESSAGE_TOO_LARGE = 10
const RECORD_LIST_TOO_LARGE = 18
const DUPLICATE_SEQUENCE_NUMBER = 46
/** OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, UNKNOWN_PRODUCER_ID: the broker has forgotten us. */
const FORGOTTEN = new Set([45, 47, 49, 59])

/**
 * What is sent to one partition: one batch at a time, so that a batch whose answer was lost is sent again with the same numbers and nothing
 * is sent after it meanwhile. The broker knows it by them.
 */
export class PartitionLane {
  readonly #partition: number
  readonly #options: DeliveryOptions
  readonly #waiting: Waiting[] = []
  #waitingBytes = 0
  /** Of the next batch. Null: a new one is needed, because nobody knows what the broker has of the last. */
  #identity: ProducerIdentity | null = null
  #sequence = 0
  #sending: Promise<void> | null = null
  #wake: (() => void) | null = null

  constructor(partition: number, options: DeliveryOptions) {
    this.#partition = partition
    this.#options = options
  }

  begin(identity: ProducerIdentity): void {
    this.#identity = identity
    this.#sequence = 0
  }

  add(record: Waiting['record'], bytes: number): Promise<Sent> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, bytes, resolve, reject })
      this.#waitingBytes += bytes
      if (this.#waitingBytes >= this.#options.batchBytesMax) this.#wake?.()
      this.#sending ??= this.#sendAll()
    })
  }

  async flush(): Promise<void> {
    while (this.#sending !== null) {
      this.#wake?.()
      await this.#sending
    }
  }

  async #sendAll(): Promise<void> {
    await this.#linger()
    while (this.#waiting.length > 0) await this.#deliver(this.#takeBatch())
    // In the same breath as the look at what waits: whoever adds from now on begins anew.
    this.#sending = null
  }

  async #linger(): Promise<void> {
    const { lingerMs, clock, batchBytesMax } = this.#options
    if (this.#waitingBytes >= batchBytesMax) return
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await clock.sleep(lingerMs, woken.signal)
    this.#wake = null
  }

  #takeBatch(): readonly Waiting[] {
    let bytes = BATCH_OVERHEAD_BYTES
    let count = 0
    for (const waiting of this.#waiting) {
      bytes += waiting.bytes
      if (count > 0 && bytes > this.#options.batchBytesMax) break
      count++
    }
    const batch = this.#waiting.splice(0, count)
    for (const waiting of batch) this.#waitingBytes -= waiting.bytes
    return batch
  }

  /** Never rejects: each record of the batch has its outcome. */
  async #deliver(batch: readonly Waiting[]): Promise<void> {
    try {
      const baseOffset = await this.#store(batch)
      for (const [index, { resolve }] of batch.entries()) {
        resolve({ partition: this.#partition, offset: baseOffset === null ? null : baseOffset + index })
      }
    } catch (error) {
      if (error instanceof TooLargeError && batch.length > 1) {
        const middle = batch.length >> 1
        await this.#deliver(batch.slice(0, middle))
        await this.#deliver(batch.slice(middle))
        return
      }
      const reason = error instanceof TooLargeError ? this.#tooLarge(batch[0]!) : error
      for (const { reject } of batch) reject(reason)
    }
    this.#options.settled(batch.reduce((sum, { bytes }) => sum + bytes, 0))
  }

  /** Gives the offset of the first record. Sends the same bytes until there is an outcome, or time is up. */
  async #store(batch: readonly Waiting[]): Promise<number | null> {
    const { clock, log, deliveryTimeoutMs, topic } = this.#options
    const endMs = clock.nowMs() + deliveryTimeoutMs
    let encoded: Buffer | null = null
    for (let attempt = 1; ; attempt++) {
      try {
        this.#identity ??= await this.#newIdentity()
        encoded ??= this.#encode(batch, this.#identity)
        const baseOffset = await this.#send(encoded)
        this.#sequence = (this.#sequence + batch.length) % SEQUENCE_COUNT
        return baseOffset
      } catch (error) {
        if (error instanceof ForgottenError) {
          // The numbers mean nothing to the broker any more: the batch begins a new series.
          this.#identity = null
          encoded = null
        } else if (!(error instanceof PipelineError) || !error.retryable) {
          // Earlier tries may have been stored.
          if (attempt > 1) this.#identity = null
          throw error
        }
        if (clock.nowMs() >= endMs) {
          // It may be stored yet. The next batch must not have its numbers, or the broker may take one for the other.
          this.#identity = null
          throw this.#timeout(error)
        }
        log[attempt > 2 ? 'warn' : 'debug'](
          { topic, partition: this.#partition, attempt, error: error.message },
          'a batch was not acknowledged and is sent again',
        )
        await clock.sleep(Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** attempt))
        // Where that fails too, the next try says so.
        await this.#options.refresh().catch(() => {})
      }
    }
  }

  async #newIdentity(): Promise<ProducerIdentity> {
    this.#sequence = 0
    return this.#options.identity()
  }

  #encode(batch: readonly Waiting[], identity: ProducerIdentity): Buffer {
    const { compression } = this.#options
    return encodeBatch(
      batch.map(({ record }) => record),
      batch.map(({ record }) => record.timestampMs),
      { ...identity, baseSequence: this.#sequence },
      { isTransactional: false, compression },
    )
  }

  async #send(encoded: Buffer): Promise<number | null> {
    const { client, topic, leader } = this.#options
    const partition = this.#partition
    const context = { what: `write to ${topic}-${partition}`, topic }
    const request = produceRequest(null, [{ topic, partition, batch: encoded }], REQUEST_TIMEOUT_MS)
    const [answer] = await client.send(await leader(partition), request, context)
    const errorCode = answer?.errorCode ?? 0
    if (errorCode === 0) return answer === undefined || answer.baseOffset < 0 ? null : answer.baseOffset
    if (errorCode === DUPLICATE_SEQUENCE_NUMBER) return null
    if (errorCode === MESSAGE_TOO_LARGE || errorCode === RECORD_LIST_TOO_LARGE) throw new TooLargeError()
    const fault = protocolFault(errorCode, context, answer?.detail ?? null)
    throw FORGOTTEN.has(errorCode) ? new ForgottenError(fault.message) : fault
  }

  #tooLarge({ bytes }: Waiting): PipelineError {
    const { topic } = this.#options
    return new PipelineError(
      'MESSAGE_TOO_LARGE',
      `a record of about ${bytes} bytes is larger than ${topic} takes`,
      {
        advice: 'Raise max.message.bytes of the topic, or send less in one record.',
      },
    )
  }

  #timeout(cause: Error): PipelineError {
    const { topic, deliveryTimeoutMs } = this.#options
    return new PipelineError(
      'PRODUCE_TIMEOUT',
      `${topic}-${this.#partition} did not acknowledge a batch within ${deliveryTimeoutMs} ms: ${cause.message}`,
      {
        cause,
        advice: 'It may be stored all the same. Send it again only where a repetition does no harm.',
      },
    )
  }
}

/** The batch as a whole: half of it may fit. */
class TooLargeError extends Error {}

class ForgottenError extends Error {}
