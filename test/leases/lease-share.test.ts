import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shareTasks } from '../../src/leases/lease-share.ts'

const members = fc.uniqueArray(fc.stringMatching(/^[a-z0-9]{3}$/), { minLength: 1, maxLength: 8 })
const holdings = members.chain((ids) =>
  fc.record({
    members: fc.constant(ids),
    holders: fc
      .uniqueArray(fc.nat({ max: 60 }), { maxLength: 40 })
      .chain((numbers) =>
        fc.tuple(
          ...numbers.map((number) =>
            fc.tuple(fc.constant(`s-${number}`), fc.constantFrom(...ids, null, 'gone')),
          ),
        ),
      ),
  }),
)

test('shares are even, move no more than that needs, and are the same for everybody', () => {
  fc.assert(
    fc.property(holdings, ({ members, holders }) => {
      const fixed = new Set<string>()
      const shares = shareTasks({ members, holders: new Map(holders), fixed })
      const loads = members.map((id) => [...shares.values()].filter((member) => member === id).length)
      expect(shares.size).toBe(holders.length)
      expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1)
      // Each member gives up what it has above its share, and no more: what moved is the least there is.
      const held = members.map((id) => holders.filter(([, holder]) => holder === id).length)
      const moved = holders.filter(
        ([task, holder]) => members.includes(holder!) && shares.get(task) !== holder,
      )
      const surplus = held.reduce((sum, had, index) => sum + Math.max(0, had - loads[index]!), 0)
      expect(moved).toHaveLength(surplus)
      const shuffled = { members: members.toReversed(), holders: new Map(holders.toReversed()), fixed }
      expect(shareTasks(shuffled)).toEqual(shares)
      // What has been carried out asks for nothing more.
      const again = shareTasks({ members, holders: shares, fixed })
      expect(again).toEqual(shares)
    }),
    { numRuns: 300 },
  )
})

test('tasks that cannot move stay, and the others make up for it', () => {
  const holders = new Map([
    ['s-0', 'a'],
    ['s-1', 'a'],
    ['s-2', 'a'],
    ['s-3', 'a'],
  ])
  const shares = shareTasks({ members: ['a', 'b'], holders, fixed: new Set(['s-0', 's-1', 's-2']) })
  expect([...shares].filter(([, member]) => member === 'b')).toEqual([['s-3', 'b']])
})
