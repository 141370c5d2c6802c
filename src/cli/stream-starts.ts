import { decideRoots } from '../../consumers/kinesis/lineage.ts'
import { encodeKinesisPosition } from '../../consumers/kinesis/position.ts'
import { taskOfShard } from '../../consumers/kinesis/shard-task.ts'
import type { ShardFacts, StreamFacts } from '../kinesis/api.ts'

/** Which shards of a stream a command begins with, and where, by the ids of their tasks: as a new pipeline would. @throws PipelineError OPTION_INVALID */
export function streamStarts(
  { stream, createdMs }: StreamFacts,
  shards: readonly ShardFacts[],
  from: 'earliest' | 'latest' | Date,
  nowMs: number,
): ReadonlyMap<string, string> {
  const { begin } = decideRoots({ stream, createdMs, shards, from, known: new Set(), nowMs })
  const positions = [...begin].map(([shardId, place]) => {
    const position = encodeKinesisPosition({ createdMs, place, offset: 0, asOfMs: nowMs })
    return [taskOfShard(stream, shardId), position] as const
  })
  return new Map(positions)
}
