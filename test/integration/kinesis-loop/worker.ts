/** One of the processes that the loop starts, stops and kills. Everything it needs is in its environment. */
import { kinesis } from '../../../consumers/kinesis/index.ts'
import { confluentRegistry } from '../../../consumers/registry/index.ts'
import { kinesisStreams } from '../../../sinks/kinesis/index.ts'
import { s3 } from '../../../sinks/s3/index.ts'
import { millis, run, seconds } from '../../../src/index.ts'
import { untilEnd } from '../loop-end.ts'
import loop from '../kafka-loop/events.ts'

const { LOOP_KINESIS = '', LOOP_REGISTRY = '', LOOP_BUCKET = '', LOOP_FLUSH_MS = '1000' } = process.env
const { LOOP_FAN_OUT = '' } = process.env
const registry = confluentRegistry({ url: LOOP_REGISTRY })
const place = { region: 'us-east-1', endpoint: LOOP_KINESIS, requestTimeoutMs: 5_000 }

await untilEnd(
  run(loop, {
    source: kinesis({
      ...place,
      stream: 'events',
      registry,
      refreshEvery: seconds(2),
      leases: { heartbeatMs: 500, ttlMs: 4_000, releaseMs: 10_000 },
      ...(LOOP_FAN_OUT === '' ? {} : { fanOut: { consumer: LOOP_FAN_OUT } }),
    }),
    lake: s3({ bucket: LOOP_BUCKET, prefix: 'lake', requestTimeoutMs: 5_000 }),
    topics: kinesisStreams({ ...place, registry }),
    flush: { every: millis(Number(LOOP_FLUSH_MS)) },
    stopWithin: seconds(60),
  }),
)
