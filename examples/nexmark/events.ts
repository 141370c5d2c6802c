/** What the queries have in common: the stream, and its bids. */
import { boundedOutOfOrderness, seconds, stream } from 'millrace'
import { BidAt } from './schemas/bid-at.ts'
import { Event } from './schemas/event.ts'

// The generator shuffles events in groups of one second: an event is less than a second behind the newest one of its partition.
export const events = stream('events', Event, {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(seconds(1)),
})

export const bids = events.map('bids', BidAt, ({ at, bid }) => (bid === null ? null : { at, ...bid }))
