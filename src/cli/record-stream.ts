import { kinesis } from '../../consumers/kinesis/index.ts'
import { decideRoots } from '../../consumers/kinesis/lineage.ts'
import { taskOfShard } from '../../consumers/kinesis/shard-task.ts'
import { directoryRegistry } from '../../consumers/registry/index.ts'
import type { KinesisApi } from '../kinesis/api.ts'
import { systemClock, systemEntropy } from '../runtime/system.ts'
import { kinesisPlace, type NamedStream } from './kinesis-place.ts'
import { openKinesis } from './open-kinesis.ts'
import type { RecordRun } from './record-topic.ts'
import { captureStream } from './stream-capture.ts'

/** To be imported when it is needed: the AWS client takes its time to load. */
export async function recordStream(named: NamedStream, run: RecordRun): Promise<void> {
  const { from, untilEnd, signal, log, write, follows } = run
  const { stream } = named
  const world = { clock: systemClock, entropy: systemEntropy, log, acceptLoss: false }
  const api = openKinesis(named, log)
  const binding = kinesis({ ...kinesisPlace(named), stream, from, registry: directoryRegistry('.') })
  const source = binding.open(world)
  try {
    const roots = await rootsOf(api, stream, from)
    await captureStream({ source, clock: systemClock, signal, roots, untilEnd, write, follows })
  } finally {
    api.close()
    await source.close()
  }
}

/** Of 'earliest' and a time all shards that are listed, of 'latest' those that are open: as a new pipeline begins. */
export async function rootsOf(
  api: KinesisApi,
  stream: string,
  from: RecordRun['from'],
): Promise<ReadonlySet<string>> {
  const { createdMs } = await api.describeStream(stream)
  const shards = await api.listShards(stream)
  const nowMs = systemClock.nowMs()
  const { begin } = decideRoots({ stream, createdMs, shards, from, known: new Set(), nowMs })
  return new Set([...begin.keys()].map((shardId) => taskOfShard(stream, shardId)))
}
