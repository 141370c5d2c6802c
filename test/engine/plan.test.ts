import {
  ascending,
  computed,
  countWindow,
  gold,
  hopping,
  millis,
  pipeline,
  silver,
  stream,
  topic,
  tumbling,
} from 'millrace'
import { describe, expect, it } from 'vitest'
import { compilePlan } from '../../src/engine/plan.ts'
import { Reading } from '../support/reading.ts'

const readings = stream('readings', Reading, { eventTime: 'at', watermark: ascending() })
const none = { allowedLateness: millis(0) }

const counts = readings
  .keyBy('sensor')
  .window(tumbling(millis(10)), none)
  .aggregate('counts', ({ count }) => ({ rows: count() }))
const many = counts.having('many', ({ rows }) => rows > 1n).having('few', ({ rows }) => rows < 9n)
const most = many
  .keyBy()
  .window(hopping(millis(100), { every: millis(50) }))
  .aggregate('most', ({ max }) => ({ rows: max('rows') }))

describe('a plan', () => {
  it('has a stage for each window over the results of another, inputs first', () => {
    const plan = compilePlan(pipeline({ name: 'stages', tables: [gold('most', most)] }), ['readings'])
    expect(plan.results.map(({ node, stage, input }) => [node.name, stage, input])).toEqual([
      ['counts', 0, -1],
      ['most', 1, -1],
    ])
    expect([plan.stages, plan.slices]).toEqual([2, 1])
    const [below, above] = plan.results
    expect(below!.from).toBeNull()
    // The filter that is nearest to the window comes first.
    expect(above!.from!.filters.map(({ name }) => name)).toEqual(['many', 'few'])
    expect(above!.rowFields).toBe(below!.resultFields)
    expect(above!.resultFields.map(({ name }) => name)).toEqual([
      'window_start',
      'window_end',
      'rows',
      'revision',
    ])
  })

  it('has no stage where there are no windows', () => {
    const plan = compilePlan(pipeline({ name: 'rows', tables: [silver('readings', readings)] }), ['readings'])
    expect([plan.stages, plan.results]).toEqual([0, []])
  })

  it('takes a silver table of rows that are unique over all partitions as a table of merge tasks', () => {
    const unique = readings.unique('once', {
      by: ['sensor'],
      within: millis(100),
      allowedLateness: millis(0),
    })
    const spec = pipeline({ name: 'unique', tables: [silver('once', unique)], mergeParallelism: 3 })
    const plan = compilePlan(spec, ['readings'])
    expect(plan.silver).toEqual([])
    expect(plan.gold).toMatchObject([{ result: 0, filters: [], shape: { path: 'silver/once' } }])
    expect(plan.results[0]!.resultFields).toBe(plan.sourceFields)
    expect([plan.stages, plan.slices]).toEqual([1, 3])
  })

  it('keys results of a topic by their key and their window', () => {
    const numbered = readings
      .keyBy(
        'sensor',
        computed('even', 'boolean', ({ value }) => value! % 2 === 0),
      )
      .window(countWindow(3), none)
      .aggregate('numbered', ({ sum }) => ({ total: sum('value') }))
    const spec = pipeline({
      name: 'topics',
      tables: [silver('readings', readings)],
      topics: [topic('counts', counts), topic('numbered', numbered)],
    })
    const keys = compilePlan(spec, ['readings']).topics.map(({ shape }) =>
      shape.keyFields.map(({ name }) => name),
    )
    expect(keys).toEqual([
      ['sensor', 'window_start', 'window_end'],
      ['sensor', 'even', 'window_start', 'window_end', 'window_number'],
    ])
  })
})
