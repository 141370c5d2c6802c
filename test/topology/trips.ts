import {
  between,
  boundedOutOfOrderness,
  bronze,
  day,
  gold,
  hours,
  minutes,
  oneOf,
  pipeline,
  type PipelineSpec,
  seconds,
  silver,
  stream,
  tumbling,
} from 'millrace'
import { Trip } from '../../schemas/trip.ts'

/** The first program of the design, with late rows in a table of their own. */
export function taxi(): PipelineSpec {
  const trips = tripStream()
  const clean = trips
    .expect('sane', {
      fare: between(0, 1_000),
      'pickup.lat': between(-90, 90),
      paymentType: oneOf('card', 'cash'),
    })
    .filter('paid', (row) => row.total > 0)
    .dedupe('once', { by: 'tripId', within: hours(1) })
  const zoneMinutes = clean
    .keyBy('zone')
    .window(tumbling(minutes(1)), { allowedLateness: minutes(5), late: 'side-table' })
    .aggregate('zone_minutes', ({ count, sum, max }) => ({
      trips: count(),
      revenue: sum('total'),
      longest: max('distance'),
    }))
  return pipeline({
    name: 'taxi',
    tables: [
      bronze('trips', trips, { compression: 'zstd' }),
      silver('trips', clean, { partitionBy: [day('pickupAt'), 'vendor'], dictionary: ['vendor'] }),
      gold('zone_minutes', zoneMinutes),
      silver('late_trips', zoneMinutes.late),
    ],
  })
}

export function tripStream() {
  return stream('trips', Trip, {
    eventTime: 'pickupAt',
    watermark: boundedOutOfOrderness(seconds(30), { idleAfter: minutes(1) }),
  })
}
