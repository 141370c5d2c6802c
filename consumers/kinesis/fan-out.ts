import { PipelineError } from '../../src/errors.ts'
import type { ConsumerFacts, KinesisApi, ShardAnswer, ShardStart, WireRecord } from '../../src/kinesis/api.ts'
import type { FanOutConsumer } from './fan-out-consumer.ts'
import { ShardEnd, type ShardEndOptions } from './shard-end.ts'
import { asFault, unavailable } from './read-fault.ts'
import type { ShardFetch, ShardTarget } from './shard-fetch.ts'
import { type OutageWorld, ShardOutage } from './shard-outage.ts'
import { whileRead } from './while-read.ts'

export interface FanOutOptions extends OutageWorld {
  readonly api: Pick<KinesisApi, 'subscribe'> & ShardEndOptions['api']
  readonly consumer: Pick<FanOutConsumer, 'facts' | 'isReplaced'>
  /** Of a shard, as the source has listed it last. Default: nobody knows. */
  readonly isClosed?: ShardEndOptions['isClosed']
  readonly times?: Partial<FanOutTimes>
}

/** In milliseconds. */
export interface FanOutTimes {
  /** Kinesis takes one call a second for each shard of a consumer. */
  readonly callGapMs: number
  /** So long after a subscription has begun nobody else gets the shard. */
  readonly heldMs: number
  /** Kinesis sends something every five seconds, if only to say that there is nothing. */
  readonly silenceMs: number
  /** Kinesis ends a subscription after five minutes. One that ends sooner than this has been lost: over HTTP/2 that looks the same. */
  readonly regularMs: number
  readonly retryMsMin: number
  readonly retryMsMax: number
}

const FAN_OUT_TIMES: FanOutTimes = {
  callGapMs: 1_000,
  heldMs: 5_000,
  silenceMs: 20_000,
  regularMs: 240_000,
  retryMsMin: 200,
  retryMsMax: 10_000,
}

/**
 * Reads a shard by enhanced fan-out: one subscription after the other, each from where the one before came to. Kinesis ends them after five minutes; connections are lost;
 * others take the shard. None of that loses a record or gives one twice: only what was accepted counts.
 */
export function fanOut(options: FanOutOptions): ShardFetch {
  return (target) => new Subscriber(options, target).run()
}

/** Of subscriptions to one shard without a regular end: nobody takes over that often who is not there to stay. */
const TAKEN_OVER_WARN = 3

class Subscriber {
  readonly #options: FanOutOptions
  readonly #times: FanOutTimes
  readonly #target: ShardTarget
  readonly #outage: ShardOutage
  readonly #end: ShardEnd
  /** Also behind answers without records. */
  #continuation: string | null = null
  /** Of the last record that was accepted, or stands before the start. */
  #lastSequenceNumber: string | null
  #calledMs = Number.NEGATIVE_INFINITY
  #begunMs = Number.NEGATIVE_INFINITY
  /** Of those that had an event. */
  #subscriptions = 0
  #timesTakenOver = 0
  #hasEnded = false
  /** When LATEST was asked for. */
  #latestMs: number | null = null
  /** For the next event. */
  #waiting: AbortController | null = null

  constructor(options: FanOutOptions, target: ShardTarget) {
    this.#options = options
    this.#times = { ...FAN_OUT_TIMES, ...options.times }
    this.#target = target
    this.#outage = new ShardOutage(options, target.place.shardId)
    this.#end = new ShardEnd({ isClosed: () => false, ...options }, target.place)
    this.#lastSequenceNumber = target.start.kind === 'after' ? target.start.sequenceNumber : null
  }

  async run(): Promise<void> {
    const { signal } = this.#target
    while (!signal.aborted && !this.#hasEnded) {
      const subscription: Subscription = { consumer: null, continuation: this.#usefulContinuation, events: 0 }
      try {
        await this.#subscribe(subscription)
        this.#timesTakenOver = 0
      } catch (error) {
        if (signal.aborted) return
        try {
          await this.#mend(subscription, asFault(error))
        } catch (other) {
          const fault = asFault(other)
          if (signal.aborted) return
          if (!fault.retryable) return this.#target.fail(fault)
          await this.#wait(this.#interrupted(subscription, fault))
        }
      }
    }
  }

  /** Resolves when the subscription has come to a regular end, or the shard to its own, or nobody reads any more. */
  async #subscribe(subscription: Subscription): Promise<void> {
    const { api, consumer, clock } = this.#options
    const { place, signal } = this.#target
    await this.#target.room()
    subscription.consumer = await whileRead(signal, consumer.facts())
    const { callGapMs, heldMs } = this.#times
    await this.#wait(Math.max(this.#calledMs + callGapMs, this.#begunMs + heldMs) - clock.nowMs())
    if (signal.aborted || subscription.consumer === null) return

    this.#calledMs = clock.nowMs()
    const release = new AbortController()
    const letGo = (): void => {
      release.abort('not read any more')
      this.#waiting?.abort('not read any more')
    }
    signal.addEventListener('abort', letGo)
    const { consumer: reader, continuation } = subscription
    const stream = api.subscribe(reader, place.shardId, this.#start(continuation), release.signal)
    const events = stream[Symbol.asyncIterator]()
    try {
      for (;;) {
        const event = await this.#next(events)
        if (signal.aborted) return
        if (event === null) return this.#checkRegular(subscription)
        if (subscription.events++ === 0) this.#begun()
        await this.#accept(event)
        if (this.#hasEnded) return
        // What is not taken stays on the wire. Kinesis holds back what follows, and may end the subscription meanwhile: the next one goes on here.
        await this.#target.room()
      }
    } finally {
      signal.removeEventListener('abort', letGo)
      letGo()
      void events.return?.().catch(() => {})
    }
  }

  /** Null at the end. Only who waits can tell silence from a reader that is slow. */
  async #next(events: AsyncIterator<SubscriptionEvent>): Promise<SubscriptionEvent | null> {
    const { silenceMs } = this.#times
    const waiting = new AbortController()
    this.#waiting = waiting
    const next = events.next()
    // Nobody waits for it after a silence.
    next.catch(() => {})
    try {
      const silence = this.#options.clock.sleep(silenceMs, waiting.signal).then(() => null)
      const result = await Promise.race([next, silence])
      if (result === null) {
        throw unavailable(
          `no event of ${this.#target.place.shardId} has come for ${silenceMs / 1000} seconds`,
        )
      }
      return result.done === true ? null : result.value
    } finally {
      waiting.abort('answered')
    }
  }

  #checkRegular({ events }: Subscription): void {
    const afterMs = events === 0 ? 0 : this.#options.clock.nowMs() - this.#begunMs
    if (events > 0 && afterMs >= this.#times.regularMs) return
    const { shardId } = this.#target.place
    throw unavailable(`the subscription to ${shardId} has ended after ${Math.round(afterMs / 1000)} seconds`)
  }

  #begun(): void {
    this.#begunMs = this.#options.clock.nowMs()
    if (this.#subscriptions++ > 0) this.#options.counts.add('resubscriptions')
  }

  async #accept({
    millisBehindLatest,
    continuationSequenceNumber,
    ...event
  }: SubscriptionEvent): Promise<void> {
    const records = this.#unread(event.records)
    let { children } = event
    if (children?.length === 0 && !(await this.#end.isConfirmed())) children = null
    const place = continuationSequenceNumber ?? this.#continuation
    const isQuiet = children === null && records.length === 0 && (millisBehindLatest ?? 0) === 0
    if (isQuiet) children = await this.#end.ofQuiet(this.#start(this.#useful(place)))
    if (this.#target.signal.aborted) return
    this.#take({ records, millisBehindLatest, children })
    this.#continuation = place
  }

  #take(answer: ShardAnswer): void {
    this.#target.accept(answer)
    this.#lastSequenceNumber = answer.records.at(-1)?.sequenceNumber ?? this.#lastSequenceNumber
    this.#hasEnded = answer.children !== null
    this.#outage.end()
    this.#end.worked()
  }

  /** Without those that were accepted before: a server may take AFTER for AT. */
  #unread(records: readonly WireRecord[]): readonly WireRecord[] {
    const last = this.#lastSequenceNumber
    if (last === null) return records
    const first = records.findIndex(({ sequenceNumber }) => isBehind(sequenceNumber, last))
    return first === 0 ? records : first < 0 ? [] : records.slice(first)
  }

  /** What Kinesis calls the place of the last event, which may have had no record. Null where what was accepted is further. */
  get #usefulContinuation(): string | null {
    return this.#useful(this.#continuation)
  }

  #useful(continuation: string | null): string | null {
    const { start } = this.#target
    if (continuation === null || !('sequenceNumber' in start)) return continuation
    return isBehind(continuation, start.sequenceNumber) ? continuation : null
  }

  /** Who has asked for what comes from now on gets what comes from then on, whatever becomes of the first subscription. */
  #start(continuation: string | null): ShardStart {
    if (continuation !== null) return { kind: 'after', sequenceNumber: continuation }
    const { start } = this.#target
    if (start.kind !== 'latest') return start
    if (this.#latestMs !== null) return { kind: 'time', timeMs: this.#latestMs }
    this.#latestMs = this.#options.clock.nowMs()
    return start
  }

  /** Resolves where the next try is another one: from another place, with another registration of the consumer, or none. Throws what is left. */
  async #mend({ consumer, continuation, events }: Subscription, fault: PipelineError): Promise<void> {
    const { place, signal } = this.#target
    const { log } = this.#options
    const isMissing = fault.code === 'STREAM_NOT_FOUND'
    if (isMissing && consumer !== null) {
      const isReplaced = await whileRead(signal, this.#options.consumer.isReplaced(consumer))
      if (isReplaced === true) {
        log.warn(
          { consumer: consumer.name },
          'the consumer of enhanced fan-out was removed while it was read with; it is registered again',
        )
      }
      if (isReplaced !== false) return
    }
    if (events === 0 && continuation !== null && (isMissing || fault.code === 'KINESIS_REFUSED')) {
      log.info(
        { stream: place.stream, shard: place.shardId, error: fault.message },
        'the continuation of a subscription was refused: going on behind the last record',
      )
      this.#continuation = null
      return
    }
    if (!isMissing || consumer === null) throw fault
    await whileRead(signal, this.#end.ofMissing(fault))
  }

  /** Counts, tells, and says how long to wait. */
  #interrupted({ consumer, events }: Subscription, fault: PipelineError): number {
    this.#outage.add(fault)
    const { retryMsMin, retryMsMax, heldMs } = this.#times
    if (fault.code !== 'KINESIS_IN_USE') return this.#outage.delayMs(retryMsMin, retryMsMax)
    if (events === 0) return this.#outage.delayMs(Math.min(1_000, heldMs), heldMs)
    // Somebody else has subscribed: a zombie, or its successor. Who comes back sooner than the other may be refused takes nothing.
    if (++this.#timesTakenOver === TAKEN_OVER_WARN) {
      this.#options.log.warn(
        {
          shard: this.#target.place.shardId,
          consumer: consumer?.name,
          advice:
            'Each pipeline needs a consumer name of its own. Two processes of one pipeline do so for some seconds only, where one of them has lost its lease and does not know yet.',
        },
        'somebody else subscribes to the same shard with the same consumer, again and again',
      )
    }
    return heldMs + this.#outage.delayMs(heldMs, heldMs)
  }

  async #wait(ms: number): Promise<void> {
    if (ms > 0) await this.#options.clock.sleep(ms, this.#target.signal)
  }
}

interface Subscription {
  consumer: ConsumerFacts | null
  /** Where it begins; null: at the target's start. */
  readonly continuation: string | null
  /** That have come. */
  events: number
}

type SubscriptionEvent = ShardAnswer & { readonly continuationSequenceNumber: string | null }

/** Sequence numbers of a shard grow; they are decimal, of 56 digits mostly. */
function isBehind(sequenceNumber: string, other: string): boolean {
  return sequenceNumber.length === other.length
    ? sequenceNumber > other
    : sequenceNumber.length > other.length
}
