import { expect, it } from 'vitest'
import { FeedBudget } from '../../../consumers/kinesis/feed-budget.ts'

it('lets shards fetch while there is room, and one that holds nothing in any case', async () => {
  const budget = new FeedBudget(100)
  const turns: string[] = []
  const ask = async (name: string, holdsNothing: () => boolean): Promise<void> => {
    await budget.room(holdsNothing)
    turns.push(name)
  }
  budget.add(99)
  await ask('there is room', () => false)
  budget.add(1)
  await ask('holds nothing', () => true)
  let isRead = false
  const waiting = [ask('has been read meanwhile', () => isRead), ask('gets the room of others', () => false)]
  await Promise.resolve()
  expect(turns).toHaveLength(2)
  isRead = true
  budget.add(-0)
  await waiting[0]
  expect(turns).toHaveLength(3)
  budget.add(-1)
  await waiting[1]
  expect(turns).toEqual([
    'there is room',
    'holds nothing',
    'has been read meanwhile',
    'gets the room of others',
  ])
})
