import {
  computed,
  countWindow,
  customWatermark,
  day,
  days,
  globalWindow,
  gold,
  hopping,
  hours,
  minutes,
  pipeline,
  type PipelineSpec,
  seconds,
  session,
  silver,
  sliding,
  stream,
  topic,
  tumbling,
} from 'millrace'
import { Trip } from '../../schemas/trip.ts'

/** A program with every kind of window, trigger, aggregate and key. */
export function rides(): PipelineSpec {
  const trips = stream('trips', Trip, {
    eventTime: 'pickupAt',
    watermark: customWatermark((row, eventTimeMs) => (row.stored ? null : eventTimeMs - 1_000), {
      idleAfter: minutes(1),
      alignWithin: hours(1),
    }),
  })
  const once = trips.unique('once', {
    by: 'tripId',
    within: days(1),
    allowedLateness: minutes(5),
    late: 'side-table',
  })
  const zoneHours = trips
    .keyBy(
      'zone',
      computed('hour_of_day', 'int', (row) => new Date(row.pickupAt).getUTCHours()),
    )
    .window(tumbling('week', { timeZone: 'Europe/Berlin', weekStartsOn: 'sunday' }), {
      allowedLateness: hours(1),
      early: { every: seconds(10), rows: 1_000 },
      refine: true,
    })
    .aggregate('zone_hours', (agg) => ({
      trips: agg.count(),
      promos: agg.count('promo'),
      long_trips: agg.countIf((row) => row.distance > 10),
      revenue: agg.sum('total'),
      least: agg.min('fare'),
      most: agg.max('fare'),
      mean: agg.avg('fare'),
      variance: agg.variance('fare'),
      spread: agg.stddev('fare', { of: 'population' }),
      first_vendor: agg.first('vendor'),
      last_payment: agg.last('paymentType'),
      cheapest: agg.minBy('tripId', 'fare'),
      dearest: agg.maxBy('tripId', 'fare'),
      vendors: agg.countDistinct('vendor'),
      p99: agg.quantile('fare', 0.99),
      quartiles: agg.quantiles('fare', [0.25, 0.5, 0.75], { accuracy: 0.001 }),
      top: agg.topK('tripId', { k: 3, by: 'tip' }),
      usual: agg.mostFrequent('vendor', { k: 2 }),
      some: agg.collect('tripId', { max: 5 }),
      miles: agg.custom({
        type: ['null', 'double'],
        init: () => 0,
        add: (state, row) => state + Math.round(row.distance),
        merge: (left, right) => left + right,
        result: (state) => (state === 0 ? null : state),
      }),
    }))
  const busy = zoneHours.having('busy', (row) => row.trips > 100n)
  const best = busy
    .keyBy()
    .window(hopping(days(28), { every: days(7) }))
    .aggregate('best', ({ maxBy }) => ({ zone: maxBy('zone', 'trips') }))
  const visits = once
    .keyBy('vendor')
    .window(session(minutes(30), { gapField: 'passengerCount' }))
    .aggregate('visits', ({ count }) => ({ trips: count() }))
  const recent = trips
    .keyBy('vendor')
    .window(sliding(minutes(10)), { allowedLateness: minutes(0), late: 'drop' })
    .aggregate('recent', ({ sum }) => ({ revenue: sum('total') }))
  const batches = trips
    .keyBy('vendor')
    .window(countWindow(100), { allowedLateness: minutes(5) })
    .aggregate('batches', ({ sum }) => ({ revenue: sum('total') }))
  const total = trips
    .keyBy()
    .window(globalWindow(), { early: { every: minutes(1) } })
    .aggregate('total', ({ count }) => ({ trips: count() }))
  return pipeline({
    name: 'rides',
    tables: [
      silver('once', once, { partitionBy: day('pickupAt') }),
      silver('late', once.late),
      gold('zone_hours', zoneHours, { revisions: 'all' }),
      gold('busy', busy),
      gold('best', best),
      gold('visits', visits),
      gold('recent', recent),
      gold('batches', batches),
      gold('total', total),
    ],
    topics: [topic('busy-zones', busy), topic('batches', batches), topic('trips-once', once)],
    mergeParallelism: 4,
    limits: { panesMax: 1_000_000 },
  })
}
