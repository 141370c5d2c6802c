import { PipelineError } from '../../src/errors.ts'

export function streamRecreated(stream: string, wasMs: number, isMs: number): PipelineError {
  return new PipelineError(
    'STREAM_RECREATED',
    `stream ${stream} was deleted and created again: it was created at ${instant(isMs)}, and the pipeline has read one of ${instant(wasMs)}`,
    {
      advice:
        'Positions in the old stream mean nothing in the new one. --fresh begins again with the new stream and removes from the tables what came from the old one; to keep that, give the pipeline another name, or another lake.',
    },
  )
}

/** What the lake knows is of another stream. */
export function streamChanged(stream: string, was: string): PipelineError {
  return new PipelineError(
    'STREAM_CHANGED',
    `the pipeline has read stream ${was}, and stream ${stream} is given to it`,
    {
      advice: `Give it stream ${was} again. --fresh begins again with ${stream} and removes from the tables what came from ${was}; to keep that, give the pipeline another name, or another lake.`,
    },
  )
}

/** Kinesis says nothing of what it has deleted: this goes by the clock. */
export function positionExpired(where: string, asOfMs: number, horizonMs: number): PipelineError {
  return new PipelineError(
    'POSITION_EXPIRED',
    `${where}: the pipeline has read what arrived until ${instant(asOfMs)}, and the stream keeps what arrived since ${instant(horizonMs)}: what lies between may be gone`,
    {
      advice:
        'Retention may have deleted records that were not read yet. To go on without them: --accept-loss (acceptLoss: true). Have the stream keep its records for longer than the pipeline may stand still: aws kinesis increase-stream-retention-period.',
    },
  )
}

/** Closed, and so old that Kinesis has forgotten it. */
export function shardGone(where: string, asOfMs: number): PipelineError {
  return new PipelineError(
    'POSITION_EXPIRED',
    `${where}: Kinesis does not have this shard any more, and the pipeline has read it only until ${instant(asOfMs)}`,
    {
      advice:
        'A closed shard is gone when its last record is older than the retention of the stream. To go on with the shards that followed it: --accept-loss (acceptLoss: true).',
    },
  )
}

/** Said where the loss is accepted. */
export const LOSS_ACCEPTED =
  'retention may have deleted records that were not read: they are lost, as accepted'

export function instant(timeMs: number): string {
  return new Date(timeMs).toISOString()
}
