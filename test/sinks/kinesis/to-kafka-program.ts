import {
  boundedOutOfOrderness,
  bronze,
  gold,
  millis,
  pipeline,
  stream,
  topic,
  tumbling,
} from '../../../src/index.ts'
import type { PipelineSpec } from '../../../src/topology/node.ts'
import { Reading } from '../../support/reading.ts'

/** Readings of a stream, and what becomes of them: counts by sensor and window. */
export function programOf(results: string): PipelineSpec {
  const readings = stream('readings', Reading, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(millis(5)),
  })
  const counts = readings
    .keyBy('sensor')
    .window(tumbling(millis(20)), { allowedLateness: millis(0) })
    .aggregate('counts', ({ count, sum }) => ({ rows: count(), total: sum('value') }))
  return pipeline({
    name: 'shards',
    tables: [bronze('readings', readings), gold('counts', counts, { revisions: 'all' })],
    topics: [topic(results, counts)],
    circuitBreaker: false,
  })
}
