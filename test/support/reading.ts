import { avroSchema } from '../../src/topology/schema.ts'
import type { TestRecord } from '../../src/testing/rows-source.ts'

/** A small schema for tests of the engine. */
export interface Reading {
  readonly sensor: string | null
  readonly at: number | null
  readonly value: number | null
}

export interface ReadingKinds {
  readonly sensor: 'string?'
  readonly at: 'timestamp-millis?'
  readonly value: 'double?'
}

export const Reading = avroSchema<Reading, ReadingKinds>({
  type: 'record',
  name: 'Reading',
  fields: [
    { name: 'sensor', type: ['null', 'string'], default: null },
    { name: 'at', type: ['null', { type: 'long', logicalType: 'timestamp-millis' }], default: null },
    { name: 'value', type: ['null', 'double'], default: null },
  ],
})

/** A record `at` milliseconds, which arrives then unless told otherwise. */
export function reading(
  at: number | null,
  options: { sensor?: string | null; value?: number | null; partition?: number; arrivalMs?: number } = {},
): TestRecord {
  const { sensor = 'a', value = 1, partition = 0, arrivalMs } = options
  return {
    row: { sensor, at, value },
    partition,
    ...(arrivalMs === undefined ? {} : { arrivalMs }),
  }
}
