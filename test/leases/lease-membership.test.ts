import { describe, expect, it } from 'vitest'
import { LeaseWorld } from './lease-world.ts'

const SECOND = 1_000

describe('leases', () => {
  it('give one process everything, in one step', async () => {
    const world = new LeaseWorld({ seed: 1, shards: 4 })
    const only = world.start()
    await world.pass(2 * SECOND)
    expect(only.isJoined).toBe(true)
    expect([...only.running].sort()).toEqual(world.due)
    expect(world.turns).toHaveLength(5)
  })

  it('share the tasks evenly with those who come, and move nothing when nothing happens', async () => {
    const world = new LeaseWorld({ seed: 2, shards: 11 })
    for (let i = 0; i < 4; i++) world.start()
    await world.pass(60 * SECOND)
    expect(world.problems()).toEqual([])
    const { length } = world.turns
    await world.pass(600 * SECOND)
    expect(world.turns).toHaveLength(length)
  })
})
