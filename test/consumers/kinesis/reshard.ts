import { KinesisClient, SplitShardCommand } from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import type { KinesisApi } from '../../../src/kinesis/api.ts'
import { KINESIS_CREDENTIALS } from '../../parts/kinesis.ts'

/** In the middle of its hash keys. Resolves with the children when they are there. */
export async function splitShard(
  endpoint: string,
  api: Pick<KinesisApi, 'listShards'>,
  stream: string,
  shardId: string,
): Promise<readonly string[]> {
  const client = new KinesisClient({
    endpoint,
    region: 'us-east-1',
    credentials: KINESIS_CREDENTIALS,
    requestHandler: new NodeHttpHandler(),
  })
  try {
    const shard = (await api.listShards(stream)).find((known) => known.shardId === shardId)!
    const middle = (BigInt(shard.hashKeyStart) + BigInt(shard.hashKeyEnd) + 1n) / 2n
    await client.send(
      new SplitShardCommand({
        StreamName: stream,
        ShardToSplit: shardId,
        NewStartingHashKey: String(middle),
      }),
    )
    for (;;) {
      const shards = await api.listShards(stream)
      const children = shards.filter(({ parents }) => parents.includes(shardId)).map((child) => child.shardId)
      if (children.length === 2) return children.sort()
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  } finally {
    client.destroy()
  }
}
