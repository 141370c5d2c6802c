import {
  boundedOutOfOrderness,
  bronze,
  days,
  gold,
  type PipelineSpec,
  pipeline,
  seconds,
  stream,
  topic,
  tumbling,
} from '../../../src/index.ts'
import { avroSchema } from '../../../src/topology/schema.ts'

export interface Reading {
  readonly sensor: string
  readonly at: number
}

export interface ReadingKinds {
  readonly sensor: 'string'
  readonly at: 'timestamp-millis'
}

export const READING_SCHEMA = {
  type: 'record',
  name: 'Reading',
  fields: [
    { name: 'sensor', type: 'string' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
  ],
} as const

export const READING = avroSchema<Reading, ReadingKinds>(READING_SCHEMA)

/** `results` is a topic, or empty. */
export function sensors(name: string, results: string): PipelineSpec {
  const readings = stream('readings', READING, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(seconds(1), { futureLimit: days(36_500) }),
  })
  const counts = readings
    .keyBy('sensor')
    .window(tumbling(seconds(10)), { allowedLateness: seconds(0) })
    .aggregate('counts', ({ count }) => ({ readings: count() }))
  return pipeline({
    name,
    tables: [bronze('readings', readings), gold('counts', counts)],
    ...(results === '' ? {} : { topics: [topic(results, counts)] }),
  })
}
