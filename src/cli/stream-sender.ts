import { assert, PipelineError } from '../errors.ts'
import type { KinesisApi, PutEntry, PutOutcome } from '../kinesis/api.ts'
import { AGGREGATE_BYTES, writeAggregate } from '../kinesis/write-aggregate.ts'
import type { Clock, Entropy } from '../ports.ts'

export interface StreamSenderOptions {
  readonly api: Pick<KinesisApi, 'putRecords'>
  readonly stream: string
  readonly clock: Clock
  readonly entropy: Entropy
  /** Records that wait for each other are put as one, in the format of the Kinesis Producer Library: those of one order key must get to one shard. Default false. */
  readonly aggregate?: boolean
  /** How long nothing may be stored until that counts as a failure. Default 120,000. */
  readonly patienceMs?: number
}

/** Of one request: what Kinesis takes, with room for the frame around it. */
const ENTRIES_MAX = 500
const REQUEST_BYTES_MAX = 4 * 1024 * 1024
/** Of one aggregate, as the Kinesis Producer Library has it by default. */
const AGGREGATE_BYTES_MAX = 50 * 1024
const REQUESTS_AT_ONCE = 4
/** Beyond so much that is not stored `ready` waits. */
const QUEUE_ENTRIES_MAX = 20_000
/** Keys go their own ways, and so records of different keys overtake each other by this much at most: readers have bounds for what is out of order. */
const AHEAD_MAX = 2_000
const QUEUE_BYTES_MAX = 16 * 1024 * 1024
const PATIENCE_MS = 120_000
const PAUSE_MS_MIN = 100
const PAUSE_MS_MAX = 5_000

interface Item {
  readonly entry: PutEntry
  readonly bytes: number
  /** Null: in no order. */
  readonly orderKey: string | null
  /** In the order of sending. */
  readonly number: number
  readonly stored: () => void
  readonly failed: (error: unknown) => void
}

/** What is put as one entry: a record, or several of one key. */
type Parcel = readonly [Item, ...Item[]]

/**
 * Puts records into a stream, many in a request. Kinesis takes the entries of a request one by one: it may refuse some, and says nothing of the order of the
 * others. So no two records of one key are under way at once, and a key's records are stored in the order in which they were sent, however
 * often each of them had to be put. Each is stored at least once: a request whose answer is lost is put again. Few keys make small requests: then aggregates help, because an
 * entry is stored whole or not at all.
 */
export class StreamSender {
  /** Entries that Kinesis had no room for, and that were put again. */
  throttled = 0
  /** Those that had to be put again for another reason. */
  repeated = 0
  /** Entries that were stored: fewer than records where they were aggregated. */
  storedEntries = 0
  /** Records that were stored behind others that were sent after them. */
  overtaken = 0
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
  #sent = 0
  /** Of those that are stored, the number that was sent last. */
  #newest = -1
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
      if (this.#failure === null) this.#add({ entry, bytes, orderKey, number: this.#sent++, stored, failed })
      else failed(this.#failure)
    })
  }

  /** Resolves when all that was sent is stored, or has failed. */
  async flush(): Promise<void> {
    while (this.#failure === null && this.#queuedEntries > 0) await this.#change()
  }

  get #hasRoom(): boolean {
    const entriesMax = this.#options.aggregate === true ? QUEUE_ENTRIES_MAX : AHEAD_MAX
    return this.#queuedEntries < entriesMax && this.#queuedBytes < QUEUE_BYTES_MAX
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
      void this.#put(this.#parcels(this.#due.splice(0, count)))
    }
  }

  #parcels(items: readonly Item[]): readonly Parcel[] {
    if (this.#options.aggregate !== true) return items.map((item): Parcel => [item])
    let roomBytes = REQUEST_BYTES_MAX - items.reduce((sum, { bytes }) => sum + bytes, 0)
    return items.map((item): Parcel => {
      const more = this.#takeWaiting(
        item,
        Math.min(roomBytes, AGGREGATE_BYTES_MAX - AGGREGATE_BYTES - item.bytes),
      )
      roomBytes -= more.reduce((sum, { bytes }) => sum + bytes, 0)
      return [item, ...more]
    })
  }

  /** Those of the same key, and of the same shard, that come next. */
  #takeWaiting({ orderKey, entry: { explicitHashKey } }: Item, bytesMax: number): readonly Item[] {
    const waiting = orderKey === null ? undefined : this.#waiting.get(orderKey)
    if (waiting === undefined) return []
    let bytes = 0
    let count = 0
    for (const item of waiting) {
      bytes += item.bytes
      if (bytes > bytesMax || item.entry.explicitHashKey !== explicitHashKey) break
      count += 1
    }
    return waiting.splice(0, count)
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

  async #put(parcels: readonly Parcel[]): Promise<void> {
    const { api, stream } = this.#options
    try {
      this.#take(parcels, await api.putRecords(stream, parcels.map(entryOf)))
    } catch (error) {
      if (!(error instanceof PipelineError) || !error.retryable) this.#fail(error, parcels.flat())
      else {
        const records = parcels.reduce((sum, { length }) => sum + length, 0)
        if (error.code === 'KINESIS_THROTTLED') this.throttled += records
        else this.repeated += records
        this.#refusals += 1
        this.#again(parcels, error)
      }
    }
    this.#requests -= 1
    this.#pump()
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }

  #take(parcels: readonly Parcel[], outcomes: readonly PutOutcome[]): void {
    assert(outcomes.length === parcels.length, 'an outcome for each entry')
    const refused: Parcel[] = []
    const newest = this.#newest
    let last: PutOutcome & { readonly kind: 'refused' } = { kind: 'refused', code: '', message: '' }
    for (const [index, parcel] of parcels.entries()) {
      const outcome = outcomes[index]!
      if (outcome.kind === 'stored') this.#store(parcel, newest)
      else {
        refused.push(parcel)
        last = outcome
        if (outcome.code === 'ProvisionedThroughputExceededException') this.throttled += parcel.length
        else this.repeated += parcel.length
      }
    }
    this.#refusals = refused.length === parcels.length ? this.#refusals + 1 : 0
    if (refused.length < parcels.length) this.#storedMs = this.#options.clock.nowMs()
    if (refused.length === 0) return
    const error = new PipelineError('KINESIS_THROTTLED', `Kinesis refuses records: ${last.message}`, {
      advice: 'Give the stream more shards, or send more slowly: --rate.',
      retryable: true,
    })
    this.#again(refused, error)
  }

  #store(parcel: Parcel, newest: number): void {
    const [{ orderKey }] = parcel
    this.storedEntries += 1
    this.#queuedEntries -= parcel.length
    for (const { bytes, number } of parcel) {
      this.#queuedBytes -= bytes
      if (number < newest) this.overtaken += 1
      this.#newest = Math.max(this.#newest, number)
    }
    if (orderKey !== null) {
      const next = this.#waiting.get(orderKey)?.shift()
      if (next === undefined) this.#waiting.delete(orderKey)
      else this.#due.push(next)
    }
    for (const { stored } of parcel) stored()
  }

  /** After a pause that grows: a shard takes 1,000 records and 1 MB a second. */
  #again(parcels: readonly Parcel[], reason: PipelineError): void {
    const { clock, entropy, patienceMs = PATIENCE_MS } = this.#options
    if (this.#failure !== null || clock.nowMs() - this.#storedMs > patienceMs) {
      this.#fail(this.#failure ?? reason, parcels.flat())
      return
    }
    for (const [{ orderKey }, ...more] of parcels) {
      if (orderKey !== null) this.#waiting.get(orderKey)?.unshift(...more)
    }
    this.#due = [...parcels.map(([first]) => first), ...this.#due]
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

function entryOf(parcel: Parcel): PutEntry {
  const [{ entry }] = parcel
  if (parcel.length === 1) return entry
  return { ...entry, data: writeAggregate(parcel.map((item) => item.entry)) }
}
