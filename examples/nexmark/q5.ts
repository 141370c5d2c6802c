/** Query 5, hot items: which auctions had the most bids in the last ten seconds? Every five seconds. */
import { gold, hopping, pipeline, seconds, tumbling } from 'millrace'
import { bids } from './events.ts'

const auctionBids = bids
  .keyBy('auction')
  .window(hopping(seconds(10), { every: seconds(5) }), { allowedLateness: seconds(0) })
  .aggregate('auction_bids', ({ count }) => ({ bids: count() }))

/** Longs as text, because JSON holds the state. */
interface Hottest {
  readonly bids: number
  readonly auctions: readonly string[]
}

// The results of one hop have the same window_end, and the ends are five seconds apart: so five seconds have one hop.
const hotItems = auctionBids
  .keyBy()
  .window(tumbling(seconds(5)))
  .aggregate('hot_items', ({ max, custom }) => ({
    bids: max('bids'),
    // maxBy('auction', 'bids') gives one of several that are as hot; this all of them.
    auctions: custom({
      type: { type: 'array', items: 'long' },
      init: (): Hottest => ({ bids: 0, auctions: [] }),
      add: (hottest, { auction, bids }) =>
        hotter(hottest, { bids: Number(bids), auctions: [String(auction)] }),
      merge: hotter,
      result: ({ auctions }) => auctions.map(BigInt).sort((a, b) => (a < b ? -1 : 1)),
    }),
  }))

function hotter(a: Hottest, b: Hottest): Hottest {
  if (a.bids !== b.bids) return a.bids > b.bids ? a : b
  return { bids: a.bids, auctions: [...a.auctions, ...b.auctions] }
}

export default pipeline({ name: 'nexmark_q5', tables: [gold('hot_items', hotItems)] })
