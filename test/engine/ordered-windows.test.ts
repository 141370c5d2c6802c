import { describe, expect, it } from 'vitest'
import {
  boundedOutOfOrderness,
  countWindow,
  gold,
  millis,
  pipeline,
  session,
  silver,
  sliding,
  stream,
} from 'millrace'
import { replay } from 'millrace/testing'
import { Merge, Partition, type Row, uniquePlan, windowPlan } from './ordered-harness.ts'
import { Reading, reading } from '../support/reading.ts'

const readings = () =>
  stream('readings', Reading, { eventTime: 'at', watermark: boundedOutOfOrderness(millis(5)) })
const JUDGED = { allowedLateness: millis(0), late: 'dead-letter' } as const

const row = (timeMs: number, value = 1, key = 'a'): Row => ({ key, timeMs, value })

function partialOf(partition: Partition, rows: readonly (readonly [Row, number])[]): unknown {
  partition.add(rows.map(([of, floorMs]) => ({ row: of, floorMs })))
  return partition.cut()[0]
}

const boundsOf = (rows: Iterable<Record<string, unknown>>) =>
  [...rows].map((result) => [
    Date.parse(String(result['window_start'])),
    Date.parse(String(result['window_end'])),
    result['rows'],
    result['revision'],
  ])

describe('windows that are no fixed grid, in a pipeline', () => {
  const records = [
    reading(0),
    reading(8),
    reading(30),
    reading(12, { partition: 1 }),
    reading(100),
    reading(13),
  ]

  it('are written as rows of gold and silver tables, and what is late becomes a dead letter', async () => {
    const source = readings()
    const keyed = source.keyBy('sensor')
    const sessions = keyed
      .window(session(millis(10)), JUDGED)
      .aggregate('sessions', ({ count }) => ({ rows: count() }))
    const slides = keyed
      .window(sliding(millis(10)), JUDGED)
      .aggregate('slides', ({ count }) => ({ rows: count() }))
    const pairs = keyed.window(countWindow(2), JUDGED).aggregate('pairs', ({ count }) => ({ rows: count() }))
    const program = pipeline({
      name: 'ordered',
      tables: [
        gold('sessions', sessions),
        gold('slides', slides),
        gold('pairs', pairs),
        silver('once', source.unique('once', { by: ['sensor'], within: millis(8), ...JUDGED })),
      ],
    })
    const result = await replay(program, { records, epochRows: 2 })
    //   0    8   12         30                   100     gap 10
    //   [------------)22    [----)40             [----)110
    expect(boundsOf(result.rows('gold/sessions'))).toEqual([
      [0, 22, 3, 0],
      [30, 40, 1, 0],
      [100, 110, 1, 0],
    ])
    expect(boundsOf(result.rows('gold/slides'))).toEqual([
      [-10, 1, 1, 0],
      [-2, 9, 2, 0],
      [2, 13, 2, 0],
      [20, 31, 1, 0],
      [90, 101, 1, 0],
    ])
    // 0 and 8, 12 and 30; 100 is left over.
    expect(result.rows('gold/pairs')).toMatchObject([{ window_number: 0 }, { window_number: 1 }])
    expect(result.rows('silver/once').map(({ at }) => Date.parse(String(at)))).toEqual([0, 8, 30, 100])
    expect(result.summary.totals.dropped).toEqual({ once: 1 })
    expect(result.summary.totals.late).toEqual({ sessions: 1, slides: 1, pairs: 1, once: 1 })
    const stages = result.rows('dead_letters').map(({ stage }) => String(stage))
    expect(stages.sort()).toEqual(['once', 'pairs', 'sessions', 'slides'])
  })

  it('do not let a row that an aggregate refuses extend a session', async () => {
    const counts = readings()
      .keyBy('sensor')
      .window(session(millis(10)), JUDGED)
      .aggregate('counts', ({ count, countIf }) => ({
        rows: count(),
        large: countIf((reading) => {
          if (reading.value === 13) throw new Error('an unlucky value')
          return (reading.value ?? 0) > 5
        }),
      }))
    const result = await replay(pipeline({ name: 'refusing', tables: [gold('counts', counts)] }), {
      records: [reading(0), reading(6, { value: 13 }), reading(12, { value: 7 })],
    })
    //   0           12            the row at 6 would have joined them
    //   [------)10  [------)22
    expect(boundsOf(result.rows('gold/counts'))).toEqual([
      [0, 10, 1, 0],
      [12, 22, 1, 0],
    ])
    expect(result.rows('dead_letters')).toMatchObject([{ reason: 'processing', stage: 'counts', _offset: 1 }])
  })
})

describe('a session that is written and then grows', () => {
  const plan = windowPlan({ kind: 'session', gapMs: 10, gapField: null }, { trigger: { earlyEveryRows: 1 } })

  it('has one row in the table and one in the topic: under its new bounds, with the next revision', () => {
    const partition = new Partition(plan, 't')
    const merge = new Merge(plan)
    const at = { watermarkMs: -10, slowestMs: -10, nowMs: 0 }
    merge.fold(partialOf(partition, [[row(0), -10]]), 't')
    merge.fire(at)
    expect(boundsOf(merge.table)).toEqual([[0, 10, 1, 0]])
    //   0         10   15
    //   [---------)    [---------)25
    merge.fold(partialOf(partition, [[row(15), -10]]), 't')
    merge.fire(at)
    expect(boundsOf(merge.table)).toEqual([
      [0, 10, 1, 0],
      [15, 25, 1, 0],
    ])
    //   0    7    15            joins the two
    //   [-------------------)25
    merge.fold(partialOf(partition, [[row(7), -10]]), 't')
    merge.fire(at)
    expect(boundsOf(merge.table)).toEqual([[0, 25, 3, 1]])
    expect(boundsOf(merge.topic.values())).toEqual([[0, 25, 3, 1]])
  })
})

describe('slices', () => {
  it('have all keys between them, each in one', () => {
    for (const plan of [
      windowPlan({ kind: 'session', gapMs: 10, gapField: null }),
      windowPlan({ kind: 'sliding', sizeMs: 10 }),
      windowPlan({ kind: 'count', rows: 2 }),
      uniquePlan(10, 0),
    ]) {
      const partition = new Partition(plan, 't')
      const keys = Array.from({ length: 20 }, (_, i) => `key ${i}`)
      partition.add(keys.map((key) => ({ row: row(0, 1, key), floorMs: -Infinity })))
      const partials = partition.cut(3) as readonly { keys: readonly (readonly string[])[] }[]
      expect(partials).toHaveLength(3)
      expect(
        partials
          .flatMap((partial) => partial.keys)
          .flat()
          .sort(),
      ).toEqual([...keys].sort())
    }
  })
})

describe('the order of rows of one millisecond', () => {
  it('is that of their tasks, then of their offsets', () => {
    const plan = windowPlan({ kind: 'count', rows: 2 })
    const merge = new Merge(plan)
    const [first, second] = [new Partition(plan, 't-1'), new Partition(plan, 't-0')]
    const add = (partition: Partition, values: readonly number[]) => {
      const rows = values.map((value) => [row(5, value), -Infinity] as const)
      merge.fold(partialOf(partition, rows), partition.task)
    }
    add(first, [1, 2])
    add(second, [3, 4])
    merge.fire({ watermarkMs: Infinity, slowestMs: Infinity, nowMs: 0 })
    expect(merge.table.map(({ values }) => values)).toEqual([
      [3, 4],
      [1, 2],
    ])
  })
})

describe('what a merge remembers', () => {
  const source = readings()
  const once = source.unique('once', { by: ['sensor'], within: millis(1_000), ...JUDGED })
  const visits = source
    .keyBy('sensor')
    .window(session(millis(1_000)), JUDGED)
    .aggregate('visits', ({ count }) => ({ rows: count() }))
  const records = Array.from({ length: 12 }, (_, i) => reading(i * 10, { sensor: `s${i}` }))

  it('ends the run above the limit, with the name of the step and what to do', async () => {
    const keys = pipeline({ name: 'keys', tables: [silver('once', once)], limits: { keysMax: 5 } })
    await expect(replay(keys, { records, epochRows: 3 })).rejects.toMatchObject({
      code: 'STATE_LIMIT',
      message: expect.stringContaining('once remembers'),
      advice: expect.stringContaining('limits.keysMax'),
    })
    const panes = pipeline({ name: 'panes', tables: [gold('visits', visits)], limits: { panesMax: 5 } })
    await expect(replay(panes, { records, epochRows: 3 })).rejects.toMatchObject({
      code: 'STATE_LIMIT',
      message: expect.stringContaining('visits has 6 open windows'),
      advice: expect.stringContaining('limits.panesMax'),
    })
  })
})
