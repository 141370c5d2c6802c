import { describe, expect, test } from 'vitest'
import { LEASE_TIMES } from '../../src/leases/lease-membership.ts'
import { LeaseBoard } from '../../src/leases/lease-board.ts'
import { encodeLease, encodeMember, LeaseKeys } from '../../src/leases/lease-objects.ts'
import type { ObjectStore } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { hookedStore } from '../support/world.ts'

const { heartbeatMs, ttlMs } = LEASE_TIMES
const keys = new LeaseKeys('_leases/')

class Look {
  readonly store = memoryStore()
  nowMs = 1e12
  readonly board: LeaseBoard

  constructor(store?: (store: ObjectStore) => ObjectStore) {
    const clock = { nowMs: () => this.nowMs, sleep: async () => {} }
    this.board = new LeaseBoard({
      store: store?.(this.store) ?? this.store,
      keys,
      clock,
      heartbeatMs,
      ttlMs,
    })
  }

  async beat(id: string, number: number, supersedes: readonly string[] = []): Promise<void> {
    const body = encodeMember({ name: null, ttlMs, startedMs: 0, supersedes })
    await this.store.putIfAbsent(keys.member(id, number), body)
  }

  async hold(task: string, number: number, owner: string): Promise<void> {
    await this.store.putIfAbsent(
      keys.lease(task, number),
      encodeLease({ owner, handTo: null, state: 'held' }),
    )
  }

  async watch(ms: number): Promise<void> {
    for (const end = this.nowMs + ms; this.nowMs < end; ) {
      this.nowMs += heartbeatMs
      await this.board.look()
    }
  }
}

describe('the board of leases', () => {
  test('calls a member dead whose number has not moved within its time to live', async () => {
    const look = new Look()
    await look.beat('a', 1)
    await look.beat('b', 1)
    await look.board.look()
    await look.watch(ttlMs - heartbeatMs)
    expect(look.board.alive()).toEqual(['a', 'b'])
    await look.beat('b', 2)
    await look.watch(heartbeatMs)
    expect(look.board.alive()).toEqual(['b'])
  })

  test('holds time in which it did not look against nobody', async () => {
    const look = new Look()
    await look.beat('a', 1)
    await look.board.look()
    look.nowMs += 600_000
    await look.board.look()
    expect(look.board.alive()).toEqual(['a'])
    await look.watch(ttlMs)
    expect(look.board.alive()).toEqual([])
  })

  test('calls a member dead after its time to live, however long the look took in which it was seen first', async () => {
    let sleepMs = 3_600_000
    const look: Look = new Look((store) =>
      hookedStore(store, {
        after(call) {
          // The process sleeps before it has the answer.
          if (call === 'list') look.nowMs += sleepMs
        },
      }),
    )
    await look.beat('a', 1)
    await look.board.look()
    sleepMs = 0
    await look.board.look()
    expect(look.board.alive()).toEqual(['a'])
    await look.watch(ttlMs)
    expect(look.board.alive()).toEqual([])
  })

  test('gives an owner that it has never seen the time to be seen, and one that has gone none', async () => {
    const look = new Look()
    await look.beat('goes', 1)
    await look.hold('s-0', 1, 'stranger')
    await look.hold('s-1', 1, 'goes')
    await look.board.look()
    await look.store.delete(keys.member('goes', 1))
    await look.board.look()
    expect([look.board.isAlive('stranger'), look.board.isAlive('goes')]).toEqual([true, false])
    expect(look.board.alive()).toEqual([])
    await look.watch(ttlMs)
    expect(look.board.isAlive('stranger')).toBe(false)
  })

  test('lets a member be in the place of others for good', async () => {
    const look = new Look()
    await look.beat('a', 1)
    await look.beat('b', 1, ['a'])
    await look.beat('c', 1, ['b', 'a'])
    await look.board.look()
    expect(look.board.alive()).toEqual(['c'])
    expect(['a', 'b', 'c', 'd'].map((id) => look.board.heirOf(id))).toEqual(['c', 'c', 'c', 'd'])
    await look.beat('a', 2)
    await look.board.look()
    expect(look.board.isAlive('a')).toBe(false)
  })

  test('does not go back to an old lease where a list misses the newest', async () => {
    let hidden = ''
    const look = new Look((store) => ({
      ...store,
      get: (key) => store.get(key),
      list: async (prefix, startAfter) =>
        (await store.list(prefix, startAfter)).filter(({ key }) => key !== hidden),
    }))
    await look.hold('s-0', 1, 'a')
    await look.hold('s-0', 2, 'b')
    await look.board.look()
    hidden = keys.lease('s-0', 2)
    await look.board.look()
    expect(look.board.leases.get('s-0')).toMatchObject({ number: 2, body: { owner: 'b' } })
  })

  test('hears of a task that has ended also where its leases were swept away before it could look again', async () => {
    let isAway = false
    const look = new Look((store) => ({
      ...store,
      get: (key) => store.get(key),
      list: async (prefix, startAfter) => {
        if (isAway) throw new Error('away')
        return store.list(prefix, startAfter)
      },
    }))
    await look.beat('a', 1)
    await look.hold('s-0', 1, 'a')
    await look.board.look()
    isAway = true
    await expect(look.watch(4 * ttlMs)).rejects.toThrow('away')
    look.nowMs += 4 * ttlMs
    await look.store.put(keys.ended('s-0'), new Uint8Array())
    await look.store.delete(keys.lease('s-0', 1))
    isAway = false
    await look.board.look()
    expect([[...look.board.ended], [...look.board.leases.keys()]]).toEqual([['s-0'], []])
  })

  test('reads what is new, and nothing twice', async () => {
    let gets = 0
    const look = new Look((store) => ({
      ...store,
      list: (prefix, startAfter) => store.list(prefix, startAfter),
      get: (key) => {
        gets++
        return store.get(key)
      },
    }))
    await look.beat('a', 1)
    await look.hold('s-0', 1, 'a')
    await look.board.look()
    await look.beat('a', 2)
    await look.board.look()
    expect(gets).toBe(2)
    await look.hold('s-0', 2, 'b')
    await look.board.look()
    expect(gets).toBe(3)
  })

  test('looks once for all who ask meanwhile, and not before they asked', async () => {
    let lists = 0
    const look = new Look((store) => ({
      ...store,
      get: (key) => store.get(key),
      list: (prefix, startAfter) => {
        lists++
        return store.list(prefix, startAfter)
      },
    }))
    const first = look.board.look()
    await Promise.resolve()
    await look.beat('a', 1)
    await Promise.all([first, look.board.look(), look.board.look()])
    expect(lists).toBe(2)
    expect(look.board.alive()).toEqual(['a'])
  })
})
