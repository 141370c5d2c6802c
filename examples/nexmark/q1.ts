/** Query 1, currency conversion: what is each bid in euros? */
import { pipeline, silver } from 'millrace'
import { bids } from './events.ts'
import { BidAt } from './schemas/bid-at.ts'

// 100 dollars are 89 euros, in whole cents, as in Beam.
const bidsInEuros = bids.map('in_euros', BidAt, (bid) => ({ ...bid, price: (bid.price * 89n) / 100n }))

export default pipeline({ name: 'nexmark_q1', tables: [silver('bids_in_euros', bidsInEuros)] })
