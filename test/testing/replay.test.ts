import { boundedOutOfOrderness, gold, millis, pipeline, stream, tumbling } from 'millrace'
import { describe, expect, it } from 'vitest'
import { replay } from '../../src/testing/replay.ts'
import { Reading, reading } from '../support/reading.ts'

const readings = stream('readings', Reading, { eventTime: 'at', watermark: boundedOutOfOrderness(millis(0)) })
const counts = readings
  .keyBy('sensor')
  .window(tumbling(millis(10)), { allowedLateness: millis(10), refine: true })
  .aggregate('counts', ({ count }) => ({ rows: count() }))
const program = pipeline({
  name: 'restarted',
  tables: [gold('counts', counts), gold('all', counts, { revisions: 'all' })],
  circuitBreaker: false,
})
const records = [
  reading(1),
  reading(12),
  reading(3),
  reading(15),
  reading(4),
  reading(30),
  reading(31, { partition: 1 }),
]

describe('a replay in memory that is stopped and started again', () => {
  it('writes what was due at each stop, and ends with the same rows', async () => {
    const whole = await replay(program, { records })
    const each = await replay(program, { records, restartAfter: [1, 2, 3, 4, 5, 6] })
    const last = (rows: readonly Readonly<Record<string, unknown>>[]) =>
      rows.map(({ window_start, rows: count }) => [window_start, count])
    expect(last(each.rows('gold/counts'))).toEqual(last(whole.rows('gold/counts')))
    expect(each.summary.totals.records).toBe(records.length)
    // Partition 1 holds the watermark until the end, so there is one revision of each.
    expect(each.rows('gold/all').map(({ revision }) => revision)).toEqual([0, 0, 0])
    const alone = await replay(program, { records: records.slice(0, 6), restartAfter: [1, 2, 3, 4, 5] })
    const first = alone.rows('gold/all').filter((row) => Date.parse(row['window_start'] as string) === 0)
    expect(first.map(({ rows, revision }) => [revision, rows])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ])
  })

  it('counts records, so it wants them', async () => {
    await expect(replay(program, { recording: 'x.avro', restartAfter: [1] })).rejects.toThrow(
      'counts records',
    )
  })
})
