import {
  boundedOutOfOrderness,
  bronze,
  days,
  gold,
  minutes,
  pipeline,
  seconds,
  silver,
  stream,
  tumbling,
} from 'millrace'
import { Trip } from '../schemas/trip.ts'

const trips = stream('trips', Trip, {
  eventTime: 'pickupAt',
  watermark: boundedOutOfOrderness(seconds(30), { futureLimit: days(1) }),
})
const paid = trips.filter('paid', (trip) => trip.fare > 0)
const zoneMinutes = paid
  .keyBy('zone')
  .window(tumbling(minutes(1)), { allowedLateness: minutes(0) })
  .aggregate('zone_minutes', ({ count, sum, max }) => ({
    trips: count(),
    revenue: sum('total'),
    longest: max('distance'),
  }))

export default pipeline({
  name: 'taxi',
  tables: [bronze('trips', trips), silver('trips', paid), gold('zone_minutes', zoneMinutes)],
})
