import { PipelineError } from '../../src/errors.ts'
import type { KinesisApi, PutOutcome } from '../../src/kinesis/api.ts'
import type { KinesisCounts } from '../../src/kinesis/counts.ts'
import type { SourceWorld } from '../../src/ports.ts'
import type { PutQueue } from './put-queue.ts'
import type { PutReport } from './put-report.ts'

export interface PutWorld {
  readonly api: KinesisApi
  readonly counts: KinesisCounts
  readonly report: PutReport
  readonly world: Pick<SourceWorld, 'clock' | 'entropy' | 'log'>
}

const PAUSE_MS_MIN = 50
/** After a second a shard takes as much as it takes in a second; to wait for longer would waste that. */
const PAUSE_MS_MAX = 1_000
/** So long nothing at all is stored: then the caller is told, who tells the user, and comes back. */
const STANDSTILL_MS_MAX = 10_000
const THROTTLED = /Throughput|Throttling|LimitExceeded/

/**
 * Puts all that a queue has into a stream, a request at a time; again whatever was refused, and whatever nobody knows of. What is stored stays off the queue when it
 * throws: the same call goes on from there. Throws as KinesisApi does.
 */
export async function putAll(
  stream: string,
  queue: PutQueue,
  { api, counts, report, world }: PutWorld,
): Promise<void> {
  const { clock, entropy } = world
  let pauseMs = PAUSE_MS_MIN
  let progressMs = clock.nowMs()
  while (queue.left > 0) {
    const before = queue.left
    const { asked, failure } = await putNext(stream, queue, api, counts)
    const stored = before - queue.left
    if (stored > 0) progressMs = clock.nowMs()
    // A shard that takes a few of many is full.
    if (stored * 2 > asked) pauseMs = PAUSE_MS_MIN
    if (failure === null) continue
    report.counted()
    if (!failure.retryable || clock.nowMs() - progressMs >= STANDSTILL_MS_MAX) throw failure
    world.log.debug({ stream, left: queue.left, error: failure.message }, 'puts records again')
    await clock.sleep(pauseMs * (0.5 + entropy.random()))
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)
  }
}

interface Put {
  readonly asked: number
  /** Null where all of the request is stored. */
  readonly failure: PipelineError | null
}

async function putNext(
  stream: string,
  queue: PutQueue,
  api: KinesisApi,
  counts: KinesisCounts,
): Promise<Put> {
  const batch = queue.next()
  const asked = batch.entries.length
  let outcomes: readonly PutOutcome[]
  try {
    outcomes = await api.putRecords(stream, batch.entries)
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    countFailure(error, counts)
    // Some of them may be stored, or all. They are put again all the same: their ids tell.
    return { asked, failure: error }
  }
  const refused = queue.settle(batch, outcomes)
  const [first] = refused
  if (first === undefined) return { asked, failure: null }
  const throttled = refused.filter(({ code }) => THROTTLED.test(code)).length
  if (throttled > 0) counts.add('throttled', throttled)
  if (throttled < refused.length) counts.add('lostConnections', refused.length - throttled)
  const failure = new PipelineError(
    throttled > 0 ? 'KINESIS_THROTTLED' : 'KINESIS_UNAVAILABLE',
    `stream ${stream} has refused ${refused.length} of ${asked} records: ${first.code} (${first.message})`,
    {
      retryable: true,
      advice:
        throttled > 0
          ? 'Give the stream more shards, or make it on-demand: a shard takes 1,000 records and 1 MB a second, of all who write to it.'
          : 'Kinesis has a failure: they are put again.',
    },
  )
  return { asked, failure }
}

/** The client counts credentials by itself. */
function countFailure({ code }: PipelineError, counts: KinesisCounts): void {
  if (code === 'KINESIS_THROTTLED') counts.add('throttled')
  if (code === 'KINESIS_IN_USE') counts.add('inUse')
  if (code === 'KINESIS_UNAVAILABLE') counts.add('lostConnections')
}
