import type { OutgoingHttpHeaders } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventMessage, exceptionMessage } from './event-stream.ts'

/** In milliseconds; those of Kinesis, unless a test is in a hurry. */
export interface FanOutServerTimes {
  /** A subscription ends by itself after this. */
  readonly subscriptionMs: number
  /** Who has subscribed keeps the shard for so long. */
  readonly heldMs: number
  /** An event without records where nothing has come for so long. */
  readonly quietMs: number
  /** Between two looks into the stand-in. */
  readonly pollMs: number
}

/** What becomes of one subscription. After so many events that were sent as they should be. */
export type SubscriptionFault =
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'exception'; readonly afterEvents: number; readonly code: string }
  /** In the middle of an event the connection is gone. */
  | { readonly kind: 'cut'; readonly afterEvents: number }
  /** In the middle of an event the answer ends, as if that were all. */
  | { readonly kind: 'truncated'; readonly afterEvents: number }
  /** HTTP/2: the stream is reset; HTTP/1.1: as 'cut'. */
  | { readonly kind: 'reset'; readonly afterEvents: number }
  /** HTTP/2: the session ends with an error; HTTP/1.1: as 'cut'. */
  | { readonly kind: 'goaway'; readonly afterEvents: number }
  /** Nothing more comes, and the connection stays. */
  | { readonly kind: 'silence'; readonly afterEvents: number }
  | { readonly kind: 'end'; readonly afterEvents: number }

export interface SeenSubscription {
  readonly shardId: string
  /** 'AFTER_SEQUENCE_NUMBER', … */
  readonly from: string
  readonly httpVersion: string
  /** How many of this shard came before. */
  readonly index: number
}

export interface SubscribeRequest {
  readonly ConsumerARN: string
  readonly ShardId: string
  readonly StartingPosition: StartingPosition
}

interface StartingPosition {
  readonly Type: string
  readonly SequenceNumber?: string
  readonly Timestamp?: number
}

/** What is used of the stand-in's answers. */
interface AnswerBody {
  readonly ConsumerDescription?: { readonly ConsumerStatus: string }
  readonly ShardIterator?: string
  readonly Records?: readonly { readonly SequenceNumber: string }[]
  readonly NextShardIterator?: string | null
  readonly MillisBehindLatest?: number
  readonly Shards?: readonly StandInShard[]
}

interface StandInShard {
  readonly ShardId: string
  readonly ParentShardId?: string | null
  readonly AdjacentParentShardId?: string | null
  readonly HashKeyRange: object
  readonly SequenceNumberRange: { readonly StartingSequenceNumber: string }
}

export interface Answer {
  readonly status: number
  readonly body: AnswerBody | { readonly __type: string; readonly message: string }
}

export type Call = (operation: string, body: object) => Promise<{ status: number; body: AnswerBody }>

/** Somebody who has asked. */
export interface Exchange {
  readonly response: Response
  /** To the stand-in. */
  readonly call: Call
  /** Ends the connection as it is. */
  readonly hangUp: () => void
}

/** Of HTTP/1.1, and of HTTP/2, where it has a stream. */
export interface Response extends Writable {
  writeHead(status: number, headers: OutgoingHttpHeaders): unknown
  readonly stream?: ServerHttp2Stream
}

/** Of one event. */
const RECORDS_MAX = 200

/**
 * SubscribeToShard as Kinesis documents it, from what a stand-in answers to GetRecords: subscriptions end by themselves, or with the shard, which stand-ins do not tell; who comes
 * within five seconds is refused, who comes later takes over; what an event without records gives as its continuation is the number of no record.
 */
export class FanOutServer {
  readonly #times: FanOutServerTimes
  readonly #held = new Map<string, { readonly atMs: number; isTaken: boolean }>()
  /** What continuations mean that are numbers of no record. */
  readonly #places = new Map<string, StartingPosition>()

  constructor(times: FanOutServerTimes) {
    this.#times = times
  }

  async serve(
    exchange: Exchange,
    { ConsumerARN: arn, ShardId: shardId, StartingPosition: start }: SubscribeRequest,
    faultFor: () => SubscriptionFault | null,
  ): Promise<void> {
    const { call, response } = exchange
    const consumer = await call('DescribeStreamConsumer', { ConsumerARN: arn })
    if (consumer.status !== 200) return reply(response, consumer)
    if (consumer.body.ConsumerDescription?.ConsumerStatus !== 'ACTIVE') {
      return refuse(response, 'ResourceInUseException')
    }
    const key = `${arn} ${shardId}`
    const nowMs = performance.now()
    const holder = this.#held.get(key)
    if (holder !== undefined && nowMs - holder.atMs < this.#times.heldMs) {
      return refuse(response, 'ResourceInUseException')
    }
    const fault = faultFor()
    if (fault?.kind === 'refused') return refuse(response, fault.code)
    const mine = { atMs: nowMs, isTaken: false }
    this.#held.set(key, mine)
    const stream = /:stream\/([^/]+)\//.exec(arn)![1]!
    const asked = this.#places.get(start.SequenceNumber ?? '') ?? start
    const iterator = await call('GetShardIterator', {
      StreamName: stream,
      ShardId: shardId,
      ShardIteratorType: asked.Type,
      ...(asked.SequenceNumber === undefined ? {} : { StartingSequenceNumber: asked.SequenceNumber }),
      ...(asked.Timestamp === undefined ? {} : { Timestamp: asked.Timestamp }),
    })
    if (iterator.status !== 200) {
      this.#held.delete(key)
      return reply(response, iterator)
    }
    if (holder !== undefined) holder.isTaken = true

    response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' })
    await write(response, eventMessage('initial-response', {}))
    const shard = (await shardsOf(call, stream)).find((known) => known.ShardId === shardId)
    const first: string = start.SequenceNumber ?? shard!.SequenceNumberRange.StartingSequenceNumber
    await this.#send(
      new Sending(call, stream, shardId, iterator.body.ShardIterator!, asked, BigInt(first)),
      exchange,
      fault,
      mine,
    )
  }

  async #send(
    sending: Sending,
    exchange: Exchange,
    fault: SubscriptionFault | null,
    mine: { readonly atMs: number; readonly isTaken: boolean },
  ): Promise<void> {
    const { subscriptionMs, quietMs, pollMs } = this.#times
    const { response } = exchange
    let sentMs = performance.now()
    for (let events = 0; !isGone(response); ) {
      if (mine.isTaken) return end(response, exceptionMessage('ResourceInUseException', 'taken over'))
      if (performance.now() - mine.atMs >= subscriptionMs) return end(response)
      const event = await sending.next()
      if (event === null || (event.isQuiet && performance.now() - sentMs < quietMs)) {
        await sleep(pollMs)
        continue
      }
      if (event.isQuiet) this.#places.set(event.continuation, event.place)
      const message = eventMessage('SubscribeToShardEvent', event.body)
      if (fault !== null && 'afterEvents' in fault && events === fault.afterEvents) {
        return await breakOff(fault, exchange, message)
      }
      await write(response, message)
      sentMs = performance.now()
      events++
      if (event.isLast) return end(response)
    }
  }
}

interface ServedEvent {
  readonly body: object
  readonly isQuiet: boolean
  readonly isLast: boolean
  readonly continuation: string
  /** What the continuation means to the stand-in. */
  readonly place: StartingPosition
}

/** How far one subscription has come in the stand-in. */
class Sending {
  readonly #call: Call
  readonly #stream: string
  readonly #shardId: string
  #iterator: string
  #place: StartingPosition
  #number: bigint

  constructor(
    call: Call,
    stream: string,
    shardId: string,
    iterator: string,
    place: StartingPosition,
    number: bigint,
  ) {
    this.#call = call
    this.#stream = stream
    this.#shardId = shardId
    this.#iterator = iterator
    this.#place = place.Type === 'LATEST' ? { Type: 'AT_TIMESTAMP', Timestamp: Date.now() / 1000 } : place
    this.#number = number
  }

  /** Null where the stand-in does not answer as it should. */
  async next(): Promise<ServedEvent | null> {
    const { status, body } = await this.#call('GetRecords', {
      ShardIterator: this.#iterator,
      Limit: RECORDS_MAX,
    })
    if (status !== 200) return null
    const records = body.Records ?? []
    const last = records.at(-1)?.SequenceNumber
    const next = body.NextShardIterator ?? null
    const isLast = next === null
    if (next !== null) this.#iterator = next
    if (last !== undefined) this.#place = { Type: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: last }
    this.#number = last === undefined ? this.#number + 1n : BigInt(last)
    const continuation = String(this.#number)
    return {
      body: {
        Records: records,
        MillisBehindLatest: body.MillisBehindLatest ?? 0,
        ...(isLast ? { ChildShards: await this.#children() } : { ContinuationSequenceNumber: continuation }),
      },
      isQuiet: records.length === 0 && !isLast,
      isLast,
      continuation,
      place: this.#place,
    }
  }

  async #children(): Promise<readonly object[]> {
    const shards = await shardsOf(this.#call, this.#stream)
    return shards
      .map((shard) => ({ shard, parents: parentsOf(shard) }))
      .filter(({ parents }) => parents.includes(this.#shardId))
      .map(({ shard, parents }) => ({
        ShardId: shard.ShardId,
        ParentShards: parents,
        HashKeyRange: shard.HashKeyRange,
      }))
  }
}

function parentsOf({ ParentShardId, AdjacentParentShardId }: StandInShard): readonly string[] {
  return [ParentShardId, AdjacentParentShardId].filter((id) => typeof id === 'string')
}

async function shardsOf(call: Call, stream: string): Promise<readonly StandInShard[]> {
  const { body } = await call('ListShards', { StreamName: stream })
  return body.Shards ?? []
}

async function breakOff(
  fault: SubscriptionFault,
  { response, hangUp }: Exchange,
  message: Buffer,
): Promise<void> {
  const half = message.subarray(0, message.length / 2)
  switch (fault.kind) {
    case 'exception':
      return end(response, exceptionMessage(fault.code, 'said the front'))
    case 'truncated':
      return end(response, half)
    case 'silence':
      return
    case 'end':
      return end(response)
    case 'reset':
    case 'goaway':
    case 'cut': {
      await write(response, half)
      const { stream } = response
      if (stream === undefined || fault.kind === 'cut') hangUp()
      else if (fault.kind === 'reset') stream.close(INTERNAL_ERROR)
      else stream.session?.destroy(undefined, INTERNAL_ERROR)
      return
    }
    case 'refused':
      return
  }
}

/** Of HTTP/2. */
const INTERNAL_ERROR = 2

function isGone(response: Response): boolean {
  return response.destroyed || response.closed
}

/** Waits while the reader does not read: flow control of HTTP/2, or of TCP. */
async function write(response: Response, bytes: Buffer): Promise<void> {
  if (isGone(response)) return
  if (response.write(bytes)) return
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}

function end(response: Response, bytes?: Buffer): void {
  if (isGone(response)) return
  response.end(bytes)
}

export function reply(response: Response, { status, body }: Answer): void {
  if (isGone(response)) return
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
  end(response, Buffer.from(JSON.stringify(body)))
}

function refuse(response: Response, code: string): void {
  reply(response, { status: 400, body: { __type: code, message: 'said the front' } })
}
