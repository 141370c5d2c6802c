/** Query 12, bids of a user in ten seconds. The original takes the time at which it runs; here it is the time of the bids. */
import { gold, pipeline, seconds, tumbling } from 'millrace'
import { bids } from './events.ts'

const bidderBids = bids
  .keyBy('bidder')
  .window(tumbling(seconds(10)), { allowedLateness: seconds(0) })
  .aggregate('bidder_bids', ({ count }) => ({ bids: count() }))

export default pipeline({ name: 'nexmark_q12', tables: [gold('bidder_bids', bidderBids)] })
