import { createHash } from 'node:crypto'
import type {
  ConsumerFacts,
  KinesisApi,
  PutEntry,
  PutOutcome,
  ShardAnswer,
  ShardFacts,
  ShardPlace,
  ShardStart,
  StreamFacts,
} from '../../src/kinesis/api.ts'
import type { Clock } from '../../src/ports.ts'
import {
  type FakeCall,
  type FakeFault,
  inUse,
  iteratorExpired,
  notFound,
  throttled,
  unavailable,
} from './fake-faults.ts'
import { FakeShard, type HashRange, sizeOf } from './fake-shard.ts'

const HASH_END = (1n << 128n) - 1n
/** Sequence numbers have 56 digits. */
const SEQUENCE_BASE = 10n ** 55n * 4n

export interface FakeKinesisOptions {
  readonly clock: Clock
  readonly retentionMs?: number
  /** How long an iterator is good. */
  readonly iteratorMs?: number
  /** Throttle who reads a shard more often than five times, or more than 2 MB, a second. */
  readonly hasReadLimits?: boolean
  /** Of one answer. */
  readonly recordsMax?: number
  readonly bytesMax?: number
  /** ChildShards in answers, as Kinesis has them and some stand-ins do not. */
  readonly saysChildren?: boolean
  /** Of each call. */
  readonly latencyMs?: number
}

interface FakeStream {
  readonly facts: Omit<StreamFacts, 'openShards'>
  readonly shards: FakeShard[]
  readonly consumers: Map<string, ConsumerFacts>
}

/**
 * Kinesis in memory, by the clock that it is given: shards that are split and merged, iterators that expire, records that retention takes away, shards that go with
 * their last record, subscriptions that end after five minutes or go to who asks next. What goes wrong beside that, a test says with `plan`.
 */
export class FakeKinesis implements KinesisApi {
  readonly description = 'a Kinesis of the test'
  /** All that anybody has asked, in order. */
  readonly calls: FakeCall[] = []
  readonly #options: Required<FakeKinesisOptions>
  readonly #streams = new Map<string, FakeStream>()
  readonly #iterators = new Map<
    string,
    { readonly place: ShardPlace; readonly index: number; readonly madeMs: number }
  >()
  #sequence = SEQUENCE_BASE
  #iteratorNumber = 0
  #faultFor: (call: FakeCall) => FakeFault | null = () => null

  constructor(options: FakeKinesisOptions) {
    this.#options = {
      retentionMs: 24 * 3_600_000,
      iteratorMs: 300_000,
      hasReadLimits: false,
      recordsMax: 10_000,
      bytesMax: 10_000_000,
      saysChildren: true,
      latencyMs: 0,
      ...options,
    }
  }

  /** Asked for each call; null lets it pass. */
  plan(faultFor: (call: FakeCall) => FakeFault | null): void {
    this.#faultFor = faultFor
  }

  callsOf(operation: FakeCall['operation']): readonly FakeCall[] {
    return this.calls.filter((call) => call.operation === operation)
  }

  // ------------------------------------------------------------------------------ what a test does

  /** A stream at once; the shards share the hash keys evenly. */
  addStream(stream: string, shards = 1): void {
    const nowMs = this.#options.clock.nowMs()
    const entry: FakeStream = {
      facts: {
        stream,
        arn: `arn:aws:kinesis:test-1:000000000000:stream/${stream}`,
        createdMs: nowMs,
        retentionMs: this.#options.retentionMs,
        isOnDemand: false,
        recordBytesMax: 1024 * 1024,
      },
      shards: [],
      consumers: new Map(),
    }
    this.#streams.set(stream, entry)
    const width = (HASH_END + 1n) / BigInt(shards)
    for (let number = 0; number < shards; number++) {
      const end = number === shards - 1 ? HASH_END : width * BigInt(number + 1) - 1n
      this.#addShard(entry, [], { start: width * BigInt(number), end })
    }
  }

  removeStream(stream: string): void {
    this.#streams.delete(stream)
  }

  /** Into the shard of the partition key's hash, or the one that is named. */
  put(
    stream: string,
    data: string | Uint8Array,
    options: {
      readonly partitionKey?: string
      readonly explicitHashKey?: string
      readonly shardId?: string
    } = {},
  ): { readonly shardId: string; readonly sequenceNumber: string } {
    const { partitionKey = 'key', explicitHashKey, shardId } = options
    const hash = explicitHashKey === undefined ? hashOf(partitionKey) : BigInt(explicitHashKey)
    const shard =
      shardId === undefined
        ? this.#stream(stream).shards.find(
            ({ children, range }) => children === null && range.start <= hash && hash <= range.end,
          )!
        : this.#shard({ stream, shardId })
    const sequenceNumber = this.#nextSequence()
    shard.add({
      sequenceNumber,
      arrivalMs: this.#options.clock.nowMs(),
      partitionKey,
      data: typeof data === 'string' ? new TextEncoder().encode(data) : data,
    })
    return { shardId: shard.shardId, sequenceNumber }
  }

  /** In the middle, unless it is told where. Gives the ids of the two children. */
  split(stream: string, shardId: string, at?: bigint): readonly string[] {
    const shard = this.#shard({ stream, shardId })
    const { start, end } = shard.range
    const middle = at ?? (start + end + 1n) / 2n
    const entry = this.#stream(stream)
    const children = [
      this.#addShard(entry, [shardId], { start, end: middle - 1n }),
      this.#addShard(entry, [shardId], { start: middle, end }),
    ]
    shard.close(children, this.#options.clock.nowMs())
    return children
  }

  /** Of two neighbours. Gives the id of the child. */
  merge(stream: string, shardId: string, otherId: string): string {
    const one = this.#shard({ stream, shardId })
    const other = this.#shard({ stream, shardId: otherId })
    const [low, high] = one.range.start < other.range.start ? [one, other] : [other, one]
    const range = { start: low.range.start, end: high.range.end }
    const child = this.#addShard(this.#stream(stream), [shardId, otherId], range)
    for (const parent of [one, other]) parent.close([child], this.#options.clock.nowMs())
    return child
  }

  // ------------------------------------------------------------------------------ what a program does

  describeStream(stream: string): Promise<StreamFacts> {
    return this.#call('describeStream', stream, '', () => {
      const { facts, shards } = this.#stream(stream)
      return { ...facts, openShards: shards.filter(({ children }) => children === null).length }
    })
  }

  listShards(stream: string): Promise<readonly ShardFacts[]> {
    return this.#call('listShards', stream, '', () =>
      this.#stream(stream)
        .shards.filter((shard) => !this.#isGone(shard))
        .map((shard) => shard.facts()),
    )
  }

  shardIterator(place: ShardPlace, start: ShardStart): Promise<string> {
    return this.#call('shardIterator', place.stream, place.shardId, () =>
      this.#iterator(place, this.#shard(place).indexOf(start, this.#options.clock.nowMs())),
    )
  }

  getRecords(
    iterator: string,
    recordsMax: number,
  ): Promise<ShardAnswer & { readonly nextIterator: string | null }> {
    const known = this.#iterators.get(iterator)
    const { stream, shardId } = known?.place ?? { stream: '', shardId: '' }
    return this.#call('getRecords', stream, shardId, () => {
      const nowMs = this.#options.clock.nowMs()
      if (known === undefined || nowMs - known.madeMs > this.#options.iteratorMs) throw iteratorExpired()
      const shard = this.#shard(known.place)
      if (this.#options.hasReadLimits && shard.isThrottled(nowMs)) throw throttled()
      const { answer, next } = this.#read(shard, known.index, Math.min(recordsMax, this.#options.recordsMax))
      shard.spend(
        answer.records.reduce((sum, record) => sum + sizeOf(record), 0),
        nowMs,
      )
      return { ...answer, nextIterator: answer.children === null ? this.#iterator(known.place, next) : null }
    })
  }

  putRecords(stream: string, entries: readonly PutEntry[]): Promise<readonly PutOutcome[]> {
    return this.#call('putRecords', stream, '', (fault) =>
      entries.map(({ data, ...entry }, index): PutOutcome => {
        if (fault?.kind === 'partial' && fault.isRefused(index)) {
          const { code = 'ProvisionedThroughputExceededException' } = fault
          return { kind: 'refused', code, message: 'Rate exceeded for shard' }
        }
        return { kind: 'stored', ...this.put(stream, data, entry) }
      }),
    )
  }

  registerConsumer({ stream }: StreamFacts, name: string): Promise<ConsumerFacts> {
    return this.#call('registerConsumer', stream, '', () => {
      const { facts, consumers } = this.#stream(stream)
      const consumer = consumers.get(name) ?? {
        name,
        arn: `${facts.arn}/consumer/${name}:${Math.floor(this.#options.clock.nowMs() / 1000)}`,
      }
      consumers.set(name, consumer)
      return consumer
    })
  }

  deregisterConsumer({ arn, name }: ConsumerFacts): Promise<void> {
    const stream = streamOf(arn)
    return this.#call('deregisterConsumer', stream, '', () => {
      this.#stream(stream).consumers.delete(name)
    })
  }

  async *subscribe(
    consumer: ConsumerFacts,
    shardId: string,
    start: ShardStart,
    signal: AbortSignal,
  ): AsyncGenerator<ShardAnswer & { readonly continuationSequenceNumber: string | null }, void, undefined> {
    const { clock } = this.#options
    const stream = streamOf(consumer.arn)
    const { shard, fault } = await this.#call('subscribe', stream, shardId, (fault) => {
      if (!this.#stream(stream).consumers.has(consumer.name)) throw notFound(`consumer ${consumer.name}`)
      return { shard: this.#shard({ stream, shardId }), fault }
    })
    const startMs = clock.nowMs()
    const previous = shard.subscriptions.get(consumer.name)
    if (previous !== undefined && startMs - previous.atMs < 5_000) throw inUse()
    previous?.end()
    const over = new AbortController()
    shard.subscriptions.set(consumer.name, { atMs: startMs, end: () => over.abort() })
    const ends = AbortSignal.any([signal, over.signal])
    let index = Math.max(shard.indexOf(start, startMs), this.#firstOf(shard))
    for (let events = 0; ; events++) {
      if (signal.aborted || clock.nowMs() - startMs >= 300_000) return
      // Somebody else has it now.
      if (over.signal.aborted) throw inUse()
      if (fault?.kind === 'break' && events >= fault.afterEvents) throw fault.error
      const { answer, next } = this.#read(shard, index, this.#options.recordsMax)
      index = next
      const continuation =
        next < shard.records.length ? answer.records.at(-1)!.sequenceNumber : String(this.#sequence)
      yield { ...answer, continuationSequenceNumber: answer.children === null ? continuation : null }
      if (answer.children !== null) return
      if (index < shard.records.length) continue
      // At the tip there is an event without records now and then.
      const wait = new AbortController()
      const stop = AbortSignal.any([ends, wait.signal])
      await Promise.race([clock.sleep(5_000, stop), shard.changed()])
      wait.abort()
    }
  }

  createStream(stream: string, shards: number): Promise<void> {
    return this.#call('createStream', stream, '', () => {
      if (!this.#streams.has(stream)) this.addStream(stream, shards)
    })
  }

  close(): void {}

  // ------------------------------------------------------------------------------ within

  async #call<Answer>(
    operation: FakeCall['operation'],
    stream: string,
    shardId: string,
    work: (fault: FakeFault | null) => Answer,
  ): Promise<Answer> {
    const { clock, latencyMs } = this.#options
    const call = { operation, stream, shardId, atMs: clock.nowMs() }
    this.calls.push(call)
    const fault = this.#faultFor(call)
    if (latencyMs > 0) await clock.sleep(latencyMs)
    if (fault?.kind === 'throw') throw fault.error
    if (fault?.kind === 'hang') return await new Promise<never>(() => {})
    const answer = work(fault)
    if (fault?.kind === 'lost-answer') throw unavailable()
    return answer
  }

  #read(
    shard: FakeShard,
    from: number,
    recordsMax: number,
  ): { readonly answer: ShardAnswer; readonly next: number } {
    const index = Math.max(from, this.#firstOf(shard))
    const records = shard.slice(index, recordsMax, this.#options.bytesMax)
    const next = index + records.length
    const isEnd = next >= shard.records.length
    return {
      next,
      answer: {
        records,
        millisBehindLatest: isEnd ? 0 : this.#options.clock.nowMs() - shard.records[next]!.arrivalMs,
        children:
          isEnd && shard.children !== null ? (this.#options.saysChildren ? shard.children : []) : null,
      },
    }
  }

  #firstOf(shard: FakeShard): number {
    return shard.firstIndex(this.#options.clock.nowMs(), this.#options.retentionMs)
  }

  #iterator(place: ShardPlace, index: number): string {
    const iterator = `iterator-${this.#iteratorNumber++}`
    this.#iterators.set(iterator, { place, index, madeMs: this.#options.clock.nowMs() })
    return iterator
  }

  #stream(stream: string): FakeStream {
    const known = this.#streams.get(stream)
    if (known === undefined) throw notFound(`stream ${stream}`)
    return known
  }

  #shard({ stream, shardId }: ShardPlace): FakeShard {
    const shard = this.#stream(stream).shards.find((shard) => shard.shardId === shardId)
    if (shard === undefined || this.#isGone(shard)) throw notFound(`shard ${shardId} of stream ${stream}`)
    return shard
  }

  /** A closed shard goes when its last record could have expired. */
  #isGone(shard: FakeShard): boolean {
    return shard.closedMs < this.#options.clock.nowMs() - this.#options.retentionMs
  }

  #addShard({ shards }: FakeStream, parents: readonly string[], range: HashRange): string {
    const shardId = `shardId-${String(shards.length).padStart(12, '0')}`
    shards.push(new FakeShard(shardId, parents, range, this.#nextSequence()))
    return shardId
  }

  #nextSequence(): string {
    return String((this.#sequence += 1n))
  }
}

function hashOf(partitionKey: string): bigint {
  return BigInt(`0x${createHash('md5').update(partitionKey).digest('hex')}`)
}

function streamOf(consumerArn: string): string {
  return /:stream\/([^/]+)\/consumer\//.exec(consumerArn)?.[1] ?? ''
}
