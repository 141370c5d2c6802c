import {
  atLeast,
  atMost,
  type AvroSchema,
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
  millis,
  minutes,
  month,
  notNull,
  oneOf,
  satisfies,
  seconds,
  silver,
  stream,
  tumbling,
} from 'millrace'
import { describe, expect, test } from 'vitest'
import { Trip } from '../../schemas/trip.ts'
import { EveryType } from '../codegen/golden/every-type.ts'
import { tripStream } from './trips.ts'

/**
 * What a program is told where it was written. The schemas here have no types, as in plain JavaScript, so that the
 * compiler does not stop these programs first.
 */
const untyped = ({ avro }: { readonly avro: unknown }): AvroSchema => ({ avro })
const watermark = boundedOutOfOrderness(seconds(30))
const trips = stream('trips', untyped(Trip), { eventTime: 'pickupAt', watermark })
const every = stream('every', untyped(EveryType), { eventTime: 'aTimestampMicros', watermark })
const window = tumbling(minutes(1))
const counted = (name: string, fields: readonly [string, ...string[]], input = trips) =>
  input
    .keyBy(...fields)
    .window(window, { allowedLateness: minutes(5) })
    .aggregate(name, ({ count }) => ({ rows: count() }))
const aggregated = (
  columns: Parameters<ReturnType<ReturnType<typeof trips.keyBy>['window']>['aggregate']>[1],
) =>
  trips
    .keyBy('zone')
    .window(window, { allowedLateness: minutes(5) })
    .aggregate('sums', columns)
const wrong = (value: unknown): never => value as never

describe('a step', () => {
  test('is plain data with every option resolved', () => {
    const { node } = tripStream().dedupe('once', { by: 'tripId', within: hours(1) })
    expect(node).toEqual({
      kind: 'dedupe',
      name: 'once',
      by: ['tripId'],
      withinMs: 3_600_000,
      input: {
        kind: 'source',
        name: 'trips',
        schema: Trip,
        eventTime: 'pickupAt',
        watermark: {
          kind: 'bounded-out-of-orderness',
          boundMs: 30_000,
          idleAfterMs: 60_000,
          futureLimitMs: 3_600_000,
        },
      },
    })
  })

  test('leaves the stream that it was made from as it was', () => {
    const source = tripStream()
    const one = source.filter('one', () => true)
    const two = source.filter('two', () => true)
    expect([one.node, two.node].map((node) => node.kind === 'filter' && node.input)).toEqual([
      source.node,
      source.node,
    ])
    expect(source.node.kind).toBe('source')
  })

  test('holds its own copy of what it was given', () => {
    const by = ['tripId']
    const { node } = trips.dedupe('once', { by, within: hours(1) })
    by.push('vendor')
    expect(node).toMatchObject({ by: ['tripId'] })
  })

  test('keeps the rules in the order given, several for one field too', () => {
    const { node } = trips.expect('sane', { promo: [notNull(), matches(/^[A-Z]+$/i)], fare: atLeast(0) })
    expect(node).toMatchObject({
      rules: [
        { field: 'promo', rule: { kind: 'not-null' } },
        { field: 'promo', rule: { kind: 'matches', pattern: '^[A-Z]+$', flags: 'i' } },
        { field: 'fare', rule: { kind: 'at-least', min: 0 } },
      ],
    })
  })

  test('has late rows as dead letters unless it says otherwise, so that nothing is lost', () => {
    expect(counted('counts', ['zone']).node.late).toBe('dead-letter')
  })

  test('takes windows that start anywhere', () => {
    const { node } = trips
      .keyBy('zone')
      .window(tumbling(hours(24), { offset: hours(-1) }), { allowedLateness: millis(0) })
      .aggregate('days', ({ count }) => ({ rows: count() }))
    expect(node.window).toEqual({ kind: 'tumbling', sizeMs: 86_400_000, offsetMs: -3_600_000 })
  })
})

const REFUSED: readonly (readonly [string, () => unknown, string, string, string])[] = [
  // what, the program, code, what the message says, what the advice says
  [
    'a name with capitals',
    () => stream('Trips', Trip),
    'INVALID_NAME',
    'stream \'Trips\': "Trips" is not a name',
    'lower-case',
  ],
  [
    'a name with a hyphen',
    () => trips.filter('paid-trips', () => true),
    'INVALID_NAME',
    'paid-trips',
    'lower-case',
  ],
  ['no name', () => stream(wrong(undefined), Trip), 'INVALID_NAME', 'undefined is not a name', 'lower-case'],
  [
    'no schema',
    () => stream('trips', wrong({ type: 'record' })),
    'SCHEMA_INVALID',
    'not a schema',
    'millrace schema types',
  ],
  [
    'a schema that is not valid',
    () => stream('trips', avroSchema({ type: 'recrod' })),
    'SCHEMA_INVALID',
    "stream 'trips': the schema",
    '.avsc',
  ],
  [
    'a schema without rows',
    () => stream('trips', avroSchema('string')),
    'SCHEMA_UNSUPPORTED',
    'a row is a record',
    'Wrap it',
  ],

  [
    'an event time that is a number',
    () => stream('trips', untyped(Trip), { eventTime: 'fare', watermark }),
    'FIELD_TYPE',
    "'fare' is a double, not a timestamp",
    'The timestamps are pickupAt, dropoffAt.',
  ],
  [
    'an event time that does not exist',
    () => stream('trips', untyped(Trip), { eventTime: 'at', watermark }),
    'FIELD_UNKNOWN',
    "no field 'at'",
    'The timestamps are pickupAt, dropoffAt.',
  ],
  [
    'a local event time',
    () => stream('every', untyped(EveryType), { eventTime: 'aLocalMillis', watermark }),
    'FIELD_TYPE',
    'local-timestamp-millis',
    'aTimestampMillis',
  ],
  [
    'an event time without a watermark',
    () => stream('trips', Trip, wrong({ eventTime: 'pickupAt' })),
    'INVALID_OPTION',
    'no watermark',
    'Give both',
  ],
  [
    'a watermark without an event time',
    () => stream('trips', Trip, wrong({ watermark })),
    'INVALID_OPTION',
    'no eventTime',
    'Give both',
  ],
  [
    'a negative bound',
    () =>
      stream('trips', untyped(Trip), {
        eventTime: 'pickupAt',
        watermark: boundedOutOfOrderness(seconds(-1)),
      }),
    'INVALID_DURATION',
    'the bound of the watermark is -1000 ms',
    'minutes(5)',
  ],
  [
    'idle at once',
    () =>
      stream('trips', untyped(Trip), {
        eventTime: 'pickupAt',
        watermark: boundedOutOfOrderness(seconds(1), { idleAfter: seconds(0) }),
      }),
    'INVALID_DURATION',
    'idleAfter is 0 ms',
    'at least one millisecond',
  ],

  [
    'a field that does not exist',
    () => trips.expect('sane', { fair: atLeast(0) }),
    'FIELD_UNKNOWN',
    "expect 'sane': there is no field 'fair'",
    "Did you mean 'fare'?",
  ],
  [
    'a field with other capitals',
    () => trips.expect('sane', { tripid: notNull() }),
    'FIELD_UNKNOWN',
    "'tripid'",
    "Did you mean 'tripId'?",
  ],
  [
    'a field that is not in the record',
    () => trips.expect('sane', { 'pickup.long': notNull() }),
    'FIELD_UNKNOWN',
    "'pickup.long'",
    'The fields are lat, lon.',
  ],
  [
    'a field below one that is no record',
    () => trips.expect('sane', { 'fare.total': notNull() }),
    'FIELD_UNKNOWN',
    "enters 'fare', which is not a record",
    'The fields are',
  ],
  [
    'a field of a record that may be null',
    () => every.expect('sane', { 'nullableRecord.street': notNull() }),
    'FIELD_UNKNOWN',
    'may be null',
    'map step',
  ],
  [
    'a field of a union',
    () => every.expect('sane', { 'aUnion.string': notNull() }),
    'FIELD_UNKNOWN',
    'not a record',
    'The fields are',
  ],
  [
    'bounds for a string',
    () => trips.expect('sane', { vendor: between(0, 1) }),
    'FIELD_TYPE',
    "'vendor' is a string, and between takes numbers",
    'satisfies()',
  ],
  [
    'a pattern for a number',
    () => trips.expect('sane', { fare: matches(/1/) }),
    'FIELD_TYPE',
    'matches takes strings',
    'satisfies()',
  ],
  [
    'the length of a number',
    () => trips.expect('sane', { fare: lengthBetween(1, 2) }),
    'FIELD_TYPE',
    'lengthBetween takes strings',
    'satisfies()',
  ],
  [
    'a symbol that the enum has not',
    () => trips.expect('sane', { paymentType: oneOf('gold') }),
    'FIELD_TYPE',
    'oneOf names "gold", which is none of card, cash',
    'satisfies()',
  ],
  [
    'a string for a number',
    () => trips.expect('sane', { zone: oneOf(1, wrong('2')) }),
    'FIELD_TYPE',
    'oneOf names "2", which it can never be',
    'satisfies()',
  ],
  ['no rules', () => trips.expect('sane', {}), 'INVALID_OPTION', 'has no rules', 'between(0, 1000)'],
  [
    'something that is no rule',
    () => trips.expect('sane', wrong({ fare: 5 })),
    'INVALID_RULE',
    "'fare' has no rule",
    'between(0, 1000)',
  ],
  [
    'bounds the wrong way round',
    () => between(8, 1),
    'INVALID_RULE',
    'between(8, 1) admits nothing',
    'smaller bound first',
  ],
  ['a bound that is no number', () => atMost(wrong('5')), 'INVALID_RULE', 'atMost(5)', 'numbers or bigints'],
  ['no values', () => oneOf(), 'INVALID_RULE', 'admits nothing', 'at least one value'],
  ['a pattern that is text', () => matches(wrong('^a')), 'INVALID_RULE', 'regular expression', 'matches(/'],
  ['a pattern with a memory', () => matches(/a/g), 'INVALID_RULE', 'remember', 'flags g and y'],
  ['a length below zero', () => lengthBetween(-1, 2), 'INVALID_RULE', 'whole numbers', 'Infinity'],
  [
    'a test that is no function',
    () => satisfies(wrong(true)),
    'INVALID_RULE',
    'needs a function',
    'satisfies(',
  ],

  [
    'a filter without a function',
    () => trips.filter('paid', wrong(undefined)),
    'INVALID_OPTION',
    "filter 'paid': has no function",
    'row => boolean',
  ],
  [
    'a map without a function',
    () => trips.map('same', Trip, wrong(undefined)),
    'INVALID_OPTION',
    "map 'same': has no function",
    'row => outRow',
  ],
  [
    'a map without a schema',
    () =>
      trips.map(
        'same',
        wrong((row: unknown) => row),
        () => null,
      ),
    'SCHEMA_INVALID',
    "map 'same'",
    'millrace schema types',
  ],

  [
    'a key that is a double',
    () => trips.dedupe('once', { by: 'fare', within: hours(1) }),
    'FIELD_TYPE',
    "'fare' is a double, which cannot be a key",
    'Keys are',
  ],
  [
    'a key that is a record',
    () => counted('counts', ['pickup']),
    'FIELD_TYPE',
    "'pickup' is a record",
    'Keys are',
  ],
  [
    'a key that is an array',
    () => counted('counts', ['anArray'], every),
    'FIELD_TYPE',
    'array of string',
    'Keys are',
  ],
  ['a key twice', () => counted('counts', ['zone', 'zone']), 'INVALID_OPTION', 'names a field twice', 'once'],
  [
    'no key',
    () => trips.dedupe('once', { by: [], within: hours(1) }),
    'INVALID_OPTION',
    'names no field',
    'at least one',
  ],
  [
    'a key that is not named',
    () => trips.dedupe('once', wrong({ within: hours(1) })),
    'FIELD_UNKNOWN',
    "dedupe 'once': undefined is not a field",
    'tripId',
  ],
  [
    'no horizon',
    () => trips.dedupe('once', wrong({ by: 'tripId' })),
    'INVALID_DURATION',
    'within is not given',
    'minutes(5)',
  ],
  [
    'dedupe without event time',
    () => stream('trips', untyped(Trip)).dedupe('once', { by: 'tripId', within: hours(1) }),
    'NO_EVENT_TIME',
    "stream 'trips' has no event time",
    'eventTime',
  ],

  [
    'windows without event time',
    () => counted('counts', ['zone'], stream('trips', untyped(Trip))),
    'NO_EVENT_TIME',
    "aggregate 'counts'",
    'eventTime',
  ],
  [
    'windows without size',
    () =>
      trips
        .keyBy('zone')
        .window(tumbling(minutes(0)), { allowedLateness: minutes(0) })
        .aggregate('counts', ({ count }) => ({ rows: count() })),
    'INVALID_DURATION',
    'the size of the window is 0 ms',
    'at least one millisecond',
  ],
  [
    'windows without lateness',
    () =>
      trips
        .keyBy('zone')
        .window(window, wrong({}))
        .aggregate('counts', ({ count }) => ({ rows: count() })),
    'INVALID_DURATION',
    'allowedLateness is not given',
    'minutes(5)',
  ],
  [
    'windows of another sort',
    () =>
      trips
        .keyBy('zone')
        .window(wrong('1m'), { allowedLateness: minutes(0) })
        .aggregate('counts', ({ count }) => ({ rows: count() })),
    'INVALID_OPTION',
    'has no window',
    'tumbling',
  ],
  [
    'another late policy',
    () =>
      trips
        .keyBy('zone')
        .window(window, { allowedLateness: minutes(0), late: wrong('ignore') })
        .aggregate('counts', ({ count }) => ({ rows: count() })),
    'INVALID_OPTION',
    'late is "ignore"',
    'side-table',
  ],
  [
    'the sum of a string',
    () => aggregated(({ sum }) => ({ total: sum('vendor') })),
    'FIELD_TYPE',
    "sum('vendor') is of a string",
    'sum takes int, long',
  ],
  [
    'the maximum of a boolean',
    () => aggregated(({ max }) => ({ most: max('stored') })),
    'FIELD_TYPE',
    "max('stored') is of a boolean",
    'max takes numbers',
  ],
  [
    'the average of nothing',
    () => aggregated(({ avg }) => ({ mean: avg('fair') })),
    'FIELD_UNKNOWN',
    "'fair'",
    "Did you mean 'fare'?",
  ],
  ['no aggregates', () => aggregated(() => ({})), 'INVALID_OPTION', 'computes nothing', 'count()'],
  [
    'something that is no aggregate',
    () => aggregated(() => wrong({ total: 5 })),
    'INVALID_OPTION',
    "'total' is not an aggregate",
    'count()',
  ],
  [
    'an aggregate with the name of a key',
    () => aggregated(({ count }) => ({ Zone: count() })),
    'DUPLICATE_NAME',
    "the aggregate 'Zone' has the name of the key 'zone'",
    'ignore case',
  ],
  [
    'an aggregate with the name of a window',
    () => aggregated(({ count }) => wrong({ window_start: count() })),
    'DUPLICATE_NAME',
    'every gold table',
    'ignore case',
  ],
  [
    'an aggregate whose name is no column',
    () => aggregated(({ count }) => ({ 'trips per zone': count() })),
    'INVALID_NAME',
    "'trips per zone'",
    'letters, digits',
  ],

  [
    'bronze of filtered rows',
    () => bronze('trips', wrong(trips.filter('paid', () => true))),
    'WRONG_LAYER',
    'table bronze/trips: bronze holds the records as they arrive',
    'what stream() returned',
  ],
  [
    'silver of results',
    () => silver('counts', wrong(counted('counts', ['zone']))),
    'WRONG_LAYER',
    'silver holds rows',
    'gold()',
  ],
  [
    'gold of rows',
    () => gold('trips', wrong(trips)),
    'WRONG_LAYER',
    'gold holds the results of windows',
    'silver()',
  ],
  ['a table with a wrong name', () => bronze('Trips', trips), 'INVALID_NAME', '"Trips"', 'lower-case'],
  [
    'folders by a double',
    () => silver('trips', trips, { partitionBy: 'fare' }),
    'FIELD_TYPE',
    "cannot be partitioned by 'fare', a double",
    'Partitions are',
  ],
  [
    'folders by a timestamp',
    () => silver('trips', trips, { partitionBy: 'pickupAt' }),
    'FIELD_TYPE',
    'timestamp-millis',
    'day(), hour() or month()',
  ],
  [
    'days of an int',
    () => silver('trips', trips, { partitionBy: day('zone') }),
    'FIELD_TYPE',
    "'zone', an int",
    'day() takes a timestamp or a date',
  ],
  [
    'hours of a date',
    () => silver('every', every, { partitionBy: hour('aDate') }),
    'FIELD_TYPE',
    "'aDate'",
    'hour() takes a timestamp',
  ],
  [
    'months of what does not exist',
    () => silver('every', every, { partitionBy: month('never') }),
    'FIELD_UNKNOWN',
    "'never'",
    'The fields are',
  ],
  [
    'folders by the time of processing',
    () => silver('trips', trips, { partitionBy: day('_processed_at') }),
    'INVALID_OPTION',
    '_processed_at',
    'second run',
  ],
  [
    'folders by a nested field',
    () => silver('every', every, { partitionBy: 'aRecord.street' }),
    'FIELD_UNKNOWN',
    'not a column of its own',
    'map step',
  ],
  [
    'a dictionary of a record',
    () => silver('trips', trips, { dictionary: ['pickup'] }),
    'FIELD_TYPE',
    'has no dictionary',
    'repeat',
  ],
  [
    'another codec',
    () => bronze('trips', trips, { compression: wrong('gzip') }),
    'INVALID_OPTION',
    'compression is "gzip"',
    "'zstd'",
  ],
  [
    'files without rows',
    () => bronze('trips', trips, { fileRowsMax: 0 }),
    'INVALID_OPTION',
    'fileRowsMax is 0',
    'at least 1',
  ],
]

describe('a program is told at once about', () => {
  test.each(REFUSED)('%s', (_what, program, code, message, advice) => {
    expect(program).toThrow(
      expect.objectContaining({
        name: 'PipelineError',
        code,
        message: expect.stringContaining(message),
        advice: expect.stringContaining(advice),
      }),
    )
  })
})

test('a field of a record that has the name of a column of the table is refused', () => {
  const fields = ['_Topic', '_processed_at'].map((name) => ({ name, type: 'string' }))
  const source = stream('source', avroSchema({ type: 'record', name: 'R', fields }))
  expect(() => bronze('rows', source)).toThrow("would have the column '_topic' twice")
  expect(() => silver('rows', source)).toThrow("would have the column '_processed_at' twice")
})
