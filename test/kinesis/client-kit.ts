import { randomBytes } from 'node:crypto'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { KinesisClientApi } from '../../src/kinesis/client.ts'
import { KinesisCounts } from '../../src/kinesis/counts.ts'
import type { KinesisOptions } from '../../src/kinesis/options.ts'
import {
  DescribeStreamSummaryCommand,
  KinesisClient,
  MergeShardsCommand,
  SplitShardCommand,
  UpdateShardCountCommand,
} from '../../src/kinesis/sdk.ts'
import { systemClock } from '../../src/runtime/system.ts'
import { KINESIS_CREDENTIALS } from '../parts/kinesis.ts'
import { SILENT } from '../support/world.ts'

/** A stand-in keeps the streams of each region to themselves. */
const REGION = 'eu-west-1'

export interface TestClient {
  readonly api: KinesisClientApi
  readonly counts: KinesisCounts
}

export function clientOf(endpoint: string, options: KinesisOptions = {}): TestClient {
  const counts = new KinesisCounts()
  const api = new KinesisClientApi(
    { endpoint, region: REGION, credentials: KINESIS_CREDENTIALS, requestTimeoutMs: 5_000, ...options },
    { clock: systemClock, log: SILENT },
    counts,
  )
  return { api, counts }
}

/** A stream that no other test has. */
export async function freshStream(api: KinesisClientApi, shards = 1): Promise<string> {
  const stream = `test-${randomBytes(6).toString('hex')}`
  await api.createStream(stream, shards)
  return stream
}

export interface Resharder {
  /** In the middle. */
  readonly split: (stream: string, shardId: string) => Promise<void>
  readonly merge: (stream: string, shardId: string, adjacentId: string) => Promise<void>
  readonly close: () => void
  /** To so many open shards, as on-demand streams do it by themselves. */
  scale(stream: string, shards: number): Promise<void>
}

/** Whoever scales a stream while it is read. Resolves when the new shards are there. */
export function resharder(endpoint: string, region = REGION): Resharder {
  const client = new KinesisClient({
    endpoint,
    region,
    credentials: KINESIS_CREDENTIALS,
    // The SDK's own choice is HTTP/2, which stand-ins do not speak.
    requestHandler: new NodeHttpHandler(),
  })
  const { api } = clientOf(endpoint, { region })
  const untilActive = async (stream: string): Promise<void> => {
    const describe = new DescribeStreamSummaryCommand({ StreamName: stream })
    for (;;) {
      const { StreamDescriptionSummary } = await client.send(describe)
      if (StreamDescriptionSummary?.StreamStatus === 'ACTIVE') return
      await systemClock.sleep(50)
    }
  }
  return {
    split: async (stream, shardId) => {
      const shard = (await api.listShards(stream)).find((known) => known.shardId === shardId)!
      const middle = (BigInt(shard.hashKeyStart) + BigInt(shard.hashKeyEnd) + 1n) / 2n
      await client.send(
        new SplitShardCommand({
          StreamName: stream,
          ShardToSplit: shardId,
          NewStartingHashKey: String(middle),
        }),
      )
      await untilActive(stream)
    },
    merge: async (stream, shardId, adjacentId) => {
      await client.send(
        new MergeShardsCommand({
          StreamName: stream,
          ShardToMerge: shardId,
          AdjacentShardToMerge: adjacentId,
        }),
      )
      await untilActive(stream)
    },
    scale: async (stream, shards) => {
      await client.send(
        new UpdateShardCountCommand({
          StreamName: stream,
          TargetShardCount: shards,
          ScalingType: 'UNIFORM_SCALING',
        }),
      )
      await untilActive(stream)
    },
    close: () => {
      client.destroy()
      api.close()
    },
  }
}
