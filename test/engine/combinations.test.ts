import {
  atLeast,
  avroSchema,
  boundedOutOfOrderness,
  bronze,
  gold,
  millis,
  pipeline,
  silver,
  stream,
  tumbling,
} from 'millrace'
import { type ReplayOptions, replay } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import type { PipelineSpec } from '../../src/topology/node.ts'
import { Reading, reading } from '../support/reading.ts'

/** Replays in epochs of many sizes, which must not show, and gives the result of one of them. */
async function replayAnyhow(program: PipelineSpec, options: ReplayOptions) {
  const whole = await replay(program, options)
  for (const [epochRows, batchRecords] of [
    [1, 1],
    [3, 2],
    [4, 100],
  ] as const) {
    const cut = await replay(program, { ...options, epochRows, batchRecords })
    for (const table of whole.tables)
      expect(cut.text(table), `${table} in epochs of ${epochRows}`).toBe(whole.text(table))
    const { rows: _, ...totals } = cut.summary.totals
    expect(totals).toEqual({ ...whole.summary.totals, rows: undefined })
  }
  return whole
}

const watermark = boundedOutOfOrderness(millis(5))
const readings = stream('readings', Reading, { eventTime: 'at', watermark })
const WINDOW = tumbling(millis(10))

describe('steps in a row', () => {
  it('a map feeds a dedupe feeds windows feeds two gold tables and a side table', async () => {
    const named = readings.map('named', Reading, (row) =>
      row.sensor === null ? null : { ...row, sensor: row.sensor.toUpperCase(), value: (row.value ?? 0) * 2 },
    )
    const once = named.dedupe('once', { by: 'sensor', within: millis(3) })
    const counts = once
      .keyBy('sensor')
      .window(WINDOW, { allowedLateness: millis(0), late: 'side-table' })
      .aggregate('counts', ({ count, sum }) => ({ rows: count(), total: sum('value') }))
    const program = pipeline({
      name: 'chain',
      tables: [
        bronze('readings', readings),
        silver('once', once),
        gold('one', counts),
        gold('two', counts),
        silver('late', counts.late),
      ],
    })
    const records = [
      reading(1, { sensor: 'a', value: 1 }),
      reading(2, { sensor: 'A', value: 2 }), // a duplicate of the first, by the mapped key
      reading(5, { sensor: 'a', value: 3 }),
      reading(6, { sensor: null }),
      reading(40, { sensor: 'b', value: 4 }), // W = 35: the first window is closed
      reading(8, { sensor: 'c', value: 5 }),
      reading(36, { sensor: 'b', value: 6 }),
    ]
    const result = await replayAnyhow(program, { records })
    expect(result.rows('silver/once').map((row) => [row['sensor'], row['value']])).toEqual([
      ['A', 2],
      ['A', 6],
      ['B', 12],
      ['B', 8],
      ['C', 10],
    ])
    expect(result.rows('silver/late')).toMatchObject([{ sensor: 'C', value: 10 }])
    expect(result.rows('gold/one').map((row) => [row['sensor'], row['rows'], row['total']])).toEqual([
      ['A', 2, 8],
      ['B', 1, 12],
      ['B', 1, 8],
    ])
    expect(result.text('gold/two')).toBe(result.text('gold/one'))
    expect(result.summary.totals).toMatchObject({ late: { counts: 1 }, dropped: { named: 1, once: 1 } })
  })

  it('two dedupes on one branch and one on another keep apart', async () => {
    const byBoth = readings
      .dedupe('by_sensor', { by: 'sensor', within: millis(4) })
      .dedupe('by_time', { by: 'at', within: millis(1_000) })
    const byTime = readings.dedupe('by_time_alone', { by: 'at', within: millis(1_000) })
    const program = pipeline({ name: 'apart', tables: [silver('both', byBoth), silver('time', byTime)] })
    const records = [
      reading(1, { sensor: 'a', value: 0 }),
      reading(1, { sensor: 'b', value: 1 }),
      reading(3, { sensor: 'a', value: 2 }),
      reading(5, { sensor: 'a', value: 3 }),
      reading(5, { sensor: 'b', value: 4 }),
      reading(3, { sensor: 'c', value: 5 }),
    ]
    const result = await replayAnyhow(program, { records })
    expect(result.rows('silver/both').map((row) => row['value'])).toEqual([0, 3, 5])
    expect(result.rows('silver/time').map((row) => row['value'])).toEqual([0, 2, 3])
  })

  it('two branches may refuse the same record, each for itself, and it fails but once', async () => {
    const program = pipeline({
      name: 'branches',
      tables: [
        silver('high', readings.expect('high', { value: atLeast(10) })),
        silver('higher', readings.expect('higher', { value: atLeast(20) })),
      ],
      circuitBreaker: { maxShare: 0.5, sample: 4 },
    })
    const records = [5, 15, 25, 30].map((value, i) => reading(i, { value }))
    const result = await replayAnyhow(program, { records })
    expect(result.rows('dead_letters').map((letter) => [letter['_offset'], letter['stage']])).toEqual([
      [0, 'high'],
      [0, 'higher'],
      [1, 'higher'],
    ])
  })

  it('a row whose map fails is refused with the bytes of its own record, wherever its epoch began', async () => {
    const program = pipeline({
      name: 'origins',
      tables: [
        silver(
          'twice',
          readings
            .map('first', Reading, (row) => (row.value === 3 ? null : row))
            .map('second', Reading, (row) => {
              if (row.value === 5) throw new Error('five')
              return { sensor: row.sensor, at: row.at, value: row.value }
            }),
        ),
      ],
      circuitBreaker: false,
    })
    const records = [{ value: null }, ...Array.from({ length: 9 }, (_, i) => reading(i, { value: i }))]
    const result = await replayAnyhow(program, { records })
    expect(result.rows('silver/twice').map((row) => row['value'])).toEqual([0, 1, 2, 4, 6, 7, 8])
    expect(result.rows('dead_letters').map((letter) => [letter['_offset'], letter['reason']])).toEqual([
      [0, 'undecodable'],
      [6, 'processing'],
    ])
    // The stack of the callback, and not of what called it: that depends on batches and on the machine.
    const stack = String(result.rows('dead_letters')[1]?.['stack'])
    expect(stack.split('\n')).toHaveLength(2)
    expect(stack).toMatch(/^Error: five\n +at .*combinations\.test\.ts/)
  })
})

interface Deep {
  readonly at: number
  readonly where: { readonly zone: string | null; readonly id: bigint; readonly tag: Uint8Array | null }
}
interface DeepKinds {
  readonly at: 'timestamp-millis'
  readonly where: { readonly zone: 'string?'; readonly id: 'long'; readonly tag: 'bytes?' }
}
const Deep = avroSchema<Deep, DeepKinds>({
  type: 'record',
  name: 'Deep',
  fields: [
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    {
      name: 'where',
      type: {
        type: 'record',
        name: 'Where',
        fields: [
          { name: 'zone', type: ['null', 'string'] },
          { name: 'id', type: 'long' },
          { name: 'tag', type: ['null', 'bytes'] },
        ],
      },
    },
  ],
})

describe('keys', () => {
  it('may be nullable, within records, at the ends of int64, and empty', async () => {
    const deep = stream('deep', Deep, { eventTime: 'at', watermark })
    const counts = deep
      .keyBy('where.zone', 'where.id')
      .window(WINDOW, { allowedLateness: millis(0) })
      .aggregate('counts', ({ count, min, max }) => ({
        rows: count(),
        least: min('where.id'),
        most: max('where.id'),
      }))
    const program = pipeline({
      name: 'deep',
      tables: [
        silver('once', deep.dedupe('once', { by: ['where.id', 'where.zone'], within: millis(100) })),
        gold('counts', counts),
      ],
    })
    const ids = ['-9223372036854775808', '9223372036854775807', '0', '-1', '9007199254740993']
    const keys = ids.flatMap((id) => [null, '', 'ä'].map((zone) => ({ zone, id, tag: null })))
    const records = [...keys, ...keys].map((where, i) => ({
      row: { at: i % 2, where: { ...where, id: BigInt(where.id) } },
    }))
    const result = await replayAnyhow(program, { records })
    expect(result.rows('silver/once')).toHaveLength(keys.length)
    const gold_ = result.rows('gold/counts')
    expect(gold_).toHaveLength(keys.length)
    expect(gold_.every((row) => row['rows'] === 2)).toBe(true)
  })
})
