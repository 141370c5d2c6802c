/** Query 11, user sessions: how many bids does somebody make before ten seconds without one? */
import { gold, pipeline, seconds, session } from 'millrace'
import { bids } from './events.ts'

const bidderSessions = bids
  .keyBy('bidder')
  .window(session(seconds(10)), { allowedLateness: seconds(0) })
  .aggregate('bidder_sessions', ({ count }) => ({ bids: count() }))

export default pipeline({ name: 'nexmark_q11', tables: [gold('bidder_sessions', bidderSessions)] })
