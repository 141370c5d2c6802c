/** Query 8, new users: who registered and opened an auction within the same ten seconds? */
import { computed, gold, pipeline, seconds, tumbling } from 'millrace'
import { events } from './events.ts'

const newSellers = events
  .filter('people_and_auctions', ({ bid }) => bid === null)
  // The join: a person and the auctions of that person have the same key.
  .keyBy(computed('person', 'long', ({ person, auction }) => person?.id ?? auction!.seller))
  .window(tumbling(seconds(10)), { allowedLateness: seconds(0) })
  .aggregate('people', ({ countIf }) => ({
    registered: countIf(({ person }) => person !== null),
    auctions: countIf(({ auction }) => auction !== null),
  }))
  .having('new_and_selling', ({ registered, auctions }) => registered > 0n && auctions > 0n)

export default pipeline({ name: 'nexmark_q8', tables: [gold('new_sellers', newSellers)] })
