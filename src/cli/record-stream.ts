import { kinesis } from '../../consumers/kinesis/index.ts'
import { directoryRegistry } from '../../consumers/registry/index.ts'
import { systemClock, systemEntropy } from '../runtime/system.ts'
import { kinesisPlace, type NamedStream } from './kinesis-place.ts'
import { openKinesis } from './open-kinesis.ts'
import type { RecordRun } from './record-topic.ts'
import { captureStream } from './stream-capture.ts'
import { streamStarts } from './stream-starts.ts'

/** To be imported when it is needed: the AWS client takes its time to load. */
export async function recordStream(named: NamedStream, run: RecordRun): Promise<void> {
  const { from, untilEnd, signal, log, write } = run
  const { stream } = named
  const world = { clock: systemClock, entropy: systemEntropy, log, acceptLoss: false }
  const api = openKinesis(named, log)
  const binding = kinesis({ ...kinesisPlace(named), stream, registry: directoryRegistry('.') })
  const source = binding.open(world)
  try {
    const facts = await api.describeStream(stream)
    const starts = streamStarts(facts, await api.listShards(stream), from, systemClock.nowMs())
    await captureStream({ source, clock: systemClock, signal, starts, untilEnd, write })
  } finally {
    api.close()
    await source.close()
  }
}
