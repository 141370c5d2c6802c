import { PipelineError } from '../../errors.ts'
import type { GroupOffset, OutboxMessage } from '../../ports.ts'
import type { Prng } from './prng.ts'

/**
 * A model of Kafka as far as transactions go: logs of topics, the transaction coordinator, groups with offsets and metadata. Every method is one
 * request. What Kafka does later by itself (markers in the topics, offsets that become readable, time-outs) waits in a queue, and
 * is done in part before each request: between the answer to EndTxn and what readers see lies any number of requests.
 */
export interface BrokerWeather {
  /** That a group's offsets are lost, or overwritten by hand, at a request. */
  readonly markerLoss: number
  /** That the producer ids of a transactional id without a transaction are forgotten at a request. */
  readonly idExpiry: number
  /** That the oldest of what waits in the queue is done before a request; again and again until it is not. */
  readonly promptness: number
  /** A transaction that is open for longer is aborted. */
  readonly transactionTimeoutMs: number
}

/** Names one life of a producer. A newer one of the same transactional id fences it. */
export interface ProducerIdentity {
  readonly producerId: number
  readonly epoch: number
}

interface Transaction {
  readonly startMs: number
  readonly topics: Set<string>
  /** Topics that have its commit or abort marker. */
  readonly marked: Set<string>
  readonly offsets: (Appended & { readonly key: string })[]
  outcome: 'open' | 'commit' | 'abort'
  /** Every topic and group has been told. */
  isComplete: boolean
}

interface Producer {
  readonly producerId: number
  epoch: number
  transaction: Transaction | null
  /** Of the next message, by topic. */
  sequences: Map<string, number>
}

interface Entry {
  readonly message: OutboxMessage
  readonly transaction: Transaction
}

/** What a group keeps for one partition. */
export interface GroupValue {
  readonly offset: string
  readonly metadata: string
}

/** With its place in the group's log: of two, the one that was appended later counts, whenever its transaction is committed. */
interface Appended {
  readonly value: GroupValue
  readonly place: number
}

/** Codes of refusals, as Kafka has them. */
export const REFUSED = {
  fenced: 'SIM_PRODUCER_FENCED',
  unknownId: 'SIM_INVALID_PRODUCER_ID_MAPPING',
  concurrent: 'SIM_CONCURRENT_TRANSACTIONS',
  state: 'SIM_INVALID_TXN_STATE',
  sequence: 'SIM_OUT_OF_ORDER_SEQUENCE_NUMBER',
  unstable: 'SIM_UNSTABLE_OFFSET_COMMIT',
} as const

export class SimBroker {
  readonly #random: Prng
  readonly #nowMs: () => number
  #weather: BrokerWeather
  readonly #logs = new Map<string, Entry[]>()
  readonly #producers = new Map<string, Producer>()
  readonly #groups = new Map<string, Appended>()
  #places = 0
  /** Offsets of transactions whose outcome the group has not heard yet, by key. */
  readonly #pending = new Map<string, Set<Transaction>>()
  /** What Kafka still does by itself, oldest first. */
  #later: (() => void)[] = []
  #producerIds = 0
  /** Requests that changed something. */
  writes = 0
  /** Of each kind of trouble, so that a test can show that there was some. */
  readonly counts = { markersLost: 0, idsExpired: 0, timeouts: 0, fences: 0 }

  constructor(random: Prng, nowMs: () => number, weather: BrokerWeather) {
    this.#random = random
    this.#nowMs = nowMs
    this.#weather = weather
  }

  /** From now on nothing is forgotten; transactions still time out. */
  becalm(): void {
    this.#weather = { ...this.#weather, markerLoss: 0, idExpiry: 0 }
  }

  /** Everything that waits is done, and what is open times out: what readers see in the end. */
  settle(): void {
    for (const producer of this.#producers.values()) {
      if (producer.transaction?.outcome === 'open') this.#abort(producer)
    }
    this.catchUp()
  }

  /** Messages that readers with `read_committed` get once all is settled, in their order. */
  committed(topic: string): readonly OutboxMessage[] {
    const log = this.#logs.get(topic) ?? []
    return log.filter(({ transaction }) => transaction.outcome === 'commit').map(({ message }) => message)
  }

  /** What Kafka still has to do by itself is done: it does not wait for requests. */
  catchUp(): void {
    for (const work of this.#later.splice(0)) work()
  }

  /** True where any transaction is open, or not complete. */
  get isBusy(): boolean {
    return (
      this.#later.length > 0 || [...this.#producers.values()].some((p) => p.transaction?.outcome === 'open')
    )
  }

  // ---------------------------------------------------------------------------------- transactions

  /** InitProducerId: fences whoever had the id, and aborts what it has open. Refused until that is complete. */
  initProducerId(transactionalId: string): ProducerIdentity {
    this.#tick()
    this.writes++
    const producer = this.#producers.get(transactionalId)
    if (producer === undefined) {
      const created: Producer = {
        producerId: ++this.#producerIds,
        epoch: 0,
        transaction: null,
        sequences: new Map(),
      }
      this.#producers.set(transactionalId, created)
      return { producerId: created.producerId, epoch: 0 }
    }
    if (producer.transaction?.outcome === 'open') {
      this.counts.fences++
      this.#abort(producer)
    }
    if (producer.transaction !== null && !producer.transaction.isComplete)
      throw refusal('concurrent', 'the last transaction is not complete')
    producer.epoch++
    producer.transaction = null
    producer.sequences = new Map()
    return { producerId: producer.producerId, epoch: producer.epoch }
  }

  /** AddPartitionsToTxn: begins a transaction where none is open. */
  addTopic(transactionalId: string, identity: ProducerIdentity, topic: string): void {
    this.#open(transactionalId, identity).topics.add(topic)
  }

  /** Produce. `sequence` is the number of the first message, counted over the life of the producer. */
  produce(
    transactionalId: string,
    identity: ProducerIdentity,
    topic: string,
    sequence: number,
    messages: readonly OutboxMessage[],
  ): void {
    this.#tick()
    const producer = this.#producerOf(transactionalId, identity)
    const { transaction } = producer
    if (transaction?.outcome !== 'open' || !transaction.topics.has(topic))
      throw refusal('state', `${topic} is not in the transaction`)
    const expected = producer.sequences.get(topic) ?? 0
    // Sent a second time: it is there already.
    if (sequence < expected) return
    if (sequence > expected) throw refusal('sequence', `${topic} expects ${expected}, not ${sequence}`)
    producer.sequences.set(topic, expected + messages.length)
    const log = this.#logs.get(topic) ?? []
    this.#logs.set(topic, log)
    for (const message of messages) log.push({ message, transaction })
    this.writes++
  }

  /** AddOffsetsToTxn and TxnOffsetCommit. Readers see the offset when the group has heard of the commit. */
  commitOffset(transactionalId: string, identity: ProducerIdentity, key: string, value: GroupValue): void {
    const transaction = this.#open(transactionalId, identity)
    transaction.offsets.push({ key, value, place: ++this.#places })
    const pending = this.#pending.get(key) ?? new Set()
    this.#pending.set(key, pending.add(transaction))
  }

  /** EndTxn. What readers see of it comes later. The same request again is no error; another one is. */
  endTransaction(transactionalId: string, identity: ProducerIdentity, outcome: 'commit' | 'abort'): void {
    this.#tick()
    const producer = this.#producerOf(transactionalId, identity)
    const { transaction } = producer
    if (transaction === null) throw refusal('state', 'no transaction is open')
    if (transaction.outcome === outcome) return
    if (transaction.outcome !== 'open')
      throw refusal('state', `the transaction has ended by ${transaction.outcome}`)
    this.#end(transaction, outcome)
  }

  // ---------------------------------------------------------------------------------- readers

  /** The offset after the last message, of open and aborted transactions too. */
  endOffset(topic: string): number {
    this.#tick()
    return this.#logs.get(topic)?.length ?? 0
  }

  /** A fetch with `read_committed`: messages from `from` up to the first whose transaction has no marker yet. */
  fetchCommitted(
    topic: string,
    from: number,
  ): { readonly messages: readonly OutboxMessage[]; readonly nextOffset: number } {
    this.#tick()
    const log = this.#logs.get(topic) ?? []
    const messages: OutboxMessage[] = []
    let next = from
    for (; next < log.length; next++) {
      const { message, transaction } = log[next]!
      if (!transaction.marked.has(topic)) break
      if (transaction.outcome === 'commit') messages.push(message)
    }
    return { messages, nextOffset: next }
  }

  /** OffsetFetch. With `requireStable` it is refused where a transaction may still change the answer. */
  fetchOffset(key: string, requireStable: boolean): GroupValue | null {
    this.#tick()
    if (requireStable && (this.#pending.get(key)?.size ?? 0) > 0)
      throw refusal('unstable', `${key} has a pending offset`)
    return this.#groups.get(key)?.value ?? null
  }

  /** What a group keeps, looked at from outside the simulation: no time passes. */
  peekOffset(key: string): GroupValue | null {
    return this.#groups.get(key)?.value ?? null
  }

  /** OffsetCommit outside any transaction. */
  commitPlainOffset(key: string, value: GroupValue): void {
    this.#tick()
    this.writes++
    this.#groups.set(key, { value, place: ++this.#places })
  }

  // ---------------------------------------------------------------------------------- inside

  #open(transactionalId: string, identity: ProducerIdentity): Transaction {
    this.#tick()
    const producer = this.#producerOf(transactionalId, identity)
    const last = producer.transaction
    if (last?.outcome === 'open') return last
    if (last !== null && !last.isComplete) throw refusal('concurrent', 'the last transaction is not complete')
    const transaction: Transaction = {
      startMs: this.#nowMs(),
      topics: new Set(),
      marked: new Set(),
      offsets: [],
      outcome: 'open',
      isComplete: false,
    }
    producer.transaction = transaction
    this.writes++
    return transaction
  }

  #producerOf(transactionalId: string, identity: ProducerIdentity): Producer {
    const producer = this.#producers.get(transactionalId)
    if (producer === undefined || producer.producerId !== identity.producerId)
      throw refusal('unknownId', `nobody knows the producer ${identity.producerId} of ${transactionalId}`)
    if (producer.epoch !== identity.epoch)
      throw refusal('fenced', `${transactionalId} has epoch ${producer.epoch}, not ${identity.epoch}`)
    return producer
  }

  /** What the coordinator does of its own accord: the epoch moves on, so that the owner is fenced. */
  #abort(producer: Producer): void {
    producer.epoch++
    this.#end(producer.transaction!, 'abort')
  }

  #end(transaction: Transaction, outcome: 'commit' | 'abort'): void {
    this.writes++
    transaction.outcome = outcome
    for (const topic of transaction.topics) this.#later.push(() => transaction.marked.add(topic))
    // The coordinator is content when the group has the marker in its log; the group heeds it a little later.
    this.#later.push(() => {
      transaction.isComplete = true
    })
    for (const { key, value, place } of transaction.offsets) {
      this.#later.push(() => {
        this.#pending.get(key)!.delete(transaction)
        const isNewer = place > (this.#groups.get(key)?.place ?? -1)
        if (outcome === 'commit' && isNewer) this.#groups.set(key, { value, place })
      })
    }
  }

  /** Time passes at the broker. */
  #tick(): void {
    const { markerLoss, idExpiry, promptness, transactionTimeoutMs } = this.#weather
    for (const producer of this.#producers.values()) {
      const { transaction } = producer
      if (transaction?.outcome !== 'open') continue
      if (this.#nowMs() - transaction.startMs <= transactionTimeoutMs) continue
      this.counts.timeouts++
      this.#abort(producer)
    }
    while (this.#later.length > 0 && this.#random.chance(promptness)) this.#later.shift()!()
    if (this.#random.chance(markerLoss)) this.#loseMarker()
    if (this.#random.chance(idExpiry)) this.#expireId()
  }

  /** The group expires, or somebody resets it by hand: then it has an offset, but no metadata. What users are shown stays. */
  #loseMarker(): void {
    const keys = [...this.#groups].filter(([, { value }]) => value.metadata !== '').map(([key]) => key)
    if (keys.length === 0) return
    const key = this.#random.pick(keys)
    if (this.#random.chance(0.5)) this.#groups.delete(key)
    else this.#groups.set(key, { value: { offset: '0', metadata: '' }, place: ++this.#places })
    this.counts.markersLost++
  }

  #expireId(): void {
    const idle = [...this.#producers].filter(([, { transaction }]) => transaction?.isComplete ?? true)
    if (idle.length === 0) return
    this.#producers.delete(this.#random.pick(idle)[0])
    this.counts.idsExpired++
  }
}

/** The place of a group's offset. */
export function groupKey({ groupId, topic, partition }: Omit<GroupOffset, 'clusterId' | 'offset'>): string {
  return `${groupId}/${topic}-${partition}`
}

function refusal(kind: keyof typeof REFUSED, what: string): PipelineError {
  const retryable = kind === 'concurrent' || kind === 'unstable'
  return new PipelineError(REFUSED[kind], what, { retryable })
}
