import { assert, PipelineError } from '../errors.ts'
import type { KinesisApi, PutEntry, PutOutcome } from '../kinesis/api.ts'
import type { Clock, Entropy } from '../ports.ts'

export interface StreamSenderOptions {
  readonly api: Pick<KinesisApi, 'putRecords'>
  readonly stream: string
  readonly clock: Clock
  readonly entropy: Entropy
  /** How long nothing may be stored until that counts as a failure. Default 120,000. */
  readonly patienceMs?: number
}

/** Of one request: what Kinesis takes, with room for the frame around it. */
const ENTRIES_MAX = 500
const REQUEST_BYTES_MAX = 4 * 1024 * 1024
const REQUESTS_AT_ONCE = 4
/** Beyond so much that is not stored `ready` waits. */
const QUEUE_ENTRIES_MAX = 20_000
const QUEUE_BYTES_MAX = 16 * 1024 * 1024
const PATIENCE_MS = 120_000
const PAUSE_MS_MIN = 100
const PAUSE_MS_MAX = 5_000

interface Item {
  readonly entry: PutEntry
  readonly bytes: number
  /** Null: in no order. */
  readonly orderKey: string | null
  readonly stored: () => void
  readonly failed: (error: unknown) => void
}

/**
 * Puts records into a stream, many in a request. Kinesis takes the entries of a request one by one: it may refuse some, and says nothing of the order of the
 * others. So no two records of one key are under way at once, and a key's records are stored in the order in which they were sent, however
 * often each of them had to be put. Each is stored at least once: a request whose answer is lost is put again.
 */
export class StreamSender {
  /** Entries that Kinesis had no room for, and that were put again. */
  throttled = 0
  /** Those that had to be put again for another reason. */
  repeated = 0
  readonly #options: StreamSenderOptions
  /** To be put next. */
  #due: Item[] = []
  /** By key, those that wait for the one of their key that is due or under way. */
  readonly #waiting = new Map<string, Item[]>()
  #queuedEntries = 0
  #queuedBytes = 0
  #requests = 0
  #isPausing = false
  /** Requests in a row of which nothing was stored. */
  #refusals = 0
  #storedMs: number
  #failure: unknown = null
  #waiters: (() => void)[] = []

  constructor(options: StreamSenderOptions) {
    this.#options = options
    this.#storedMs = options.clock.nowMs()
  }

  /** Resolves when there is room for more. */
  async ready(): Promise<void> {
    while (this.#failure === null && !this.#hasRoom) await this.#change()
  }

  /** Resolves when it is stored. */
  send(entry: PutEntry, orderKey: string | null): Promise<void> {
    const bytes = entry.data.length + entry.partitionKey.length * 3 + 64
    return new Promise((stored, failed) => {
      if (this.#failure === null) this.#add({ entry, bytes, orderKey, stored, failed })
      else failed(this.#failure)
    })
  }

  /** Resolves when all that was sent is stored, or has failed. */
  async flush(): Promise<void> {
    while (this.#failure === null && this.#queuedEntries > 0) await this.#change()
  }

  get #hasRoom(): boolean {
    return this.#queuedEntries < QUEUE_ENTRIES_MAX && this.#queuedBytes < QUEUE_BYTES_MAX
  }

  #add(item: Item): void {
    const { bytes, orderKey } = item
    if (this.#queuedEntries === 0) this.#storedMs = this.#options.clock.nowMs()
    this.#queuedEntries += 1
    this.#queuedBytes += bytes
    const before = orderKey === null ? undefined : this.#waiting.get(orderKey)
    if (before !== undefined) before.push(item)
    else {
      if (orderKey !== null) this.#waiting.set(orderKey, [])
      this.#due.push(item)
      this.#pump()
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  /** One request at once while they are small: what comes meanwhile makes the next one larger. */
  #pump(): void {
    while (this.#due.length > 0 && this.#requests < REQUESTS_AT_ONCE && !this.#isPausing) {
      const count = this.#countOfBatch()
      const isFull = count === ENTRIES_MAX || count < this.#due.length
      if (this.#requests > 0 && !isFull) return
      this.#requests += 1
      void this.#put(this.#due.splice(0, count))
    }
  }

  #countOfBatch(): number {
    let bytes = 0
    let count = 0
    for (const item of this.#due) {
      bytes += item.bytes
      if (count === ENTRIES_MAX || (count > 0 && bytes > REQUEST_BYTES_MAX)) break
      count += 1
    }
    return count
  }

  async #put(items: readonly Item[]): Promise<void> {
    const { api, stream } = this.#options
    try {
      const outcomes = await api.putRecords(
        stream,
        items.map(({ entry }) => entry),
      )
      this.#take(items, outcomes)
    } catch (error) {
      if (!(error instanceof PipelineError) || !error.retryable) this.#fail(error, items)
      else {
        if (error.code === 'KINESIS_THROTTLED') this.throttled += items.length
        else this.repeated += items.length
        this.#refusals += 1
        this.#again(items, error)
      }
    }
    this.#requests -= 1
    this.#pump()
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }

  #take(items: readonly Item[], outcomes: readonly PutOutcome[]): void {
    assert(outcomes.length === items.length, 'an outcome for each entry')
    const refused: Item[] = []
    let last: PutOutcome & { readonly kind: 'refused' } = { kind: 'refused', code: '', message: '' }
    for (const [index, item] of items.entries()) {
      const outcome = outcomes[index]!
      if (outcome.kind === 'stored') this.#store(item)
      else {
        refused.push(item)
        last = outcome
        if (outcome.code === 'ProvisionedThroughputExceededException') this.throttled += 1
        else this.repeated += 1
      }
    }
    this.#refusals = refused.length === items.length ? this.#refusals + 1 : 0
    if (refused.length < items.length) this.#storedMs = this.#options.clock.nowMs()
    if (refused.length === 0) return
    const error = new PipelineError('KINESIS_THROTTLED', `Kinesis refuses records: ${last.message}`, {
      advice: 'Give the stream more shards, or send more slowly: --rate.',
      retryable: true,
    })
    this.#again(refused, error)
  }

  #store({ bytes, orderKey, stored }: Item): void {
    this.#queuedEntries -= 1
    this.#queuedBytes -= bytes
    if (orderKey !== null) {
      const next = this.#waiting.get(orderKey)?.shift()
      if (next === undefined) this.#waiting.delete(orderKey)
      else this.#due.push(next)
    }
    stored()
  }

  /** After a pause that grows: a shard takes 1,000 records and 1 MB a second. */
  #again(items: readonly Item[], reason: PipelineError): void {
    const { clock, entropy, patienceMs = PATIENCE_MS } = this.#options
    if (this.#failure !== null || clock.nowMs() - this.#storedMs > patienceMs) {
      this.#fail(this.#failure ?? reason, items)
      return
    }
    this.#due = [...items, ...this.#due]
    if (this.#isPausing) return
    this.#isPausing = true
    const pauseMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(this.#refusals, 10))
    void clock.sleep(pauseMs * (0.5 + entropy.random() / 2)).then(() => {
      this.#isPausing = false
      this.#pump()
    })
  }

  /** `items` are those that were under way. */
  #fail(error: unknown, items: readonly Item[]): void {
    this.#failure ??= error
    for (const { failed } of [...items, ...this.#due, ...[...this.#waiting.values()].flat()]) failed(error)
    this.#due = []
    this.#waiting.clear()
  }
}
