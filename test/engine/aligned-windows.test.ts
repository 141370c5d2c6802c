import fc from 'fast-check'
import {
  ascending,
  computed,
  globalWindow,
  gold,
  hopping,
  hours,
  millis,
  pipeline,
  stream,
  tumbling,
} from 'millrace'
import { replay } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { createColumn } from '../../src/columns/column.ts'
import { valueAt } from '../../src/columns/row.ts'
import type { Accumulator } from '../../src/engine/accumulate/accumulator.ts'
import type { PanesJson } from '../../src/engine/partial.ts'
import { compilePlan, type ResultPlan } from '../../src/engine/plan.ts'
import { accumulatorsOf } from '../../src/engine/row-adder.ts'
import type { HoppingSpec } from '../../src/topology/node.ts'
import { Reading, reading } from '../support/reading.ts'
import { runWindowStep, type TimedRow } from '../support/step-run.ts'

const readings = stream('readings', Reading, { eventTime: 'at', watermark: ascending() })

/** Rows, their sum and their values by sensor. */
function sumsBySensor(window: HoppingSpec, allowedLateness = 0): ResultPlan {
  const sums = readings
    .keyBy('sensor')
    .window(window, { allowedLateness: millis(allowedLateness) })
    .aggregate('sums', ({ count, sum, collect }) => ({
      rows: count(),
      total: sum('value'),
      values: collect('value', { max: 5 }),
    }))
  return compilePlan(pipeline({ name: 'windows', tables: [gold('sums', sums)] }), ['readings']).results[0]!
}

/** In the order given; W is what the rows before have left. */
function timed(
  rows: readonly { readonly sensor: string | null; readonly at: number; readonly value: number }[],
  boundMs: number,
): readonly TimedRow[] {
  let watermarkMs = -Infinity
  return rows.map((row) => {
    const found = watermarkMs
    watermarkMs = Math.max(watermarkMs, row.at - boundMs)
    return { row, timeMs: row.at, watermarkMs: found }
  })
}

/** Rows and sum of each sensor and window, over all epochs and slices. */
function sumsOf(
  plan: ResultPlan,
  slices: readonly (readonly PanesJson[])[],
): ReadonlyMap<string, readonly unknown[]> {
  const sums = accumulatorsOf(plan)
  const parts = accumulatorsOf(plan)
  const panes = new Map<string, number>()
  for (const part of parts) part.reserve(1)
  const { node } = plan
  const hopMs = node.kind === 'aggregate' && node.window.kind === 'hopping' ? node.window.hopMs : 0
  for (const { keys, windowStartsMs, states, windows } of slices.flat()) {
    for (const [i, firstMs] of windowStartsMs.entries()) {
      for (const [a, part] of parts.entries()) part.read(0, states[a]![i])
      for (let w = 0; w < (windows?.[i] ?? 1); w++) {
        const name = JSON.stringify([keys[0]![i], firstMs + w * hopMs])
        const pane = panes.get(name) ?? panes.size
        panes.set(name, pane)
        for (const [a, part] of parts.entries()) {
          sums[a]!.reserve(pane + 1)
          sums[a]!.mergePane(part, 0, pane)
        }
      }
    }
  }
  const valueOf = (sum: Accumulator, pane: number): unknown => {
    const column = createColumn(sum.resultField)
    sum.appendResult(pane, column)
    const value = valueAt(column, 0)
    return typeof value === 'bigint' ? Number(value) : value
  }
  return new Map([...panes].map(([name, pane]) => [name, sums.map((sum) => valueOf(sum, pane))]))
}

/** The same, row by row and window by window. */
function naiveSums(
  rows: readonly TimedRow[],
  { sizeMs, hopMs, offsetMs }: HoppingSpec,
  allowedLatenessMs: number,
): { readonly sums: ReadonlyMap<string, readonly unknown[]>; readonly late: number } {
  const windows = new Map<string, { readonly timeMs: number; readonly value: number }[]>()
  let late = 0
  for (const { row, timeMs, watermarkMs } of rows) {
    const { sensor, value } = row as { sensor: string | null; value: number }
    let onTime = false
    const lastMs = Math.floor((timeMs - offsetMs) / hopMs) * hopMs + offsetMs
    for (let startMs = lastMs; startMs > timeMs - sizeMs; startMs -= hopMs) {
      if (watermarkMs >= startMs + sizeMs + allowedLatenessMs) continue
      onTime = true
      const name = JSON.stringify([sensor, startMs])
      windows.set(name, [...(windows.get(name) ?? []), { timeMs, value }])
    }
    if (!onTime) late++
  }
  const sums = [...windows].map(([name, held]) => {
    const values = held.toSorted((a, b) => a.timeMs - b.timeMs).map(({ value }) => value)
    return [name, [values.length, values.reduce((sum, value) => sum + value, 0), values.slice(0, 5)]] as const
  })
  return { sums: new Map(sums), late }
}

describe('hopping windows', () => {
  it('hold each row as often as they overlap, and leave out the windows that it is too late for', () => {
    //  -4   -2    0    2    4        size 4, hop 2
    //   [---------)
    //        [---------)
    //             [---------)
    //   -1 in both of the first; then 1, with W = 1; then −1 again, late for the first alone
    const rows = timed(
      [
        { sensor: 'a', at: -1, value: 1 },
        { sensor: 'a', at: 1, value: 2 },
        { sensor: 'a', at: -1, value: 4 },
        { sensor: 'a', at: -3, value: 8 },
      ],
      0,
    )
    const plan = sumsBySensor(hopping(millis(4), { every: millis(2) }))
    const run = runWindowStep(plan, rows)
    expect(sumsOf(plan, run.slices)).toEqual(
      new Map([
        ['["a",-4]', [1, 1, [1]]],
        ['["a",-2]', [3, 7, [1, 4, 2]]],
        ['["a",0]', [1, 2, [2]]],
      ]),
    )
    expect(run.late).toBe(1)
    expect(run.refusals).toMatchObject([
      { reason: 'late', stage: 'sums', message: expect.stringContaining('1970-01-01T00:00:00.000Z') },
    ])
  })

  it('are what adding each row to each of its windows gives, however the rows are split', () => {
    const row = fc.record({
      sensor: fc.constantFrom('a', 'b', null),
      at: fc.integer({ min: -60, max: 60 }),
      value: fc.integer({ min: 0, max: 9 }),
    })
    const sizes = fc.integer({ min: 1, max: 7 }).chain((hop) =>
      fc.record({
        hop: fc.constant(hop),
        size: fc.integer({ min: hop, max: 30 }),
        offset: fc.integer({ min: -9, max: 9 }),
        lateness: fc.integer({ min: 0, max: 12 }),
        bound: fc.integer({ min: 0, max: 20 }),
      }),
    )
    const split = fc.record({
      rangeRows: fc.integer({ min: 1, max: 40 }),
      epochRanges: fc.integer({ min: 1, max: 5 }),
      slices: fc.integer({ min: 1, max: 3 }),
    })
    const property = fc.property(
      // Few rows of a key are sent as they are, more as windows.
      fc.array(row, { minLength: 1, maxLength: 120, size: 'max' }),
      sizes,
      split,
      (rows, { hop, size, offset, lateness, bound }, ranges) => {
        const window = hopping(millis(size), { every: millis(hop), offset: millis(offset) })
        const inOrder = timed(rows, bound)
        const plan = sumsBySensor(window, lateness)
        const run = runWindowStep(plan, inOrder, ranges)
        const naive = naiveSums(inOrder, window, lateness)
        expect(sumsOf(plan, run.slices)).toEqual(naive.sums)
        expect([run.late, run.refusals.length]).toEqual([naive.late, naive.late])
      },
    )
    fc.assert(property, { numRuns: 150 })
  })
})

describe('hopping windows of few rows and of many', () => {
  it('have the same results in one epoch and in any other number', async () => {
    const sketches = readings
      .keyBy('sensor')
      .window(hopping(millis(40), { every: millis(5) }), { allowedLateness: millis(20) })
      .aggregate('sketches', ({ collect, countDistinct, median, topK, avg, last }) => ({
        values: collect('value', { max: 4 }),
        distinct: countDistinct('value', { exactMax: 3 }),
        middle: median('value'),
        top: topK('value', { by: 'at', k: 2 }),
        mean: avg('value'),
        newest: last('value'),
      }))
    const program = pipeline({ name: 'hops', tables: [gold('sketches', sketches)], mergeParallelism: 2 })
    const records = Array.from({ length: 150 }, (_, i) =>
      reading(i + ((i * 7919) % 13), {
        sensor: `s${i < 100 ? 0 : i % 9}`,
        value: (i * 31) % 17,
        partition: i % 2,
      }),
    )
    const whole = await replay(program, { records })
    expect(whole.rows('gold/sketches').length).toBeGreaterThan(100)
    for (const epochRows of [1, 6, 40]) {
      const split = await replay(program, { records, epochRows, batchRecords: 4 })
      expect(split.text('gold/sketches').replace(/"revision":\d+/g, '')).toBe(
        whole.text('gold/sketches').replace(/"revision":\d+/g, ''),
      )
    }
  })
})

describe('a global window', () => {
  it('is one for each key, and nothing is late', () => {
    const all = readings
      .keyBy('sensor')
      .window(globalWindow(), { early: { rows: 1 } })
      .aggregate('all', ({ count, sum }) => ({ rows: count(), total: sum('value') }))
    const plan = compilePlan(pipeline({ name: 'all', tables: [gold('all', all)] }), ['readings']).results[0]!
    const rows = timed(
      [5, -900, 1e12, 0].map((at) => ({ sensor: at > 0 ? 'up' : 'down', at, value: 1 })),
      0,
    )
    const run = runWindowStep(plan, rows)
    expect(run.late).toBe(0)
    expect(run.slices[0]).toMatchObject([{ keys: [['up', 'down']], windowStartsMs: [0, 0] }])
    expect(plan.resultFields.slice(0, 3)).toMatchObject([
      { name: 'sensor' },
      { name: 'window_start', nullable: true },
      { name: 'window_end', nullable: true },
    ])
  })
})

describe('days of a time zone', () => {
  it('take a row of 23:30 in the morning of the next day in UTC', () => {
    const days = readings
      .keyBy('sensor')
      .window(tumbling('day', { timeZone: 'America/New_York' }), { allowedLateness: hours(1) })
      .aggregate('days', ({ count, sum }) => ({ rows: count(), total: sum('value') }))
    const plan = compilePlan(pipeline({ name: 'days', tables: [gold('days', days)] }), ['readings'])
    const times = ['2024-03-10T04:30Z', '2024-03-10T05:00Z', '2024-03-11T03:59Z', '2024-03-11T04:00Z']
    const rows = timed(
      times.map((at) => ({ sensor: 'a', at: Date.parse(at), value: 1 })),
      0,
    )
    expect(runWindowStep(plan.results[0]!, rows).slices[0]![0]).toMatchObject({
      windowStartsMs: ['2024-03-09T05:00Z', '2024-03-10T05:00Z', '2024-03-11T04:00Z'].map((at) =>
        Date.parse(at),
      ),
      states: [[1, 2, 1], expect.anything()],
    })
  })
})

describe('keys', () => {
  const rows = timed(
    Array.from({ length: 40 }, (_, at) => ({ sensor: `s${at % 7}`, at, value: at })),
    0,
  )

  it('may be computed: rows for which the function throws, or gives what does not fit, are dead letters', () => {
    const parity = computed('parity', 'int', ({ value }: Reading) => {
      if (value === 3) throw new Error('three')
      return value === 4 ? 0.5 : value! % 2
    })
    const counts = readings
      .keyBy(parity, 'sensor')
      .window(tumbling(millis(1000)), { allowedLateness: millis(0) })
      .aggregate('counts', ({ count }) => ({ rows: count() }))
    const plan = compilePlan(pipeline({ name: 'keys', tables: [gold('counts', counts)] }), ['readings'])
      .results[0]!
    for (const rangeRows of [1, 7, 40]) {
      const { slices, refusals } = runWindowStep(plan, rows, { rangeRows, epochRanges: 100 })
      expect(slices[0]![0]!.keys[0]!.length).toBe(14)
      expect(slices[0]![0]!.states[0]!.reduce((sum: number, count) => sum + Number(count), 0)).toBe(38)
      expect(refusals).toMatchObject([
        { reason: 'processing', stage: 'counts', message: 'three' },
        { reason: 'invalid', stage: 'counts', message: expect.stringContaining('parity is 0.5') },
      ])
      expect(refusals[0]!.stack).not.toContain('millraceStep')
    }
  })

  it('may be none: all rows are one group', () => {
    const counts = readings
      .keyBy()
      .window(tumbling(millis(10)), { allowedLateness: millis(0) })
      .aggregate('counts', ({ count }) => ({ rows: count() }))
    const plan = compilePlan(pipeline({ name: 'none', tables: [gold('counts', counts)] }), ['readings'])
      .results[0]!
    expect(runWindowStep(plan, rows, { slices: 3 }).slices.flat()).toEqual([
      { keys: [], windowStartsMs: [0, 10, 20, 30], states: [[10, 10, 10, 10]] },
    ])
  })

  it('are divided among slices by FNV-1a of their JSON', () => {
    const plan = sumsBySensor(hopping(millis(10), { every: millis(10) }))
    const { slices } = runWindowStep(plan, rows, { slices: 3 })
    const fnv1a = (text: string): number =>
      text
        .split('')
        .reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 16777619), 2166136261) >>> 0
    // Of the published test vectors.
    expect(fnv1a('foobar')).toBe(0xbf9cf968)
    for (const [slice, epochs] of slices.entries()) {
      for (const { keys } of epochs) {
        for (const key of keys[0]!) expect(fnv1a(JSON.stringify([key])) % 3).toBe(slice)
      }
    }
    expect(sumsOf(plan, slices)).toEqual(sumsOf(plan, runWindowStep(plan, rows).slices))
  })
})

describe('a callback of an aggregate that throws', () => {
  it('keeps its row out of every aggregate', () => {
    const counts = readings
      .keyBy('sensor')
      .window(tumbling(millis(1000)), { allowedLateness: millis(0) })
      .aggregate('counts', ({ count, sum, countIf }) => ({
        rows: count(),
        odd: countIf(({ value }) => {
          if (value === 5) throw new RangeError('five')
          return value! % 2 === 1
        }),
        total: sum('value'),
        even: countIf(({ value }) => {
          if (value === 6 || value === 5) throw new RangeError('six')
          return value! % 2 === 0
        }),
      }))
    const plan = compilePlan(pipeline({ name: 'throw', tables: [gold('counts', counts)] }), ['readings'])
      .results[0]!
    const rows = timed(
      Array.from({ length: 10 }, (_, value) => ({ sensor: 'a', at: value, value })),
      0,
    )
    for (const rangeRows of [1, 3, 10]) {
      const { slices, refusals } = runWindowStep(plan, rows, { rangeRows, epochRanges: 100 })
      const [states] = slices[0]!.map((panes) => panes.states.map((column) => column[0]))
      expect(states!.map((state, a) => (a === 2 ? 'sum' : state))).toEqual([8, 4, 'sum', 4])
      expect(refusals.map(({ reason, stage, message }) => [reason, stage, message])).toEqual([
        ['processing', 'counts', 'five'],
        ['processing', 'counts', 'six'],
      ])
    }
  })
})
