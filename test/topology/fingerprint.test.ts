import {
  atLeast,
  avroSchema,
  boundedOutOfOrderness,
  bronze,
  gold,
  minutes,
  oneOf,
  pipeline,
  type PipelineSpec,
  satisfies,
  seconds,
  silver,
  stream,
  tumbling,
} from 'millrace'
import { describe, expect, test } from 'vitest'
import { Trip } from '../../schemas/trip.ts'
import { diffFingerprints, fingerprintOf } from '../../src/topology/fingerprint.ts'
import type { AggregateNode, SourceNode } from '../../src/topology/node.ts'
import { rides } from './rides.ts'
import { taxi } from './trips.ts'

interface Variant {
  readonly bound?: number
  readonly avro?: unknown
  readonly rule?: ReturnType<typeof atLeast>
  readonly predicate?: (row: Trip) => boolean
  readonly size?: number
  readonly late?: 'drop' | 'dead-letter'
  readonly partitionBy?: 'vendor' | 'zone'
  readonly compression?: 'zstd'
  readonly breaker?: false
  readonly extraTable?: boolean
}

function program(variant: Variant = {}): PipelineSpec {
  const trips = stream(
    'trips',
    avroSchema<Trip, { pickupAt: 'timestamp-millis'; fare: 'double'; vendor: 'string'; zone: 'int' }>(
      variant.avro ?? Trip.avro,
    ),
    {
      eventTime: 'pickupAt',
      watermark: boundedOutOfOrderness(seconds(variant.bound ?? 30)),
    },
  )
  const clean = trips
    .expect('sane', { fare: variant.rule ?? atLeast(0) })
    .filter('paid', variant.predicate ?? ((row) => row.total > 0))
  const counts = clean
    .keyBy('zone')
    .window(tumbling(minutes(variant.size ?? 1)), {
      allowedLateness: minutes(5),
      late: variant.late ?? 'dead-letter',
    })
    .aggregate('counts', ({ count }) => ({ trips: count() }))
  const compression = variant.compression ?? 'snappy'
  return pipeline({
    name: 'taxi',
    tables: [
      bronze('trips', trips, { compression }),
      silver('trips', clean, { partitionBy: variant.partitionBy ?? 'vendor' }),
      gold('counts', counts),
      ...(variant.extraTable === true ? [silver('raw', trips)] : []),
    ],
    circuitBreaker: variant.breaker ?? {},
  })
}

function changes(variant: Variant): readonly string[] {
  return diffFingerprints(fingerprintOf(program()), fingerprintOf(program(variant))).map(
    ({ step, kind }) => `${step} ${kind}`,
  )
}

function edited(
  edit: (avro: { doc?: string; fields: { name: string; doc?: string; default?: unknown }[] }) => void,
): unknown {
  const avro = structuredClone(Trip.avro) as Parameters<typeof edit>[0]
  edit(avro)
  return avro
}

/** The same program over another source. */
function replaced(spec: PipelineSpec, source: SourceNode): PipelineSpec {
  const nodes = new Map<unknown, unknown>([[spec.source, source]])
  const copy = (node: { readonly input?: unknown }): unknown => {
    if (!nodes.has(node)) nodes.set(node, { ...node, input: copy(node.input as typeof node) })
    return nodes.get(node)
  }
  const [tables, topics] = [spec.tables.map(copy), (spec.topics ?? []).map(copy)]
  return { ...spec, source, tables, topics } as PipelineSpec
}

describe('a fingerprint', () => {
  test('is the same for the same program, and has an entry for each step and table', () => {
    expect(fingerprintOf(taxi())).toEqual(fingerprintOf(taxi()))
    expect(Object.keys(fingerprintOf(taxi()).steps)).toEqual([
      'trips',
      'sane',
      'paid',
      'once',
      'zone_minutes',
      'bronze/trips',
      'silver/trips',
      'gold/zone_minutes',
      'silver/late_trips',
    ])
  })

  test('stays the same from release to release: it is in every lake', async () => {
    // The callback is left out, whose text depends on how the tests are compiled; what is below it counts by itself.
    const { steps } = fingerprintOf(program())
    const own = (step: string) => steps[step]!.split('-')[0]
    const stable = {
      trips: steps['trips'],
      sane: steps['sane'],
      counts: own('counts'),
      'silver/trips': own('silver/trips'),
      'gold/counts': own('gold/counts'),
    }
    await expect(`${JSON.stringify(stable, null, 2)}\n`).toMatchFileSnapshot(
      new URL('golden/fingerprint.json', import.meta.url).pathname,
    )
  })

  test.each<[string, Variant, readonly string[]]>([
    ['the watermark', { bound: 31 }, ['trips changed']],
    [
      'a field of the schema',
      { avro: edited(({ fields }) => (fields[0]!.default = 'none')) },
      ['trips changed'],
    ],
    ['a rule', { rule: atLeast(1) }, ['sane changed']],
    ['the values of a rule', { rule: oneOf(1, 2) as never }, ['sane changed']],
    ['the test of a rule', { rule: satisfies((value: unknown) => value !== 1) }, ['sane changed']],
    ['the body of a callback', { predicate: (row) => row.total > 1 }, ['paid changed']],
    ['the size of a window', { size: 2 }, ['counts changed']],
    ['the late policy', { late: 'drop' }, ['counts changed']],
    ['the folders of a table', { partitionBy: 'zone' }, ['silver/trips changed']],
    ['the tables', { extraTable: true }, ['silver/raw added']],
  ])('tells that %s changed, and names the step', (_what, variant, expected) => {
    expect(changes(variant)).toEqual(expected)
    expect(fingerprintOf(program(variant)).pipeline).not.toBe(fingerprintOf(program()).pipeline)
  })

  test.each<[string, Variant]>([
    ['compression', { compression: 'zstd' }],
    ['the circuit breaker', { breaker: false }],
    [
      'documentation',
      {
        avro: edited((avro) => {
          avro.doc = 'Other words.'
          avro.fields[0]!.doc = 'An id.'
        }),
      },
    ],
    // biome-ignore format: the blanks are the point
    ['blanks and comments in a callback', { predicate: (row) => row.total   > /* nothing */   0 }],
  ])('does not depend on %s', (_what, variant) => {
    expect(fingerprintOf(program(variant))).toEqual(fingerprintOf(program()))
  })

  test('changes downstream of a change as well, which the difference does not name', () => {
    const before = fingerprintOf(program()).steps
    const after = fingerprintOf(program({ rule: atLeast(1) })).steps
    const differing = Object.keys(before).filter((step) => before[step] !== after[step])
    expect(differing).toEqual(['sane', 'paid', 'counts', 'silver/trips', 'gold/counts'])
  })

  test('says what a changed step was and is', () => {
    const before = fingerprintOf(program())
    const after = fingerprintOf(program({ size: 2, predicate: (row) => row.total > 1, rule: atLeast(1) }))
    expect(diffFingerprints(before, after)).toEqual([
      {
        step: 'counts',
        kind: 'changed',
        was: ['tumbling windows of 1 min'],
        is: ['tumbling windows of 2 min'],
      },
      {
        step: 'paid',
        kind: 'changed',
        was: [expect.stringMatching(/^predicate: .*0/)],
        is: [expect.stringMatching(/^predicate: .*1/)],
      },
      { step: 'sane', kind: 'changed', was: ['fare at least 0'], is: ['fare at least 1'] },
    ])
  })

  test('says only that a step has changed where a lake of before has no texts', () => {
    const { pipeline: whole, steps } = fingerprintOf(program())
    const changed = diffFingerprints({ pipeline: whole, steps }, fingerprintOf(program({ size: 2 })))
    expect(changed).toEqual([{ step: 'counts', kind: 'changed' }])
  })

  test('has an entry for results and what is over them, and none for alignment, limits and merge tasks', () => {
    const { steps } = fingerprintOf(rides())
    expect(Object.keys(steps).join(' ')).toBe(
      'trips once zone_hours busy best visits recent batches total ' +
        'silver/once silver/late gold/zone_hours gold/busy gold/best gold/visits gold/recent gold/batches gold/total ' +
        'topic/busy-zones topic/batches topic/trips-once',
    )
    const spec = rides()
    const { alignWithinMs: _, ...watermark } = spec.source.watermark!
    const plain = replaced(spec, { ...spec.source, watermark })
    expect(fingerprintOf({ ...plain, mergeParallelism: 1, limits: {} }).steps).toEqual(steps)
  })

  test.each<[string, (node: AggregateNode) => AggregateNode, readonly string[]]>([
    [
      'a trigger',
      (node) => ({ ...node, trigger: { refine: true } }),
      ['early results of windows that have changed, every 10 s of arrival time or 1,000 rows'],
    ],
    [
      'a computed key',
      (node) => ({ ...node, keyBy: ['zone', { name: 'hour_of_day', type: 'int', of: () => 7 }] }),
      [expect.stringMatching(/^hour_of_day\.of: .*getUTCHours/)],
    ],
    [
      'a function of an aggregate',
      (node) => ({
        ...node,
        aggregates: node.aggregates.map(({ name, spec }) =>
          spec.kind === 'custom' ? { name, spec: { ...spec, init: () => 1 } } : { name, spec },
        ),
      }),
      [expect.stringMatching(/^miles\.init: .*0/)],
    ],
    [
      'an option of an aggregate',
      (node) => ({
        ...node,
        aggregates: node.aggregates.map(({ name, spec }) =>
          spec.kind === 'count-distinct' ? { name, spec: { ...spec, exactMax: 5 } } : { name, spec },
        ),
      }),
      [expect.stringContaining('exact up to 1,000 values')],
    ],
  ])('tells that %s of a window changed', (_what, edit, was) => {
    const before = rides()
    const table = before.tables.find(({ name }) => name === 'zone_hours')!
    const one = (input: AggregateNode) => ({ ...before, tables: [{ ...table, input }], topics: [] })
    const node = table.input as AggregateNode
    const changes = diffFingerprints(fingerprintOf(one(node)), fingerprintOf(one(edit(node))))
    expect(changes.map(({ step, kind }) => `${step} ${kind}`)).toEqual(['zone_hours changed'])
    expect(changes[0]!.was).toEqual(expect.arrayContaining([...was]))
  })

  test('names what was removed', () => {
    const removed = diffFingerprints(fingerprintOf(program({ extraTable: true })), fingerprintOf(program()))
    expect(removed).toEqual([
      { step: 'silver/raw', kind: 'removed', was: ['silver/raw', 'input: trips'], is: [] },
    ])
  })
})
