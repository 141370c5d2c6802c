import {
  type AvroSchema,
  atLeast,
  avroSchema,
  between,
  boundedOutOfOrderness,
  bronze,
  day,
  gold,
  hour,
  hours,
  lengthBetween,
  matches,
  minutes,
  month,
  notNull,
  oneOf,
  type RowStream,
  satisfies,
  seconds,
  silver,
  stream,
  type TableNode,
  tumbling,
} from 'millrace'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { type PaymentType, type Point, Trip, type TripKinds } from '../../schemas/trip.ts'
import { EveryType } from '../codegen/golden/every-type.ts'

/**
 * What compiles and what must not: `npx tsc -p test` is the judge. Each `@ts-expect-error` stands above the one word
 * that is wrong, so that nothing else can be the reason.
 */
const watermark = boundedOutOfOrderness(seconds(30))
const trips = stream('trips', Trip, { eventTime: 'pickupAt', watermark })
const every = stream('every', EveryType, { eventTime: 'aTimestampMicros', watermark })
const zones = trips.keyBy('zone', 'paymentType').window(tumbling(minutes(1)), { allowedLateness: minutes(5) })
const zoneMinutes = zones.aggregate('zone_minutes', ({ count, sum, min, max, avg }) => ({
  trips: count(),
  promos: count('promo'),
  revenue: sum('total'),
  passengers: sum('passengerCount'),
  first: min('pickupAt'),
  vendor: max('vendor'),
  north: max('pickup.lat'),
  fare: avg('fare'),
}))

describe('rows', () => {
  test('are typed from the schema', () => {
    trips.filter('typed', (row) => {
      expectTypeOf(row).toEqualTypeOf<Trip>()
      expectTypeOf(row.promo).toEqualTypeOf<string | null>()
      expectTypeOf(row.paymentType).toEqualTypeOf<PaymentType>()
      expectTypeOf(row.pickup).toEqualTypeOf<Point>()
      return true
    })
  })

  test('keep their type through expect, filter and dedupe, and change it in map', () => {
    const points = avroSchema<Point, { lat: 'double'; lon: 'double' }>({
      type: 'record',
      name: 'Point',
      fields: [
        { name: 'lat', type: 'double' },
        { name: 'lon', type: 'double' },
      ],
    })
    const kept = trips
      .expect('sane', { fare: atLeast(0) })
      .filter('paid', (row) => row.total > 0)
      .dedupe('once', { by: 'tripId', within: hours(1) })
    expectTypeOf(kept).toEqualTypeOf<RowStream<Trip, TripKinds>>()
    const mapped = kept.map('points', points, (row) => (row.stored ? null : row.pickup))
    expectTypeOf(mapped).toEqualTypeOf<RowStream<Point, { lat: 'double'; lon: 'double' }>>()
  })

  test('may be of a schema that only the run knows: then every name compiles, and is checked when it runs', () => {
    const unknown: AvroSchema = { avro: Trip.avro }
    const rows = stream('unknown', unknown, { eventTime: 'pickupAt', watermark })
    rows.expect('sane', {
      fare: [between(0, 1), satisfies((value: number) => value > 0)],
      vendor: oneOf('a'),
    })
    const sums = rows
      .keyBy('zone')
      .window(tumbling(minutes(1)), { allowedLateness: minutes(0) })
      .aggregate('sums', ({ sum }) => ({ total: sum('total') }))
    expect(gold('sums', sums, { partitionBy: 'zone' }).layer).toBe('gold')
    expect(() => rows.dedupe('once', { by: 'fare', within: hours(1) })).toThrow("'fare' is a double")
  })
})

test('what is right compiles', () => {
  trips.expect('sane', {
    fare: between(0, 1_000),
    'pickup.lat': [between(-90, 90), satisfies((value) => Number.isInteger(value))],
    promo: [notNull(), lengthBetween(1, 20), matches(/^[A-Z]/), satisfies((value) => value.length > 0)],
    paymentType: oneOf('card', 'cash'),
    zone: oneOf(1, 2, 3),
    stored: oneOf(true),
  })
  every.expect('every', {
    aLong: between(0n, 10n),
    aTimestampMicros: atLeast(0),
    aDecimal: between(0, 1_000),
    someBytes: lengthBetween(0, 10),
    anArray: lengthBetween(1, 10),
    aMap: [lengthBetween(0, 5), satisfies((value) => (value['a'] ?? []).length === 0)],
    nullableRecord: [notNull(), satisfies((value) => value.street !== '')],
    'aRecord.country.code': matches(/^[A-Z]{2}$/),
  })
  every.dedupe('once', { by: ['aUuid', 'aDate', 'aRecord.country.code', 'nullableLong'], within: hours(1) })
  const tables: readonly TableNode[] = [
    bronze('trips', trips, {
      partitionBy: [hour('_ingested_at'), '_topic'],
      dictionary: ['vendor', '_topic'],
    }),
    silver('trips', trips, { partitionBy: [day('pickupAt'), 'paymentType'], dictionary: ['vendor', 'zone'] }),
    silver('dates', every, { partitionBy: [month('aDate'), 'aUuid'] }),
    gold('zone_minutes', zoneMinutes, { partitionBy: day('window_start'), dictionary: ['zone', 'vendor'] }),
  ]
  expect(tables).toHaveLength(4)
})

test('the columns of a gold table are typed: keys, window, aggregates', () => {
  type Kinds = NonNullable<typeof zoneMinutes.result>
  expectTypeOf<
    Pick<Kinds, 'zone' | 'window_start' | 'trips' | 'passengers' | 'revenue' | 'first' | 'vendor'>
  >().toEqualTypeOf<{
    readonly zone: 'int'
    readonly window_start: 'timestamp-millis'
    readonly trips: 'long'
    readonly passengers: 'long'
    readonly revenue: 'double'
    readonly first: 'timestamp-millis'
    readonly vendor: 'string'
  }>()
  const nested = every
    .keyBy('aRecord.country.code')
    .window(tumbling(minutes(1)), { allowedLateness: minutes(0) })
    .aggregate('nested', ({ sum }) => ({ money: sum('aDecimal') }))
  expect(gold('nested', nested, { partitionBy: 'aRecord_country_code' }).partitionBy).toHaveLength(1)
})

test('late rows exist only where they are kept', () => {
  const kept = trips
    .keyBy('zone')
    .window(tumbling(minutes(1)), { allowedLateness: minutes(5), late: 'side-table' })
    .aggregate('kept', ({ count }) => ({ trips: count() }))
  expect(silver('late', kept.late, { partitionBy: day('pickupAt') }).input.kind).toBe('late')
  // @ts-expect-error the default is a dead letter
  void (() => silver('late', zoneMinutes.late))
})

/** Never called: these programs are for the compiler alone. */
export const WRONG = [
  // @ts-expect-error a double is no time
  () => stream('trips', Trip, { eventTime: 'fare', watermark }),
  // @ts-expect-error no such field
  () => stream('trips', Trip, { eventTime: 'pickedUpAt', watermark }),
  // @ts-expect-error a local timestamp does not say when
  () => stream('every', EveryType, { eventTime: 'aLocalMillis', watermark }),
  // @ts-expect-error an event time needs a watermark
  () => stream('trips', Trip, { eventTime: 'pickupAt' }),
  // @ts-expect-error 30 of what?
  () => boundedOutOfOrderness(30),
  // @ts-expect-error 60 of what?
  () => tumbling(60),

  // @ts-expect-error no such field
  () => trips.expect('sane', { fair: between(0, 1) }),
  // @ts-expect-error no such field in the record
  () => trips.expect('sane', { 'pickup.latitude': between(0, 1) }),
  // @ts-expect-error a string is not between numbers
  () => trips.expect('sane', { vendor: between(0, 1) }),
  // @ts-expect-error a number has no length
  () => trips.expect('sane', { fare: lengthBetween(0, 1) }),
  // @ts-expect-error not a symbol of the enum
  () => trips.expect('sane', { paymentType: oneOf('card', 'gold') }),
  // @ts-expect-error an int is never a string
  () => trips.expect('sane', { zone: oneOf('1') }),
  // @ts-expect-error a double has no letters
  () => trips.expect('sane', { fare: satisfies((value) => value.length > 0) }),
  // @ts-expect-error a record that may be null is not entered
  () => every.expect('sane', { 'nullableRecord.street': notNull() }),

  // @ts-expect-error no such field
  () => trips.filter('some', (row) => row.fair > 0),
  // @ts-expect-error not a boolean
  () => trips.filter('some', (row) => row.fare),
  // @ts-expect-error a fare is a number
  () => trips.map('same', Trip, (row) => ({ ...row, fare: '1' })),
  // @ts-expect-error all fields but one are missing
  () => trips.map('same', Trip, (row) => ({ fare: row.fare })),

  // @ts-expect-error a double cannot be a key
  () => trips.dedupe('once', { by: 'fare', within: hours(1) }),
  // @ts-expect-error a horizon is needed
  () => trips.dedupe('once', { by: 'tripId' }),
  // @ts-expect-error a double cannot be a key
  () => trips.keyBy('zone', 'fare'),
  // @ts-expect-error a record cannot be a key
  () => trips.keyBy('pickup'),
  // @ts-expect-error an array cannot be a key
  () => every.keyBy('anArray'),
  // @ts-expect-error lateness is a decision
  () => trips.keyBy('zone').window(tumbling(minutes(1)), {}),
  // @ts-expect-error no such policy
  () => trips.keyBy('zone').window(tumbling(minutes(1)), { allowedLateness: minutes(5), late: 'ignore' }),

  // @ts-expect-error a string has no sum
  () => zones.aggregate('wrong', ({ sum }) => ({ total: sum('vendor') })),
  // @ts-expect-error a time has no sum
  () => zones.aggregate('wrong', ({ sum }) => ({ total: sum('pickupAt') })),
  // @ts-expect-error a boolean has no average
  () => zones.aggregate('wrong', ({ avg }) => ({ total: avg('stored') })),
  // @ts-expect-error an enum has no order
  () => zones.aggregate('wrong', ({ max }) => ({ total: max('paymentType') })),
  // @ts-expect-error no such field
  () => zones.aggregate('wrong', ({ count }) => ({ total: count('nothing') })),
  // @ts-expect-error every gold table has this column
  () => zones.aggregate('wrong', ({ count }) => ({ window_end: count() })),
  // @ts-expect-error not an aggregate
  () => zones.aggregate('wrong', () => ({ total: 1 })),

  // @ts-expect-error bronze holds records as they arrive
  () => bronze('trips', trips.dedupe('once', { by: 'tripId', within: hours(1) })),
  // @ts-expect-error silver holds rows
  () => silver('zone_minutes', zoneMinutes),
  // @ts-expect-error gold holds results
  () => gold('trips', trips),
  // @ts-expect-error an int has no day
  () => silver('trips', trips, { partitionBy: day('zone') }),
  // @ts-expect-error a date has no hours
  () => silver('every', every, { partitionBy: hour('aDate') }),
  // @ts-expect-error a folder for each double
  () => silver('trips', trips, { partitionBy: 'fare' }),
  // @ts-expect-error a folder for each millisecond
  () => silver('trips', trips, { partitionBy: 'pickupAt' }),
  // @ts-expect-error silver does not have the columns of bronze
  () => silver('trips', trips, { partitionBy: '_topic' }),
  // @ts-expect-error not a column of the result
  () => gold('zone_minutes', zoneMinutes, { partitionBy: 'vendorId' }),
  // @ts-expect-error no such column
  () => bronze('trips', trips, { dictionary: ['vendors'] }),
  // @ts-expect-error no such codec
  () => bronze('trips', trips, { compression: 'gzip' }),
]
