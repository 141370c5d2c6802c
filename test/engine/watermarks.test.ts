import {
  ascending,
  avroSchema,
  bronze,
  customWatermark,
  gold,
  hours,
  millis,
  pipeline,
  punctuated,
  silver,
  stream,
  tumbling,
} from 'millrace'
import { replay } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import type { TestRecord } from '../../src/testing/rows-source.ts'
import type { WatermarkSpec } from '../../src/topology/node.ts'

interface Event {
  readonly at: number | null
  /** In micros, to see that marks are read like event times. */
  readonly mark: bigint | null
}

const Event = avroSchema<Event, { readonly at: 'timestamp-millis?'; readonly mark: 'timestamp-micros?' }>({
  type: 'record',
  name: 'Event',
  fields: [
    { name: 'at', type: ['null', { type: 'long', logicalType: 'timestamp-millis' }], default: null },
    { name: 'mark', type: ['null', { type: 'long', logicalType: 'timestamp-micros' }], default: null },
  ],
})

/** Windows of 10 ms, nothing allowed to be late. */
function counted(watermark: WatermarkSpec) {
  const events = stream('events', Event, {
    eventTime: 'at',
    watermark: watermark as ReturnType<typeof ascending>,
  })
  const counts = events
    .keyBy()
    .window(tumbling(millis(10)), { allowedLateness: millis(0) })
    .aggregate('counts', ({ count }) => ({ rows: count() }))
  return pipeline({
    name: 'marks',
    tables: [bronze('events', events), silver('timely', events), gold('counts', counts)],
  })
}

const ARRIVAL_MS = 1_000

/** [event time, mark in milliseconds] */
function records(...pairs: readonly (readonly [number | null, number | null])[]): readonly TestRecord[] {
  return pairs.map(([at, mark]) => ({
    row: { at, mark: mark === null ? null : BigInt(Math.round(mark * 1000)) },
    arrivalMs: ARRIVAL_MS,
  }))
}

interface Outcome {
  readonly counts: readonly (readonly [number, unknown])[]
  /** [reason, stage, offset] */
  readonly letters: readonly (readonly unknown[])[]
}

/** The same in one batch and record by record. */
async function outcomeOf(watermark: WatermarkSpec, input: readonly TestRecord[]): Promise<Outcome> {
  const outcomes = await Promise.all(
    [{}, { batchRecords: 1 }, { batchRecords: 2, epochRows: 3 }].map(async (sizes) => {
      const result = await replay(counted(watermark), { records: input, ...sizes })
      expect(result.rows('bronze/events')).toHaveLength(input.length)
      return {
        counts: result
          .rows('gold/counts')
          .map((row) => [Date.parse(row['window_start'] as string), row['rows']] as const)
          .sort(([a], [b]) => a - b),
        letters: result
          .rows('dead_letters')
          .map((letter) => [letter['reason'], letter['stage'], letter['_offset']])
          .sort((a, b) => Number(a[2]) - Number(b[2])),
      }
    }),
  )
  for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0])
  return outcomes[0]!
}

describe('a watermark that a field carries', () => {
  it('is taken record by record; a row is judged by the marks before its own; null and what goes back leave it', async () => {
    //  0        10
    //  [--------)    W: −∞, −∞, 10 (after the third), 10, 10
    const input = records([1, null], [50, null], [2, 10], [3, 4], [55, null])
    expect(await outcomeOf(punctuated('mark'), input)).toEqual({
      counts: [
        [0, 2],
        [50, 2],
      ],
      letters: [['late', 'counts', 3]],
    })
  })

  it('is floored to milliseconds', async () => {
    const input = records([1, 9.999], [2, 10], [3, null])
    expect((await outcomeOf(punctuated('mark'), input)).letters).toEqual([['late', 'counts', 2]])
  })

  it('beyond arrival and the future limit is a dead letter, and moves nothing', async () => {
    const watermark = punctuated('mark', { futureLimit: millis(5) })
    const input = records([1, ARRIVAL_MS + 6], [2, ARRIVAL_MS + 5], [3, null])
    expect(await outcomeOf(watermark, input)).toEqual({
      counts: [[0, 1]],
      letters: [
        ['future', 'watermark', 0],
        ['late', 'counts', 2],
      ],
    })
    const result = await replay(counted(watermark), { records: input })
    // It goes no further than bronze.
    expect(result.rows('silver/timely')).toHaveLength(2)
    expect(result.rows('dead_letters').map((letter) => letter['message'])).toContainEqual(
      expect.stringContaining('mark, the watermark, is 1970-01-01T00:00:01.006Z'),
    )
  })

  it('of a record whose own time cannot be used moves nothing', async () => {
    const input = records([null, 500], [1, null])
    expect(await outcomeOf(punctuated('mark'), input)).toEqual({
      counts: [[0, 1]],
      letters: [['invalid', 'event-time', 0]],
    })
  })
})

describe('a watermark of a function', () => {
  it('moves as the function says, never back, and not by null or NaN', async () => {
    const seen: (readonly [number | null, number])[] = []
    const answers: Readonly<Record<number, number | null>> = { 1: null, 2: Number.NaN, 3: 10, 4: -5, 5: null }
    const watermark = customWatermark(({ at }: Event, eventTimeMs) => {
      seen.push([at, eventTimeMs])
      return answers[at!] ?? null
    })
    const input = records([1, null], [2, null], [null, null], [3, null], [4, null], [25, null], [5, null])
    expect(await outcomeOf(watermark, input)).toEqual({
      counts: [
        [0, 3],
        [20, 1],
      ],
      letters: [
        ['invalid', 'event-time', 2],
        ['late', 'counts', 4],
        ['late', 'counts', 6],
      ],
    })
    // Each row that has an event time, once, in order.
    expect(seen.slice(0, 6).map(([, time]) => time)).toEqual([1, 2, 3, 4, 25, 5])
    expect(seen.every(([at, time]) => at === time)).toBe(true)
  })

  it('that throws makes the row a dead letter, which moves nothing and goes no further than bronze', async () => {
    const watermark = customWatermark(({ at }: Event, eventTimeMs) => {
      if (at === 30) throw new Error('thirty')
      return eventTimeMs
    })
    const input = records([1, null], [30, null], [2, null])
    expect(await outcomeOf(watermark, input)).toEqual({
      counts: [[0, 2]],
      letters: [['processing', 'watermark', 1]],
    })
  })

  it('that returns no number, though the compiler forbids it, is told so', async () => {
    const watermark = customWatermark((() => 5n) as unknown as () => number)
    const result = await replay(counted(watermark), { records: records([1, null]) })
    expect(result.rows('dead_letters')).toMatchObject([
      { reason: 'processing', stage: 'watermark', message: 'the watermark is a bigint, not a number' },
    ])
  })
})

describe('an ascending watermark', () => {
  it('takes rows of the newest millisecond, and those before it only into windows that are open', async () => {
    const input = records([9, null], [9, null], [10, null], [10, null], [9, null])
    expect(await outcomeOf(ascending({ futureLimit: hours(1) }), input)).toEqual({
      counts: [
        [0, 2],
        [10, 2],
      ],
      letters: [['late', 'counts', 4]],
    })
  })
})
