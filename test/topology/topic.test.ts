import { bronze, gold, minutes, pipeline, topic, tumbling } from 'millrace'
import { describe, expect, test } from 'vitest'
import { compilePlan } from '../../src/engine/plan.ts'
import { describePipeline } from '../../src/topology/describe.ts'
import { diffFingerprints, fingerprintOf } from '../../src/topology/fingerprint.ts'
import { validatePipeline } from '../../src/topology/validate.ts'
import { tripStream } from './trips.ts'

const trips = tripStream()
const counts = aggregate('counts', 'zone')

function aggregate(name: string, key: 'zone' | 'vendor') {
  return trips
    .keyBy(key)
    .window(tumbling(minutes(1)), { allowedLateness: minutes(5), late: 'side-table' })
    .aggregate(name, ({ count, sum }) => ({ rows: count(), revenue: sum('total') }))
}

const program = (...topics: readonly ReturnType<typeof topic>[]) =>
  pipeline({ name: 'taxi', tables: [bronze('trips', trips)], topics })

describe('an output topic', () => {
  const dropping = trips
    .keyBy('zone')
    .window(tumbling(minutes(1)), { allowedLateness: minutes(5) })
    .aggregate('dropping', ({ count }) => ({ rows: count() }))

  test('needs no table for its aggregate', () => {
    const spec = program(topic('zone-minutes', dropping))
    expect(validatePipeline(spec)).toEqual([])
    expect(spec.topics).toEqual([{ kind: 'topic', name: 'zone-minutes', input: dropping.node }])
    const plan = compilePlan(spec, ['trips'])
    expect(plan.gold).toEqual([])
    expect(plan.results.map(({ node }) => node.name)).toEqual(['dropping'])
  })

  test('has the columns of the gold table, and the fields of keyBy and the window as its key', () => {
    const both = pipeline({
      name: 'taxi',
      tables: [gold('dropping', dropping)],
      topics: [topic('zone-minutes', dropping)],
    })
    const plan = compilePlan(both, ['trips'])
    expect(plan.topics).toHaveLength(1)
    const [{ result: index, shape }] = plan.topics as [(typeof plan.topics)[0]]
    expect(index).toBe(plan.gold[0]!.result)
    expect(shape.topic).toBe('zone-minutes')
    expect(shape.fields).toEqual(plan.gold[0]!.shape.fields)
    expect(shape.keyFields.map(({ name }) => name)).toEqual(['zone', 'window_start', 'window_end'])
  })

  test('is part of the description and of the fingerprint', () => {
    const spec = program(topic('zone-minutes', dropping))
    expect(describePipeline(spec)).toContain('└─ topic/zone-minutes, keyed by zone')
    expect(describePipeline(spec)).toContain(
      'Avro, schemas registered as zone-minutes-key and zone-minutes-value',
    )
    const before = fingerprintOf(program())
    expect(diffFingerprints(before, fingerprintOf(spec))).toContainEqual({
      step: 'topic/zone-minutes',
      kind: 'added',
      was: [],
      is: ['topic/zone-minutes, keyed by zone, window_start, window_end', 'input: dropping'],
    })
  })

  test.each(['', 'a b', '.', '..', 'zone/minutes', 'é', 'x'.repeat(250)])('is not called %j', (name) => {
    expect(() => topic(name, dropping)).toThrow('is not a name for a topic')
  })

  test('takes only results', () => {
    expect(() => topic('trips', trips as never)).toThrow('a topic holds the results of windows')
    expect(() => program(trips as never)).toThrow('topics[0] is no topic')
    expect(() => pipeline({ name: 'a', tables: [bronze('t', trips)], topics: 1 as never })).toThrow(
      'no topic',
    )
  })

  test('is named once', () => {
    expect(() => program(topic('a', dropping), topic('a', dropping))).toThrow('another output has this topic')
  })

  test('leaves late rows where they were: a table takes them where they are kept', () => {
    expect(() => program(topic('a', counts))).toThrow("late: 'side-table' and no table takes them")
  })
})
