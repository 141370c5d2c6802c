import { PipelineError, unreachable } from '../errors.ts'
import type { Clock, Log } from '../ports.ts'
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
} from './api.ts'
import { ConsumerRegistration, streamOf } from './consumer-registration.ts'
import type { KinesisCounts } from './counts.ts'
import { StrangeAnswer } from './failure.ts'
import type { KinesisOptions } from './options.ts'
import { KinesisRequests } from './requests.ts'
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type GetShardIteratorInput,
  ListShardsCommand,
  type ListShardsInput,
  type PutRecordsResultEntry,
  PutRecordsCommand,
  type Shard,
  type StreamDescriptionSummary,
} from './sdk.ts'
import { openSubscription, type SubscriptionEvent } from './subscription.ts'
import { Waiting } from './waiting.ts'
import { wireRecord } from './wire-record.ts'

const HOUR_MS = 3_600_000
const KIBIBYTE = 1024

/** KinesisApi on the AWS SDK. `counts` gets the credentials that were refused after others had been good; whoever calls counts everything else. */
export class KinesisClientApi implements KinesisApi {
  readonly description: string
  readonly #requests: KinesisRequests
  readonly #waiting: Waiting
  readonly #registration: ConsumerRegistration

  /** @throws PipelineError OPTION_INVALID */
  constructor(
    options: KinesisOptions,
    world: { readonly clock: Clock; readonly log: Log },
    counts: KinesisCounts | null = null,
  ) {
    this.#requests = new KinesisRequests(options, world, counts)
    this.#waiting = new Waiting(world.clock)
    this.#registration = new ConsumerRegistration(this.#requests, this.#waiting)
    this.description = this.#requests.description
  }

  async describeStream(stream: string): Promise<StreamFacts> {
    const summary = await this.#summary(stream)
    if (summary.StreamStatus === 'CREATING') {
      throw new PipelineError('KINESIS_IN_USE', `stream ${stream} is being created`, { retryable: true })
    }
    if (summary.StreamStatus === 'DELETING') {
      throw new PipelineError('STREAM_NOT_FOUND', `stream ${stream} is being deleted`, {
        advice: 'Create it again when it is gone, or correct the name.',
      })
    }
    return factsOf(stream, summary)
  }

  async listShards(stream: string): Promise<readonly ShardFacts[]> {
    const shards: ShardFacts[] = []
    let input: ListShardsInput = { StreamName: stream }
    for (;;) {
      const { Shards = [], NextToken } = await this.#requests.send(
        { operation: 'ListShards', stream },
        (client) => client.send(new ListShardsCommand(input)),
      )
      shards.push(...Shards.map(shardFacts))
      if (NextToken === undefined) return shards
      // Kinesis takes no name beside a token.
      input = { NextToken }
    }
  }

  async shardIterator({ stream, shardId }: ShardPlace, start: ShardStart): Promise<string> {
    const command = new GetShardIteratorCommand({
      StreamName: stream,
      ShardId: shardId,
      ...iteratorStart(start),
    })
    const place = { operation: 'GetShardIterator', stream, shardId }
    return await this.#requests.send(place, async (client) => {
      const { ShardIterator } = await client.send(command)
      if (ShardIterator === undefined) throw new StrangeAnswer('no iterator')
      return ShardIterator
    })
  }

  async getRecords(
    iterator: string,
    recordsMax: number,
    place?: ShardPlace,
  ): Promise<ShardAnswer & { readonly nextIterator: string | null }> {
    const command = new GetRecordsCommand({ ShardIterator: iterator, Limit: recordsMax })
    const request = { operation: 'GetRecords', stream: place?.stream ?? '', ...place }
    return await this.#requests.send(request, async (client) => {
      const { Records, NextShardIterator, MillisBehindLatest, ChildShards } = await client.send(command)
      if (Records === undefined) throw new StrangeAnswer('no records, not even none')
      const hasEnded = NextShardIterator === undefined
      return {
        records: Records.map(wireRecord),
        nextIterator: NextShardIterator ?? null,
        millisBehindLatest: MillisBehindLatest ?? null,
        children: hasEnded ? (ChildShards ?? []).map(({ ShardId }) => ShardId ?? '') : null,
      }
    })
  }

  async putRecords(stream: string, entries: readonly PutEntry[]): Promise<readonly PutOutcome[]> {
    const command = new PutRecordsCommand({
      StreamName: stream,
      Records: entries.map(({ partitionKey, explicitHashKey, data }) => ({
        PartitionKey: partitionKey,
        Data: data,
        ...(explicitHashKey === undefined ? {} : { ExplicitHashKey: explicitHashKey }),
      })),
    })
    return await this.#requests.send({ operation: 'PutRecords', stream }, async (client) => {
      const { Records = [] } = await client.send(command)
      if (Records.length !== entries.length) {
        throw new StrangeAnswer(`${Records.length} outcomes for ${entries.length} records`)
      }
      return Records.map(putOutcome)
    })
  }

  registerConsumer(stream: StreamFacts, name: string): Promise<ConsumerFacts> {
    return this.#registration.register(stream, name)
  }

  deregisterConsumer(consumer: ConsumerFacts): Promise<void> {
    return this.#registration.deregister(consumer)
  }

  subscribe(
    consumer: ConsumerFacts,
    shardId: string,
    start: ShardStart,
    signal: AbortSignal,
  ): AsyncIterable<SubscriptionEvent> {
    const { name, arn } = consumer
    const place = { operation: 'SubscribeToShard', stream: streamOf(arn), shardId, consumer: name }
    return this.#requests.stream(place, (client) =>
      openSubscription(client, { consumerArn: arn, shardId, start, signal }),
    )
  }

  async createStream(stream: string, shards: number): Promise<void> {
    const create = new CreateStreamCommand({ StreamName: stream, ShardCount: shards })
    await this.#waiting.until(`stream ${stream}`, async () => {
      try {
        const { StreamStatus } = await this.#summary(stream)
        return StreamStatus === 'ACTIVE' || StreamStatus === 'UPDATING' ? true : null
      } catch (error) {
        if (!(error instanceof PipelineError) || error.code !== 'STREAM_NOT_FOUND') throw error
      }
      // Where another process creates it at the same time, one of them is told ResourceInUse, and both wait.
      await this.#requests.send({ operation: 'CreateStream', stream }, (client) => client.send(create))
      return null
    })
  }

  close(): void {
    this.#waiting.close()
    this.#requests.close()
  }

  async #summary(stream: string): Promise<StreamDescriptionSummary> {
    return await this.#requests.send({ operation: 'DescribeStreamSummary', stream }, async (client) => {
      const command = new DescribeStreamSummaryCommand({ StreamName: stream })
      const { StreamDescriptionSummary: summary } = await client.send(command)
      if (summary?.StreamCreationTimestamp === undefined || summary.StreamARN === undefined) {
        throw new StrangeAnswer('a stream without ARN or time of creation')
      }
      return summary
    })
  }
}

function factsOf(stream: string, summary: StreamDescriptionSummary): StreamFacts {
  return {
    stream,
    arn: summary.StreamARN ?? '',
    createdMs: summary.StreamCreationTimestamp?.getTime() ?? 0,
    retentionMs: (summary.RetentionPeriodHours ?? 24) * HOUR_MS,
    openShards: summary.OpenShardCount ?? 0,
    isOnDemand: summary.StreamModeDetails?.StreamMode === 'ON_DEMAND',
    recordBytesMax: (summary.MaxRecordSizeInKiB ?? KIBIBYTE) * KIBIBYTE,
  }
}

function shardFacts(shard: Shard): ShardFacts {
  const { ShardId, ParentShardId, AdjacentParentShardId, HashKeyRange, SequenceNumberRange } = shard
  return {
    shardId: ShardId ?? '',
    parents: [ParentShardId, AdjacentParentShardId].filter((parent) => parent !== undefined),
    isClosed: SequenceNumberRange?.EndingSequenceNumber !== undefined,
    startingSequenceNumber: SequenceNumberRange?.StartingSequenceNumber ?? '0',
    hashKeyStart: HashKeyRange?.StartingHashKey ?? '0',
    hashKeyEnd: HashKeyRange?.EndingHashKey ?? '0',
  }
}

function putOutcome(entry: PutRecordsResultEntry): PutOutcome {
  const { ShardId, SequenceNumber, ErrorCode, ErrorMessage } = entry
  return ShardId !== undefined && SequenceNumber !== undefined && ErrorCode === undefined
    ? { kind: 'stored', shardId: ShardId, sequenceNumber: SequenceNumber }
    : { kind: 'refused', code: ErrorCode ?? 'InternalFailure', message: ErrorMessage ?? '' }
}

function iteratorStart(
  start: ShardStart,
): Pick<GetShardIteratorInput, 'ShardIteratorType' | 'StartingSequenceNumber' | 'Timestamp'> {
  switch (start.kind) {
    case 'trim-horizon':
      return { ShardIteratorType: 'TRIM_HORIZON' }
    case 'latest':
      return { ShardIteratorType: 'LATEST' }
    case 'time':
      return { ShardIteratorType: 'AT_TIMESTAMP', Timestamp: new Date(start.timeMs) }
    case 'at':
      return { ShardIteratorType: 'AT_SEQUENCE_NUMBER', StartingSequenceNumber: start.sequenceNumber }
    case 'after':
      return { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: start.sequenceNumber }
    default:
      return unreachable(start)
  }
}
