/**
 * What of Amazon Kinesis Data Streams is used, one request for each call: no tries of its own, no waiting for limits. All calls throw PipelineError with one of
 * these codes, of which the retryable ones say that waiting mends it:
 *
 * - KINESIS_THROTTLED (retryable): ProvisionedThroughputExceeded, LimitExceeded, a KMS throttle.
 * - KINESIS_ITERATOR_EXPIRED (retryable): an iterator older than five minutes; ask for another one.
 * - KINESIS_IN_USE (retryable): ResourceInUse: a consumer that is still being registered, a stream that is being changed, a shard that somebody else has subscribed to
 *   less than five seconds ago.
 * - KINESIS_UNAVAILABLE (retryable, unless nobody has ever answered at an address that does not exist or cannot be trusted): no connection, a lost one, no answer in time, an internal failure, an answer that cannot be read.
 * - KINESIS_CREDENTIALS (retryable where there were good ones before: they rotate): none found, expired, wrong.
 * - STREAM_NOT_FOUND: no such stream, consumer or shard.
 * - KINESIS_FORBIDDEN: AccessDenied; the advice names the IAM action.
 * - KINESIS_REFUSED: any other refusal (InvalidArgument, Validation): the message is that of Kinesis.
 * - REGION_MISSING: neither an option, the environment nor a profile names one.
 */
export interface KinesisApi {
  /** For people: 'Kinesis in eu-west-1', 'Kinesis at http://127.0.0.1:4567'. */
  readonly description: string
  describeStream(stream: string): Promise<StreamFacts>
  /** All shards that the stream still has, closed ones too, page by page. */
  listShards(stream: string): Promise<readonly ShardFacts[]>
  shardIterator(place: ShardPlace, start: ShardStart): Promise<string>
  /** At most `recordsMax` (10,000) records, and 10 MB. `place` is that of the iterator, for the messages of errors. */
  getRecords(
    iterator: string,
    recordsMax: number,
    place?: ShardPlace,
  ): Promise<ShardAnswer & { readonly nextIterator: string | null }>
  /** At most 500 entries, 10 MB. The outcome of each, in their order. */
  putRecords(stream: string, entries: readonly PutEntry[]): Promise<readonly PutOutcome[]>
  /** The consumer of that name, registered where it is not there; resolves when it is ACTIVE. */
  registerConsumer(stream: StreamFacts, name: string): Promise<ConsumerFacts>
  deregisterConsumer(consumer: ConsumerFacts): Promise<void>
  /**
   * Enhanced fan-out: events as they come, for five minutes at most. Ends by itself then, or when the shard has ended; throws as above, also in the middle. Leaving the
   * loop, or aborting, lets the subscription go.
   */
  subscribe(
    consumer: ConsumerFacts,
    shardId: string,
    start: ShardStart,
    signal: AbortSignal,
  ): AsyncIterable<ShardAnswer & { readonly continuationSequenceNumber: string | null }>
  /** Where it is missing; resolves when it is ACTIVE. */
  createStream(stream: string, shards: number): Promise<void>
  close(): void
}

export interface StreamFacts {
  readonly stream: string
  readonly arn: string
  /** In milliseconds since 1970: tells one stream from another of the same name. */
  readonly createdMs: number
  readonly retentionMs: number
  readonly openShards: number
  readonly isOnDemand: boolean
  /** 1 MiB unless the stream was set to take larger ones. Of data and partition key. */
  readonly recordBytesMax: number
}

export interface ShardFacts {
  /** 'shardId-000000000003'. */
  readonly shardId: string
  /** Those that it was split or merged from, at most two; they may be gone. */
  readonly parents: readonly string[]
  /** Closed: no record will be added. */
  readonly isClosed: boolean
  readonly startingSequenceNumber: string
  /** Of partition keys' MD5, both inclusive, decimal. */
  readonly hashKeyStart: string
  readonly hashKeyEnd: string
}

export interface ShardPlace {
  readonly stream: string
  readonly shardId: string
}

/** Where to begin in a shard. `at` includes the record, `after` does not. */
export type ShardStart =
  | { readonly kind: 'trim-horizon' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'time'; readonly timeMs: number }
  | { readonly kind: 'at' | 'after'; readonly sequenceNumber: string }

export interface WireRecord {
  readonly sequenceNumber: string
  /** ApproximateArrivalTimestamp. */
  readonly arrivalMs: number
  readonly partitionKey: string
  readonly data: Uint8Array
}

export interface ShardAnswer {
  readonly records: readonly WireRecord[]
  /** How far behind the tip of the shard the answer ends; 0 at the tip. Null where the server does not say. */
  readonly millisBehindLatest: number | null
  /** Not null: the shard has ended with this answer. Those that follow it, [] where the server does not say which. */
  readonly children: readonly string[] | null
}

export interface ConsumerFacts {
  readonly name: string
  readonly arn: string
}

export interface PutEntry {
  readonly partitionKey: string
  /** Decides the shard in place of the partition key; decimal. */
  readonly explicitHashKey?: string
  readonly data: Uint8Array
}

export type PutOutcome =
  | { readonly kind: 'stored'; readonly shardId: string; readonly sequenceNumber: string }
  /** 'ProvisionedThroughputExceededException', 'InternalFailure', …: to be put again. */
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
