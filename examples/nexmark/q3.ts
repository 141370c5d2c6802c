/** Query 3, local item suggestion: who in Oregon, Idaho and California sells what of category 10? */
import { globalWindow, gold, pipeline, seconds } from 'millrace'
import { events } from './events.ts'
import { OfPerson } from './schemas/of-person.ts'

const STATES = ['OR', 'ID', 'CA']

const localSales = events
  .map('locals_and_sales', OfPerson, ({ at, person, auction }) => {
    const nothing = { at, name: null, city: null, state: null, auction: null, reserve: null }
    if (person !== null && STATES.includes(person.state)) {
      const { id, name, city, state } = person
      return { ...nothing, person: id, name, city, state }
    }
    return auction?.category === 10n ? { ...nothing, person: auction.seller, auction: auction.id } : null
  })
  // The join: both sides have the person as their key, and wait in one window without end.
  .keyBy('person')
  .window(globalWindow(), { early: { every: seconds(10) } })
  .aggregate('sales', ({ first, collect }) => ({
    name: first('name'),
    city: first('city'),
    state: first('state'),
    auctions: collect('auction', { max: 1_000 }),
  }))
  .having('both_sides', ({ name, auctions }) => name !== null && auctions !== null)

export default pipeline({ name: 'nexmark_q3', tables: [gold('local_sales', localSales)] })
