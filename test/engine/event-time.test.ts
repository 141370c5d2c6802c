import { boundedOutOfOrderness, bronze, gold, hours, millis, pipeline, stream, tumbling } from 'millrace'
import { replay } from 'millrace/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createColumn } from '../../src/columns/column.ts'
import { readEventTimes } from '../../src/engine/event-time.ts'
import { Reading, reading } from '../support/reading.ts'

/** The micros of the last date that there is. */
const LIMIT = 8_640_000_000_000_000_000n

describe('event time', () => {
  it('in micros is floored to millis exactly, over all times that are taken', () => {
    const ends = [
      0n,
      1n,
      -1n,
      999n,
      1000n,
      -999n,
      -1000n,
      -1001n,
      LIMIT,
      -LIMIT,
      2n ** 53n + 1n,
      -(2n ** 53n) - 1n,
    ]
    fc.assert(
      fc.property(fc.oneof(fc.bigInt({ min: -LIMIT, max: LIMIT }), fc.constantFrom(...ends)), (micros) => {
        const column = createColumn({
          name: 'at',
          type: { kind: 'timestamp', unit: 'micros', local: false },
          nullable: false,
        })
        if (column.storage !== 'int64') throw new Error('a timestamp is an int64')
        column.reserve(1)
        column.words[0] = Number(BigInt.asIntN(32, micros))
        column.words[1] = Number(micros >> 32n)
        column.length = 1
        const out = new Float64Array(1)
        readEventTimes(column, 0, 1, out)
        const floored = micros >= 0n || micros % 1000n === 0n ? micros / 1000n : micros / 1000n - 1n
        expect(out[0]! - Number(floored)).toBe(0)
      }),
      { numRuns: 2_000 },
    )
  })

  it('before any date is a dead letter: its window could not be written', async () => {
    const readings = stream('readings', Reading, {
      eventTime: 'at',
      watermark: boundedOutOfOrderness(millis(5)),
    })
    const counts = readings
      .keyBy('sensor')
      .window(tumbling(hours(24)), { allowedLateness: millis(0) })
      .aggregate('counts', ({ count }) => ({ rows: count() }))
    const program = pipeline({ name: 'past', tables: [bronze('readings', readings), gold('counts', counts)] })
    const records = [
      reading(-8_640_000_000_000_001),
      reading(-8_640_000_000_000_000),
      reading(-8_900_000_000_000_000),
    ]
    const result = await replay(program, { records })
    expect(result.rows('bronze/readings')).toHaveLength(3)
    expect(result.rows('gold/counts')).toMatchObject([
      { rows: 1, window_start: '-271821-04-20T00:00:00.000Z' },
    ])
    expect(result.rows('dead_letters')).toMatchObject([
      { reason: 'invalid', stage: 'event-time', _offset: 0 },
      { reason: 'invalid', stage: 'event-time', _offset: 2 },
    ])
  })
})
