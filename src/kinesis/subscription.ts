import { unreachable } from '../errors.ts'
import type { ShardAnswer, ShardStart } from './api.ts'
import { type KinesisClient, type StartingPosition, SubscribeToShardCommand } from './sdk.ts'
import { wireRecord } from './wire-record.ts'

export interface SubscriptionRequest {
  readonly consumerArn: string
  readonly shardId: string
  readonly start: ShardStart
  readonly signal: AbortSignal
}

export type SubscriptionEvent = ShardAnswer & { readonly continuationSequenceNumber: string | null }

/**
 * `KinesisApi.subscribe` on the SDK's client (whose `requestHandler` is that of transport.ts): one subscription, from its request to its end, which Kinesis puts after five
 * minutes. Ends also when the signal aborts. Throws what the SDK throws, in the middle too, where Kinesis sends errors as events: the caller says what they mean.
 * Nothing is read ahead: an event that nobody asks for stays on the wire, and holds Kinesis back.
 */
export async function* openSubscription(
  client: KinesisClient,
  { consumerArn, shardId, start, signal }: SubscriptionRequest,
): AsyncGenerator<SubscriptionEvent, void, undefined> {
  // The SDK's iterables do not let go of the connection when the loop over them is left: aborting does.
  const release = new AbortController()
  const abortSignal = AbortSignal.any([signal, release.signal])
  try {
    const answer = await client.send(
      new SubscribeToShardCommand({
        ConsumerARN: consumerArn,
        ShardId: shardId,
        StartingPosition: startingPosition(start),
      }),
      { abortSignal },
    )
    for await (const { SubscribeToShardEvent: event } of answer.EventStream ?? []) {
      if (signal.aborted) return
      // A kind of event that is younger than this program.
      if (event === undefined) continue
      const continuation = event.ContinuationSequenceNumber || null
      const children = event.ChildShards?.map((child) => child.ShardId ?? '') ?? []
      yield {
        records: (event.Records ?? []).map(wireRecord),
        millisBehindLatest: event.MillisBehindLatest ?? null,
        // At the end of a shard there is no continuation, and Kinesis names the children. An empty list beside a continuation is no end.
        children: children.length > 0 || continuation === null ? children : null,
        continuationSequenceNumber: continuation,
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    release.abort()
  }
}

function startingPosition(start: ShardStart): StartingPosition {
  switch (start.kind) {
    case 'trim-horizon':
      return { Type: 'TRIM_HORIZON' }
    case 'latest':
      return { Type: 'LATEST' }
    case 'time':
      return { Type: 'AT_TIMESTAMP', Timestamp: new Date(start.timeMs) }
    case 'at':
      return { Type: 'AT_SEQUENCE_NUMBER', SequenceNumber: start.sequenceNumber }
    case 'after':
      return { Type: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: start.sequenceNumber }
    default:
      return unreachable(start)
  }
}
