import { boundedOutOfOrderness, bronze, gold, millis, pipeline, silver, stream, tumbling } from 'millrace'
import { replay } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { Reading, reading } from '../support/reading.ts'

/** Windows of 10 ms, 5 ms of disorder, and so much allowed lateness. */
function windowed(
  options: { allowedLateness?: number; late?: 'dead-letter' | 'drop'; idleAfter?: number } = {},
) {
  const { allowedLateness = 0, late = 'dead-letter', idleAfter } = options
  const readings = stream('readings', Reading, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(
      millis(5),
      idleAfter === undefined ? {} : { idleAfter: millis(idleAfter) },
    ),
  })
  const counts = readings
    .keyBy('sensor')
    .window(tumbling(millis(10)), { allowedLateness: millis(allowedLateness), late })
    .aggregate('counts', ({ count, sum }) => ({ rows: count(), total: sum('value') }))
  return pipeline({ name: 'windows', tables: [bronze('readings', readings), gold('counts', counts)] })
}

const startsOf = (rows: readonly Readonly<Record<string, unknown>>[]) =>
  rows.map((row) => [Date.parse(row['window_start'] as string), row['rows'], row['revision']])

describe('tumbling windows', () => {
  it('hold [start, end): a row at the end belongs to the next', async () => {
    //  0        10       20
    //  [--------)[-------)
    //  0       9 10
    const result = await replay(windowed(), { records: [reading(0), reading(9), reading(10)] })
    expect(startsOf(result.rows('gold/counts'))).toEqual([
      [0, 2, 0],
      [10, 1, 0],
    ])
  })

  it('lie before 1970 as they do after', async () => {
    //  -20      -10       0
    //  [--------)[--------)
    //  -11       -10    -1
    const result = await replay(windowed(), { records: [reading(-11), reading(-10), reading(-1)] })
    expect(new Map(startsOf(result.rows('gold/counts')).map(([start, rows]) => [start, rows]))).toEqual(
      new Map([
        [-20, 1],
        [-10, 2],
      ]),
    )
  })

  it('take a null key as a key like any other', async () => {
    const records = [reading(1, { sensor: null }), reading(2, { sensor: null }), reading(3)]
    const rows = (await replay(windowed(), { records })).rows('gold/counts')
    expect(rows.map((row) => [row['sensor'], row['rows']])).toEqual(
      expect.arrayContaining([
        [null, 2],
        ['a', 1],
      ]),
    )
  })

  it('sum to null where every value is null', async () => {
    const rows = (await replay(windowed(), { records: [reading(1, { value: null })] })).rows('gold/counts')
    expect(rows[0]).toMatchObject({ rows: 1, total: null })
  })
})

describe('lateness', () => {
  // W = newest event time − 5, and a row is judged by the W before it.
  //
  //  0        10   15                W reaches 10 with the row at 15
  //  [--------)    15  → W = 10

  it('begins when W reaches the end of the window', async () => {
    const onTime = await replay(windowed(), { records: [reading(1), reading(14), reading(2)] })
    expect(startsOf(onTime.rows('gold/counts'))).toContainEqual([0, 2, 0])
    const late = await replay(windowed(), { records: [reading(1), reading(15), reading(2)] })
    expect(startsOf(late.rows('gold/counts'))).toContainEqual([0, 1, 0])
    expect(late.rows('dead_letters')).toMatchObject([{ reason: 'late', stage: 'counts', _offset: 2 }])
    expect(late.summary.totals.late).toEqual({ counts: 1 })
  })

  it('is put off by the allowed lateness', async () => {
    const records = [reading(1), reading(19), reading(2), reading(20), reading(3)]
    const result = await replay(windowed({ allowedLateness: 5 }), { records })
    expect(startsOf(result.rows('gold/counts'))).toContainEqual([0, 2, 0])
    expect(result.summary.totals.late).toEqual({ counts: 1 })
  })

  it('counts what it drops', async () => {
    const records = [reading(1), reading(15), reading(2)]
    const result = await replay(windowed({ late: 'drop' }), { records })
    expect(result.rows('dead_letters')).toEqual([])
    expect(result.summary.totals.late).toEqual({ counts: 1 })
  })

  it('is judged in each partition by its own watermark', async () => {
    // Partition 1 is a hundred windows ahead; partition 0 catches up from a backlog. Nothing is late.
    const backlog = Array.from({ length: 100 }, (_, i) => reading(i * 10, { partition: 0, arrivalMs: 1_000 }))
    const ahead = Array.from({ length: 100 }, (_, i) =>
      reading(1_000 + i, { partition: 1, arrivalMs: 1_000 }),
    )
    const result = await replay(windowed(), {
      records: [...ahead, ...backlog],
      batchRecords: 7,
      epochRows: 13,
    })
    expect(result.summary.totals.late).toEqual({})
    expect(result.rows('gold/counts')).toHaveLength(110)
  })

  it('sends rows to a side table where the program says so', async () => {
    const readings = stream('readings', Reading, {
      eventTime: 'at',
      watermark: boundedOutOfOrderness(millis(5)),
    })
    const counts = readings
      .keyBy('sensor')
      .window(tumbling(millis(10)), { allowedLateness: millis(0), late: 'side-table' })
      .aggregate('counts', ({ count }) => ({ rows: count() }))
    const program = pipeline({
      name: 'side',
      tables: [gold('counts', counts), silver('late_readings', counts.late)],
    })
    const result = await replay(program, { records: [reading(1), reading(15), reading(2, { value: 7 })] })
    expect(result.rows('silver/late_readings')).toMatchObject([{ value: 7 }])
    expect(result.rows('dead_letters')).toEqual([])
  })
})

describe('a result does not depend on', () => {
  const records = Array.from({ length: 500 }, (_, i) => {
    const at = Math.floor(i / 3) + ((i * 7919) % 12) - 6
    return reading(at, {
      sensor: ['a', 'b', null][i % 3] ?? null,
      value: 0.1 * (i % 17),
      partition: i % 3,
      arrivalMs: 1_000,
    })
  })

  it.each([
    { epochRows: 1, batchRecords: 1 },
    { epochRows: 7, batchRecords: 3 },
    { epochRows: 100, batchRecords: 1_000 },
  ])('batches and epochs: $epochRows rows, $batchRecords records', async (sizes) => {
    const whole = await replay(windowed(), { records })
    const cut = await replay(windowed(), { records, ...sizes })
    for (const table of whole.tables) expect(cut.text(table)).toBe(whole.text(table))
  })

  it('how partitions interleave', async () => {
    const whole = await replay(windowed(), { records })
    const sorted = await replay(windowed(), {
      records: [...records].sort((a, b) => (a.partition ?? 0) - (b.partition ?? 0)),
      epochRows: 50,
    })
    expect(sorted.text('gold/counts')).toBe(whole.text('gold/counts'))
  })
})
