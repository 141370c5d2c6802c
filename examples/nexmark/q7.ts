/** Query 7, highest bid: of every ten seconds, over all auctions. */
import { gold, pipeline, seconds, tumbling } from 'millrace'
import { bids } from './events.ts'

const highestBids = bids
  .keyBy()
  .window(tumbling(seconds(10)), { allowedLateness: seconds(0) })
  .aggregate('highest_bids', ({ max, maxBy }) => ({
    price: max('price'),
    auction: maxBy('auction', 'price'),
    bidder: maxBy('bidder', 'price'),
    at: maxBy('at', 'price'),
  }))

export default pipeline({ name: 'nexmark_q7', tables: [gold('highest_bids', highestBids)] })
