import {
  type Aggregators,
  ascending,
  avroSchema,
  boundedOutOfOrderness,
  computed,
  countWindow,
  customWatermark,
  days,
  type Duration,
  globalWindow,
  gold,
  hopping,
  hours,
  millis,
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
import { describe, expect, test } from 'vitest'
import { Trip } from '../../schemas/trip.ts'
import { EveryType } from '../codegen/golden/every-type.ts'

/** Without types, as in plain JavaScript: the compiler would stop most of these programs first. */
const watermark = boundedOutOfOrderness(seconds(30))
const untyped = (avro: unknown) => avroSchema<unknown, unknown>(avro)
const trips = stream('trips', untyped(Trip.avro), { eventTime: 'pickupAt', watermark })
const every = stream('every', untyped(EveryType.avro), { eventTime: 'aTimestampMicros', watermark })
const wrong = (value: unknown): never => value as never
const allowedLateness = minutes(5)

type Columns = Parameters<ReturnType<ReturnType<typeof trips.keyBy>['window']>['aggregate']>[1]
const counting: Columns = ({ count }) => ({ trips: count() })
const windowed = (window: unknown, options: unknown = { allowedLateness }) =>
  trips.keyBy('zone').window(wrong(window), wrong(options)).aggregate('counts', counting)
const windowOf = (window: unknown) => windowed(window).node.window
const aggregated = (columns: Columns, input = every) =>
  input.keyBy().window(tumbling('day'), { allowedLateness }).aggregate('sums', columns)
const specOf = (column: (agg: Aggregators<unknown>) => { readonly spec: unknown }) =>
  aggregated((agg) => ({ x: column(agg) as never })).node.aggregates[0]!.spec

describe('a window is plain data with every option resolved', () => {
  test.each([
    ['of a day', tumbling('day'), { kind: 'calendar', unit: 'day', timeZone: 'UTC', weekStart: 1 }],
    [
      'of a week',
      tumbling('week', { timeZone: 'America/New_York', weekStartsOn: 'sunday' }),
      { kind: 'calendar', unit: 'week', timeZone: 'America/New_York', weekStart: 7 },
    ],
    [
      'that hops',
      hopping(minutes(10), { every: minutes(1), offset: seconds(-5) }),
      { kind: 'hopping', sizeMs: 600_000, hopMs: 60_000, offsetMs: -5_000 },
    ],
    ['that slides', sliding(seconds(10)), { kind: 'sliding', sizeMs: 10_000 }],
    ['of a session', session(minutes(30)), { kind: 'session', gapMs: 1_800_000, gapField: null }],
    [
      'of a session with gaps of its rows',
      session(minutes(30), { gapField: 'passengerCount' }),
      { kind: 'session', gapMs: 1_800_000, gapField: 'passengerCount' },
    ],
    ['of rows', countWindow(100), { kind: 'count', rows: 100 }],
    ['without end', globalWindow(), { kind: 'global' }],
  ])('%s', (_what, window, expected) => {
    expect(windowOf(window)).toEqual(expected)
  })

  test('a trigger is there only where results come more than once', () => {
    const triggerOf = (options: object) =>
      windowed(tumbling(minutes(1)), { allowedLateness, ...options }).node.trigger
    expect('trigger' in windowed(tumbling(minutes(1)), { allowedLateness, refine: false }).node).toBe(false)
    expect(triggerOf({ refine: true })).toEqual({ refine: true })
    expect(triggerOf({ early: { every: seconds(10) } })).toEqual({ earlyEveryMs: 10_000 })
    expect(triggerOf({ early: { every: seconds(10), rows: 1_000 }, refine: true })).toEqual({
      earlyEveryMs: 10_000,
      earlyEveryRows: 1_000,
      refine: true,
    })
  })

  test('a global window has no lateness to choose, and a window over results need not', () => {
    const all = trips.keyBy().window(globalWindow()).aggregate('all', counting)
    expect(all.node).toMatchObject({ keyBy: [], allowedLatenessMs: 0, late: 'dead-letter' })
    const above = windowed(tumbling(minutes(1)))
      .keyBy('zone')
      .window(tumbling(hours(1)))
      .aggregate('hourly', counting)
    expect(above.node).toMatchObject({ allowedLatenessMs: 0, late: 'drop' })
  })
})

test('watermarks are plain data with every option resolved', () => {
  const limits = { idleAfterMs: null, futureLimitMs: 3_600_000 }
  expect(ascending()).toEqual({ kind: 'bounded-out-of-orderness', boundMs: 0, ...limits })
  expect(punctuated('mark', { alignWithin: minutes(1) })).toEqual({
    kind: 'punctuated',
    field: 'mark',
    ...limits,
    alignWithinMs: 60_000,
  })
  const watermarkOf = () => null
  expect(customWatermark(watermarkOf, { idleAfter: minutes(1), futureLimit: days(1) })).toEqual({
    kind: 'custom',
    watermarkOf,
    idleAfterMs: 60_000,
    futureLimitMs: 86_400_000,
  })
})

test('an aggregate is plain data with every option resolved', () => {
  const f = 'aDouble'
  expect(specOf(({ variance }) => variance(f))).toEqual({ kind: 'variance', field: f, of: 'sample' })
  expect(specOf(({ stddev }) => stddev(f, { of: 'population' }))).toEqual({
    kind: 'stddev',
    field: f,
    of: 'population',
  })
  expect(specOf(({ countDistinct }) => countDistinct(f))).toEqual({
    kind: 'count-distinct',
    field: f,
    exactMax: 1_000,
  })
  expect(specOf(({ median }) => median(f))).toEqual({ kind: 'quantile', field: f, q: 0.5, accuracy: 0.01 })
  expect(specOf(({ quantiles }) => quantiles(f, [0.1, 0.9], { accuracy: 0.05 }))).toEqual({
    kind: 'quantiles',
    field: f,
    qs: [0.1, 0.9],
    accuracy: 0.05,
  })
  expect(specOf(({ mostFrequent }) => mostFrequent(f, { k: 3 }))).toEqual({
    kind: 'most-frequent',
    field: f,
    k: 3,
    distinctMax: 10_000,
  })
  expect(specOf(({ topK }) => topK('aString', { k: 3, by: f }))).toEqual({
    kind: 'top-k',
    field: 'aString',
    by: f,
    k: 3,
  })
})

test('keys are paths and computed keys, and nothing else of what was given', () => {
  const of = () => 1
  const { keyBy } = trips
    .keyBy('zone', { ...computed('hour', 'int', of), more: true } as never)
    .window(tumbling('day'), { allowedLateness })
    .aggregate('counts', counting).node
  expect(keyBy).toEqual(['zone', { name: 'hour', type: 'int', of }])
})

const REFUSED: readonly (readonly [string, () => unknown, string, string, string])[] = [
  // what, the program, code, what the message says, what the advice says
  ['a window that is none', () => windowed({ kind: 'daily' }), 'INVALID_OPTION', 'has no window', 'tumbling'],
  [
    'no allowed lateness',
    () => windowed(session(minutes(1)), null),
    'INVALID_DURATION',
    'allowedLateness is not given',
    'minutes(5)',
  ],
  ['a unit that is none', () => windowed(tumbling('year' as 'day')), 'INVALID_OPTION', '"year"', "'month'"],
  [
    'a time zone that nobody knows',
    () => windowed(tumbling('day', { timeZone: 'Europe/Atlantis' })),
    'INVALID_OPTION',
    '"Europe/Atlantis" is not a time zone',
    'Europe/Berlin',
  ],
  [
    'a time zone that only some versions of Node know',
    () => windowed(tumbling('day', { timeZone: '+01:00' })),
    'INVALID_OPTION',
    'is not a time zone',
    'IANA',
  ],
  [
    'a day that is none',
    () => windowed(tumbling('week', { weekStartsOn: wrong('caturday') })),
    'INVALID_OPTION',
    'no day of the week',
    'monday',
  ],
  [
    'no hop',
    () => windowed(hopping(minutes(1), wrong(undefined))),
    'INVALID_DURATION',
    'every is not given',
    'minutes(5)',
  ],
  [
    'a row in too many windows',
    () => windowed(hopping(days(1), { every: seconds(1) })),
    'INVALID_OPTION',
    '86400 windows',
    '10000',
  ],
  [
    'a window of no length',
    () => windowed(sliding(millis(0))),
    'INVALID_DURATION',
    'size of the window',
    'one millisecond',
  ],
  [
    'no gap',
    () => windowed(session(wrong(undefined))),
    'INVALID_DURATION',
    'gap of the session',
    'minutes(5)',
  ],
  [
    'a gap that is no number of milliseconds',
    () => windowed(session(minutes(1), { gapField: 'fare' })),
    'FIELD_TYPE',
    "gapField 'fare' is a double",
    'map step',
  ],
  [
    'a gap that is no field',
    () => windowed(session(minutes(1), { gapField: 'gap' })),
    'FIELD_UNKNOWN',
    "there is no field 'gap'",
    'The fields are',
  ],
  ['no rows', () => windowed(countWindow(0)), 'INVALID_OPTION', 'number of rows', 'countWindow(100)'],
  [
    'early results of a sliding window',
    () => windowed(sliding(minutes(1)), { allowedLateness, early: { rows: 1 } }),
    'INVALID_OPTION',
    'a sliding window are final only',
    'Leave out',
  ],
  [
    'refined results of a count window',
    () => windowed(countWindow(10), { allowedLateness, refine: true }),
    'INVALID_OPTION',
    'a count window are final only',
    'Leave out',
  ],
  [
    'refined results of a global window',
    () => windowed(globalWindow(), { refine: true }),
    'INVALID_OPTION',
    'has no end',
    'early',
  ],
  [
    'late rows of a global window',
    () => windowed(globalWindow(), { late: 'side-table' }),
    'INVALID_OPTION',
    'no row of a global window is late',
    'Leave out late',
  ],
  [
    'early results every 0 s',
    () => windowed(tumbling('day'), { allowedLateness, early: { every: seconds(0) } }),
    'INVALID_DURATION',
    'early.every is 0 ms',
    'one millisecond',
  ],
  [
    'early results every half row',
    () => windowed(tumbling('day'), { allowedLateness, early: { rows: 0.5 } }),
    'INVALID_OPTION',
    'early.rows is 0.5',
    'whole number',
  ],
  [
    'refine that is no boolean',
    () => windowed(tumbling('day'), { allowedLateness, refine: 'yes' }),
    'INVALID_OPTION',
    'refine is "yes"',
    'true or false',
  ],
  [
    'early results without a when',
    () =>
      trips
        .keyBy()
        .window(tumbling('day'), { allowedLateness, early: wrong({}) })
        .aggregate('counts', counting),
    'INVALID_OPTION',
    'early.rows is NaN',
    'early: { rows: 1000 }',
  ],
  [
    'late results',
    () =>
      windowed(tumbling('day'))
        .keyBy()
        .window(tumbling('week'), wrong({ late: 'side-table' }))
        .aggregate('weeks', counting),
    'INVALID_OPTION',
    'its rows are results',
    'never late by themselves',
  ],
  [
    'a window over a global window',
    () =>
      windowed(globalWindow())
        .having('some', () => true)
        .keyBy()
        .window(tumbling('week'))
        .aggregate('weeks', counting),
    'INVALID_OPTION',
    "is a window over 'counts', whose window is global",
    'Give the window below an end',
  ],
  [
    'a key that has the name of a column of every gold table',
    () =>
      windowed(tumbling('day')).keyBy('window_start').window(tumbling('week')).aggregate('weeks', counting),
    'DUPLICATE_NAME',
    "the key 'window_start'",
    "computed('by_window_start', type, (row) => row.window_start)",
  ],
  [
    'a name that every table of count windows has',
    () =>
      trips
        .keyBy()
        .window(countWindow(10), { allowedLateness })
        .aggregate('counts', ({ count }) => ({ window_number: count() })),
    'DUPLICATE_NAME',
    'window_number',
    'Choose another name',
  ],
  [
    'a table of windows without an aggregate',
    () => gold('days', wrong(trips.keyBy().window(tumbling('day'), { allowedLateness }))),
    'WRONG_LAYER',
    'gold holds the results of windows',
    'end it with .aggregate(…)',
  ],
  [
    'having without a function',
    () => windowed(tumbling('day')).having('some', wrong(undefined)),
    'INVALID_OPTION',
    "having 'some': has no function",
    'result => boolean',
  ],

  [
    'a watermark of a field that is no timestamp',
    () => stream('trips', untyped(Trip.avro), { eventTime: 'pickupAt', watermark: punctuated('fare') }),
    'FIELD_TYPE',
    "punctuated 'fare' is a double, not a timestamp",
    'dropoffAt',
  ],
  [
    'a watermark without a function',
    () =>
      stream('trips', untyped(Trip.avro), { eventTime: 'pickupAt', watermark: customWatermark(wrong(1)) }),
    'INVALID_OPTION',
    'has no function',
    'watermarkMs or null',
  ],
  [
    'a watermark that is none',
    () => stream('trips', untyped(Trip.avro), { eventTime: 'pickupAt', watermark: wrong({ kind: 'exact' }) }),
    'INVALID_OPTION',
    'the watermark is',
    'boundedOutOfOrderness',
  ],
  [
    'alignment that is no duration',
    () =>
      stream('trips', untyped(Trip.avro), {
        eventTime: 'pickupAt',
        watermark: ascending({ alignWithin: 0 as Duration }),
      }),
    'INVALID_DURATION',
    'alignWithin is 0 ms',
    'minutes(5)',
  ],

  [
    'a computed key that is a double',
    () =>
      counted(
        computed(
          'fare',
          'double',
          wrong(() => 1),
        ),
      ),
    'FIELD_TYPE',
    "the computed key 'fare' is a double",
    'Keys are',
  ],
  [
    'a computed key of a type that is none',
    () =>
      counted(
        computed(
          'fare',
          wrong('varchar'),
          wrong(() => 1),
        ),
      ),
    'SCHEMA_INVALID',
    'is "varchar", which is no Avro type',
    "['null', 'string']",
  ],
  [
    'a computed key without a name',
    () => counted(computed('the hour', 'int', () => 1)),
    'INVALID_NAME',
    '"the hour" is not a name for a computed key',
    'letters',
  ],
  [
    'a computed key without a function',
    () => counted(computed('hour', 'int', wrong(1))),
    'INVALID_OPTION',
    "the computed key 'hour' has no function",
    'row',
  ],
  [
    'a computed key with the name of a field',
    () =>
      counted(
        'zone',
        computed('zone', 'int', () => 1),
      ),
    'INVALID_OPTION',
    'names a field twice',
    'once',
  ],
  [
    'a computed key with the name of an aggregate',
    () => counted(computed('trips', 'int', () => 1)),
    'DUPLICATE_NAME',
    "the aggregate 'trips' has the name of the key 'trips'",
    'ignore case',
  ],

  [
    'a count without a test',
    () => aggregated(({ countIf }) => ({ x: countIf(wrong(1)) })),
    'INVALID_OPTION',
    "'x' has no function",
    'countIf',
  ],
  [
    'the spread of text',
    () => aggregated(({ stddev }) => ({ x: stddev('aString') })),
    'FIELD_TYPE',
    "stddev('aString') is of a string",
    'stddev takes int',
  ],
  [
    'the spread of what is neither',
    () => aggregated(({ variance }) => ({ x: variance('aDouble', { of: wrong('all') }) })),
    'INVALID_OPTION',
    'of of \'x\' is "all"',
    "'population'",
  ],
  [
    'the first of an array',
    () => aggregated(({ first }) => ({ x: first('anArray') })),
    'FIELD_TYPE',
    "first('anArray') is of an array of string",
    'everything but arrays',
  ],
  [
    'the row with the most of an enum',
    () => aggregated(({ maxBy }) => ({ x: maxBy('aString', 'anEnum') })),
    'FIELD_TYPE',
    "maxBy by 'anEnum' is by an enum",
    'by takes numbers',
  ],
  [
    'the row with the most of nothing',
    () => aggregated(({ maxBy }) => ({ x: maxBy('aString', wrong(undefined)) })),
    'FIELD_UNKNOWN',
    "there is no field 'undefined'",
    'The fields are',
  ],
  [
    'a quantile beyond 1',
    () => aggregated(({ quantile }) => ({ x: quantile('aDouble', 99) })),
    'INVALID_OPTION',
    "the quantile of 'x' is [99]",
    'quantile(',
  ],
  [
    'no quantiles',
    () => aggregated(({ quantiles }) => ({ x: quantiles('aDouble', []) })),
    'INVALID_OPTION',
    "the quantile of 'x' is []",
    'from 0 to 1',
  ],
  [
    'an accuracy that nobody can keep',
    () => aggregated(({ median }) => ({ x: median('aDouble', { accuracy: 0 }) })),
    'INVALID_OPTION',
    "accuracy of 'x' is 0",
    'accuracy: 0.01',
  ],
  [
    'no k',
    () => aggregated(({ topK }) => ({ x: topK('aString', wrong({ by: 'anInt' })) })),
    'INVALID_OPTION',
    "k of 'x' is not given",
    '{ k: 10 }',
  ],
  [
    'no bound',
    () => aggregated(({ collect }) => ({ x: collect('aString', wrong(undefined)) })),
    'INVALID_OPTION',
    "max of 'x' is not given",
    '{ max: 100 }',
  ],
  [
    'a bound that no memory has',
    () => aggregated(({ countDistinct }) => ({ x: countDistinct('aString', { exactMax: 1e9 }) })),
    'INVALID_OPTION',
    "exactMax of 'x' is 1000000000",
    '1000000',
  ],
  [
    'an aggregate of its own without merge',
    () =>
      aggregated(({ custom }) => ({
        x: custom(wrong({ type: 'int', init: () => 0, add: () => 1, result: () => 1 })),
      })),
    'INVALID_OPTION',
    "'x.merge' has no function",
    'custom({ type',
  ],
  [
    'an aggregate of its own without a type',
    () => aggregated(({ custom }) => ({ x: custom(wrong(undefined)) })),
    'SCHEMA_INVALID',
    "the type of 'x' is undefined",
    'As in',
  ],

  [
    'unique without a lateness',
    () => trips.unique('once', wrong({ by: 'tripId', within: hours(1) })),
    'INVALID_DURATION',
    "unique 'once': allowedLateness is not given",
    'minutes(5)',
  ],
  [
    'unique without options',
    () => trips.unique('once', wrong(undefined)),
    'FIELD_UNKNOWN',
    'undefined is not a field',
    'tripId',
  ],
  [
    'a topic whose key lies inside a record',
    () => topic('once', every.unique('once', { by: 'aRecord.street', within: hours(1), allowedLateness })),
    'INVALID_OPTION',
    "cannot be keyed by 'aRecord.street'",
    'map step',
  ],
  [
    'results in silver',
    () => silver('results', wrong(windowed(tumbling('day')).having('some', () => true))),
    'WRONG_LAYER',
    'silver holds rows',
    'gold()',
  ],
  [
    'unique rows in gold',
    () => gold('once', wrong(once())),
    'WRONG_LAYER',
    'gold holds the results',
    'silver()',
  ],
  [
    'revisions that are neither',
    () => gold('counts', windowed(tumbling('day')), { revisions: wrong('last') }),
    'INVALID_OPTION',
    'revisions is "last"',
    "'newest' or 'all'",
  ],
  [
    'half a merge task',
    () => pipeline({ name: 'p', tables: [silver('once', once())], mergeParallelism: 0.5 }),
    'INVALID_OPTION',
    'mergeParallelism is 0.5',
    'from 1 to 256',
  ],
  [
    'a limit of nothing',
    () => pipeline({ name: 'p', tables: [silver('once', once())], limits: { keysMax: 0 } }),
    'INVALID_OPTION',
    'limits.keysMax is 0',
    'whole number',
  ],
  [
    'late rows of unique that nothing takes',
    () => pipeline({ name: 'p', tables: [silver('once', once('side-table'))] }),
    'LATE_ROWS',
    "unique 'once': late: 'side-table' and no table takes them",
    'once_late',
  ],
  [
    'late rows of unique without the rest',
    () => pipeline({ name: 'p', tables: [silver('late', once('side-table').late as never)] }),
    'LATE_ROWS',
    'the unique itself is in no table',
    "silver('once', …)",
  ],
]

function counted(...keys: readonly unknown[]) {
  return trips
    .keyBy(...(keys as never[]))
    .window(tumbling('day'), { allowedLateness })
    .aggregate('counts', counting)
}

function once(late: 'dead-letter' | 'side-table' = 'dead-letter') {
  return trips.unique('once', { by: 'tripId', within: hours(1), allowedLateness, late })
}

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

test('late rows may be taken where only a window above reads the results', () => {
  const daily = windowed(tumbling('day'), { allowedLateness, late: 'side-table' })
  const weekly = daily.keyBy().window(tumbling('week')).aggregate('weekly', counting)
  const spec = pipeline({ name: 'p', tables: [gold('weekly', weekly), silver('late', daily.late as never)] })
  expect(spec.tables).toHaveLength(2)
})

test('a pipeline has no merge tasks and limits in it but those it was given', () => {
  const tables = [silver('once', once())]
  expect(Object.keys(pipeline({ name: 'p', tables }))).toEqual(['name', 'source', 'tables', 'circuitBreaker'])
  const spec = pipeline({ name: 'p', tables, mergeParallelism: 2, limits: { panesMax: 5 } })
  expect(spec).toMatchObject({ mergeParallelism: 2, limits: { panesMax: 5 } })
})
