import {
  ascending,
  type AvroSchema,
  boundedOutOfOrderness,
  computed,
  countWindow,
  customWatermark,
  days,
  type Decimal,
  globalWindow,
  gold,
  hopping,
  hours,
  minutes,
  pipeline,
  punctuated,
  seconds,
  session,
  silver,
  sliding,
  stream,
  topic,
  tumbling,
} from 'millrace'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { Trip } from '../../schemas/trip.ts'
import { EveryType } from '../codegen/golden/every-type.ts'

/** As in programs.test.ts: `npx tsc -p test` is the judge. */
const watermark = boundedOutOfOrderness(seconds(30))
const trips = stream('trips', Trip, { eventTime: 'pickupAt', watermark })
const every = stream('every', EveryType, { eventTime: 'aTimestampMicros', watermark })
const allowedLateness = minutes(5)
const zones = trips.keyBy('zone').window(tumbling(minutes(1)), { allowedLateness })

describe('watermarks', () => {
  test('of a field take timestamps, nullable or not', () => {
    stream('every', EveryType, { eventTime: 'aTimestampMicros', watermark: punctuated('aTimestampMillis') })
    stream('every', EveryType, {
      eventTime: 'aTimestampMicros',
      watermark: ascending({ idleAfter: minutes(1) }),
    })
  })

  test('of a function see the row', () => {
    stream('trips', Trip, {
      eventTime: 'pickupAt',
      watermark: customWatermark((row, eventTimeMs) => {
        expectTypeOf(row).toEqualTypeOf<Trip>()
        expectTypeOf(eventTimeMs).toEqualTypeOf<number>()
        return row.stored ? null : row.dropoffAt
      }),
    })
  })
})

describe('keys', () => {
  test('may be computed from the typed row', () => {
    const hourly = trips
      .keyBy(
        'zone',
        computed('hour_of_day', 'int', (row) => {
          expectTypeOf(row).toEqualTypeOf<Trip>()
          return new Date(row.pickupAt).getUTCHours()
        }),
        computed('promo_code', ['null', 'string'], (row) => row.promo),
      )
      .window(tumbling('day'), { allowedLateness })
      .aggregate('hourly', ({ count }) => ({ trips: count() }))
    expectTypeOf<NonNullable<typeof hourly.row>>().toEqualTypeOf<{
      readonly zone: number
      readonly hour_of_day: number
      readonly promo_code: string | null
      readonly window_start: number
      readonly window_end: number
      readonly trips: bigint
      readonly revision: number
    }>()
    expectTypeOf<NonNullable<typeof hourly.result>>().toEqualTypeOf<{
      readonly zone: 'int'
      readonly hour_of_day: 'int'
      readonly promo_code: 'string?'
      readonly window_start: 'timestamp-millis'
      readonly window_end: 'timestamp-millis'
      readonly trips: 'long'
      readonly revision: 'int'
    }>()
    expect(gold('hourly', hourly, { partitionBy: ['hour_of_day', 'promo_code'] }).partitionBy).toHaveLength(2)
  })

  test('may be none', () => {
    const all = trips
      .keyBy()
      .window(globalWindow())
      .aggregate('all', ({ count }) => ({ trips: count() }))
    expectTypeOf<NonNullable<typeof all.row>>().toEqualTypeOf<{
      readonly window_start: null
      readonly window_end: null
      readonly trips: bigint
      readonly revision: number
    }>()
  })
})

test('aggregates give the values that their fields have', () => {
  const all = every
    .keyBy()
    .window(countWindow(10), { allowedLateness })
    .aggregate('all', (agg) => ({
      counted: agg.countIf((row) => row.anInt > 0),
      longs: agg.sum('nullableLong'),
      money: agg.sum('aDecimal'),
      floats: agg.sum('aFloat'),
      spread: agg.stddev('aLong', { of: 'population' }),
      variance: agg.variance('aLong'),
      first: agg.first('anEnum'),
      last: agg.last('aTimestampMicros'),
      least: agg.minBy('aString', 'aDouble'),
      most: agg.maxBy('nullableLong', 'aRecord.street'),
      users: agg.countDistinct('aUuid', { exactMax: 10 }),
      p99: agg.quantile('aDouble', 0.99, { accuracy: 0.001 }),
      median: agg.median('aDouble'),
      quartiles: agg.quantiles('aDouble', [0.25, 0.75]),
      top: agg.topK('aString', { k: 3, by: 'aLong' }),
      usual: agg.mostFrequent('anInt', { k: 3 }),
      some: agg.collect('aBoolean', { max: 100 }),
      longest: agg.custom({
        type: ['null', 'string'],
        init: () => '',
        add: (state, row) => (row.aString.length > state.length ? row.aString : state),
        merge: (left, right) => (left.length > right.length ? left : right),
        result: (state) => (state === '' ? null : state),
      }),
      pairs: agg.custom({
        type: { type: 'array', items: 'long' },
        init: (): { seen: number } => ({ seen: 0 }),
        add: (state) => ({ seen: state.seen + 1 }),
        merge: (left, right) => ({ seen: left.seen + right.seen }),
        result: (state) => [BigInt(state.seen)],
      }),
    }))
  all.having('some', (row) => {
    expectTypeOf(row.counted).toEqualTypeOf<bigint>()
    expectTypeOf(row.longs).toEqualTypeOf<bigint | null>()
    expectTypeOf(row.money).toEqualTypeOf<Decimal | null>()
    expectTypeOf(row.floats).toEqualTypeOf<number | null>()
    expectTypeOf(row.spread).toEqualTypeOf<number | null>()
    expectTypeOf(row.first).toEqualTypeOf<'red' | 'green' | null>()
    expectTypeOf(row.last).toEqualTypeOf<bigint | null>()
    expectTypeOf(row.least).toEqualTypeOf<string | null>()
    expectTypeOf(row.most).toEqualTypeOf<bigint | null>()
    expectTypeOf(row.users).toEqualTypeOf<bigint>()
    expectTypeOf(row.p99).toEqualTypeOf<number | null>()
    expectTypeOf(row.quartiles).toEqualTypeOf<readonly number[] | null>()
    expectTypeOf(row.top).toEqualTypeOf<readonly string[] | null>()
    expectTypeOf(row.usual).toEqualTypeOf<readonly number[] | null>()
    expectTypeOf(row.some).toEqualTypeOf<readonly boolean[] | null>()
    expectTypeOf(row.longest).toEqualTypeOf<string | null>()
    expectTypeOf(row.pairs).toEqualTypeOf<readonly bigint[]>()
    expectTypeOf(row.window_number).toEqualTypeOf<bigint>()
    return true
  })
  type Kinds = NonNullable<typeof all.result>
  expectTypeOf<Pick<Kinds, 'first' | 'top' | 'longest' | 'pairs' | 'users'>>().toEqualTypeOf<{
    readonly first: 'enum'
    readonly top: 'array'
    readonly longest: 'string?'
    readonly pairs: 'array'
    readonly users: 'long'
  }>()
})

describe('results', () => {
  const zoneMinutes = zones.aggregate('zone_minutes', ({ count, sum }) => ({
    trips: count(),
    revenue: sum('total'),
  }))
  const busy = zoneMinutes.having('busy', (row) => {
    expectTypeOf(row).toEqualTypeOf<{
      readonly zone: number
      readonly window_start: number
      readonly window_end: number
      readonly trips: bigint
      readonly revenue: number | null
      readonly revision: number
    }>()
    return row.trips > 10n
  })

  test('are the rows of windows above them', () => {
    const best = busy
      .keyBy()
      .window(tumbling(hours(1)))
      .aggregate('best', ({ maxBy, sum }) => ({ zone: maxBy('zone', 'trips'), trips: sum('trips') }))
    expectTypeOf<NonNullable<typeof best.row>['zone']>().toEqualTypeOf<number | null>()
    expectTypeOf<NonNullable<typeof best.row>['trips']>().toEqualTypeOf<bigint | null>()
    const spec = pipeline({
      name: 'taxi',
      tables: [
        gold('zone_minutes', zoneMinutes, { revisions: 'all' }),
        gold('busy', busy),
        gold('best', best, { revisions: 'newest' }),
      ],
      topics: [topic('busy', busy)],
      mergeParallelism: 4,
      limits: { panesMax: 1_000_000 },
    })
    expect(spec.mergeParallelism).toBe(4)
  })

  test('of unique are rows, for silver tables, topics and windows', () => {
    const once = trips.unique('once', {
      by: ['tripId'],
      within: days(1),
      allowedLateness,
      late: 'side-table',
    })
    const counts = once
      .keyBy('zone')
      .window(hopping(hours(1), { every: minutes(5) }))
      .aggregate('counts', ({ count }) => ({ trips: count() }))
    const spec = pipeline({
      name: 'once',
      tables: [silver('once', once), silver('late', once.late), gold('counts', counts)],
    })
    expect(spec.tables).toHaveLength(3)
  })
})

test('every window has the options that it can have', () => {
  const keyed = trips.keyBy('zone')
  keyed.window(tumbling('week', { timeZone: 'Europe/Berlin', weekStartsOn: 'sunday' }), {
    allowedLateness,
    early: { every: seconds(10), rows: 1_000 },
    refine: true,
  })
  keyed.window(session(minutes(30), { gapField: 'passengerCount' }), { allowedLateness, refine: true })
  keyed.window(session(minutes(30)), { allowedLateness })
  keyed.window(sliding(minutes(10)), { allowedLateness, late: 'drop' })
  keyed.window(globalWindow(), { early: { every: minutes(1) } })
  expectTypeOf(keyed).not.toBeAny()
})

test('programs of a schema that only the run knows compile', () => {
  const unknown: AvroSchema = { avro: Trip.avro }
  const rows = stream('unknown', unknown, { eventTime: 'pickupAt', watermark })
  const counts = rows
    .keyBy(
      'zone',
      computed('day', 'int', () => 1),
    )
    .window(session(minutes(1), { gapField: 'passengerCount' }), { allowedLateness })
    .aggregate('counts', ({ count, topK }) => ({ trips: count(), top: topK('vendor', { k: 1, by: 'fare' }) }))
    .having('some', (row: unknown) => row !== null)
  expect(gold('counts', counts, { partitionBy: 'zone' }).layer).toBe('gold')
})

const once = trips.unique('once', { by: 'tripId', within: hours(1), allowedLateness })
const counted = zones.aggregate('counted', ({ count }) => ({ trips: count() }))

const everything = every.keyBy().window(tumbling('day'), { allowedLateness })
const rowCount = {
  type: 'int',
  init: () => 0,
  add: (state: number) => state + 1,
  merge: (left: number, right: number) => left + right,
  result: (state: number) => state,
} as const

/** Never called: these programs are for the compiler alone. */
export const WRONG = [
  // @ts-expect-error a double is no time
  () => stream('trips', Trip, { eventTime: 'pickupAt', watermark: punctuated('fare') }),
  // @ts-expect-error no such field
  () => stream('trips', Trip, { eventTime: 'pickupAt', watermark: punctuated('nothing') }),
  // @ts-expect-error a watermark is a number of milliseconds
  () => stream('trips', Trip, { eventTime: 'pickupAt', watermark: customWatermark((row) => row.vendor) }),
  // @ts-expect-error no such field
  () => stream('trips', Trip, { eventTime: 'pickupAt', watermark: customWatermark((row) => row.nothing) }),

  // @ts-expect-error a double cannot be a key
  () => trips.keyBy(computed('fare', 'double', (row) => row.fare)),
  // @ts-expect-error the function gives a string
  () => trips.keyBy(computed('vendor', 'int', (row) => row.vendor)),
  // @ts-expect-error no such field
  () => trips.keyBy(computed('hour', 'int', (row) => row.nothing)),

  // @ts-expect-error a hop is needed
  () => hopping(minutes(5)),
  // @ts-expect-error no such unit
  () => tumbling('year'),
  // @ts-expect-error a day begins at midnight
  () => tumbling('day', { weekStartsOn: 'monday' }),
  // @ts-expect-error no such day
  () => tumbling('week', { weekStartsOn: 'caturday' }),
  // @ts-expect-error a gap is a whole number
  () => trips.keyBy('zone').window(session(minutes(1), { gapField: 'fare' }), { allowedLateness }),
  // @ts-expect-error final only
  () => trips.keyBy('zone').window(sliding(minutes(1)), { allowedLateness, refine: true }),
  // @ts-expect-error final only
  () => trips.keyBy('zone').window(countWindow(10), { allowedLateness, early: { rows: 1 } }),
  // @ts-expect-error a global window has no end
  () => trips.keyBy('zone').window(globalWindow(), { refine: true }),
  // @ts-expect-error lateness is a decision
  () => trips.keyBy('zone').window(sliding(minutes(1)), {}),
  // @ts-expect-error 10 of what?
  () => trips.keyBy('zone').window(tumbling(minutes(1)), { allowedLateness, early: { every: 10 } }),

  // @ts-expect-error a string has no spread
  () => zones.aggregate('wrong', ({ stddev }) => ({ x: stddev('vendor') })),
  // @ts-expect-error a record is not one value
  () => zones.aggregate('wrong', ({ first }) => ({ x: first('pickup') })),
  // @ts-expect-error an array is not one value
  () => everything.aggregate('wrong', ({ collect }) => ({ x: collect('anArray', { max: 1 }) })),
  // @ts-expect-error an enum has no order
  () => zones.aggregate('wrong', ({ maxBy }) => ({ x: maxBy('zone', 'paymentType') })),
  // @ts-expect-error a bound is needed
  () => zones.aggregate('wrong', ({ collect }) => ({ x: collect('zone') })),
  // @ts-expect-error how many?
  () => zones.aggregate('wrong', ({ topK }) => ({ x: topK('zone', { by: 'fare' }) })),
  // @ts-expect-error not a boolean
  () => zones.aggregate('wrong', ({ countIf }) => ({ x: countIf((row) => row.fare) })),
  // @ts-expect-error the result is no int
  () => zones.aggregate('wrong', ({ custom }) => ({ x: custom({ ...rowCount, result: String }) })),
  // @ts-expect-error the state is a number
  () => zones.aggregate('wrong', ({ custom }) => ({ x: custom({ ...rowCount, add: () => 'one' }) })),

  // @ts-expect-error no such column
  () => counted.having('some', (row) => row.nothing > 1n),
  // @ts-expect-error a count is a bigint
  () => counted.keyBy(computed('x', 'int', (row) => row.trips)),
  // @ts-expect-error results are never late
  () => counted.keyBy('zone').window(tumbling(hours(1)), { late: 'side-table' }),
  // @ts-expect-error results are not filtered as rows are
  () => counted.filter('some', () => true),
  // @ts-expect-error unique is the last step but windows
  () => once.filter('some', () => true),
  // @ts-expect-error rows of unique are no results of windows
  () => gold('once', once),
  // @ts-expect-error the default is a dead letter
  () => silver('late', once.late),
  // @ts-expect-error a horizon is needed
  () => trips.unique('once', { by: 'tripId', allowedLateness }),
  // @ts-expect-error lateness is a decision
  () => trips.unique('once', { by: 'tripId', within: hours(1) }),
  // @ts-expect-error all or newest
  () => gold('counted', counted, { revisions: 'last' }),
  // @ts-expect-error rows have no revisions
  () => silver('trips', trips, { revisions: 'all' }),
]
