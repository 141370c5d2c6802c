/** Query 2, selection: the bids on some of the auctions. */
import { pipeline, silver } from 'millrace'
import { bids } from './events.ts'
import { BidOn } from './schemas/bid-on.ts'

const bidsOnSome = bids
  .filter('every_123rd', ({ auction }) => auction % 123n === 0n)
  .map('auction_and_price', BidOn, ({ at, auction, price }) => ({ at, auction, price }))

export default pipeline({ name: 'nexmark_q2', tables: [silver('bids_on_some', bidsOnSome)] })
