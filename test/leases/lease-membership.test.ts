import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import { LEASE_TIMES, LeaseMembership } from '../../src/leases/lease-membership.ts'
import { encodeLease, LeaseKeys } from '../../src/leases/lease-objects.ts'
import { type LeaseProcess, PREFIX, type StartOptions } from './lease-process.ts'
import { FAIR, LeaseWorld } from './lease-world.ts'

const SECOND = 1_000
const { heartbeatMs, ttlMs } = LEASE_TIMES

const tasksOf = (process: LeaseProcess): string[] => [...process.running].sort()

/** Processes that share 11 shards and a merge task, and have come to rest. */
async function settled(processes: readonly StartOptions[], shards = 11): Promise<LeaseWorld> {
  const world = new LeaseWorld({ seed: processes.length, shards })
  world.isFair = true
  for (const options of processes) world.start(options)
  await world.pass(60 * SECOND)
  expect(world.problems()).toEqual([])
  return world
}

describe('leases', () => {
  it('give one process everything, in one step', async () => {
    const world = new LeaseWorld({ seed: 1, shards: 4 })
    const only = world.start()
    await world.pass(2 * SECOND)
    expect(only.isJoined).toBe(true)
    expect(tasksOf(only)).toEqual(world.due)
    expect(world.turns).toHaveLength(5)
  })

  it('move nothing when nothing happens, and cost what the docs say', async () => {
    const world = await settled([{}, {}, {}, {}])
    const { length } = world.turns
    const before = { ...world.requests }
    await world.pass(600 * SECOND)
    expect(world.turns).toHaveLength(length)
    const perMinute = (kind: keyof typeof before): number =>
      Math.round((world.requests[kind] - before[kind]) / 4 / 10)
    expect({ put: perMinute('put'), list: perMinute('list'), get: perMinute('get') }).toEqual({
      put: 12,
      list: 12,
      get: 0,
    })
  })

  it('let a process that comes have its share soon, of those that have most, and of them only what it lacks', async () => {
    const world = await settled([{}, {}])
    const before = world.alive.map(tasksOf)
    const revocations = world.alive.map((process) => process.revocations)
    const third = world.start()
    await world.pass(2 * heartbeatMs + 3 * SECOND)
    expect(world.problems()).toEqual([])
    expect(third.running.size).toBe(4)
    for (const [index, process] of world.alive.slice(0, 2).entries()) {
      expect(process.revocations).toBe(revocations[index]! + 2)
      expect(before[index]).toEqual(expect.arrayContaining(tasksOf(process)))
    }
  })

  it('let the others have what a process gives back, at their next heartbeat', async () => {
    const world = await settled([{}, {}, {}])
    const [leaver, ...others] = world.alive as [LeaseProcess, ...LeaseProcess[]]
    const kept = others.map(tasksOf)
    leaver.leave()
    await world.pass(heartbeatMs + SECOND)
    expect(leaver.state).toBe('gone')
    expect(world.problems()).toEqual([])
    for (const [index, process] of others.entries()) {
      expect(tasksOf(process)).toEqual(expect.arrayContaining(kept[index]!))
      expect(process.revocations).toBe(0)
    }
  })

  it('let the others have what a dead process had, when its time to live is over', async () => {
    const world = await settled([{}, {}, {}])
    const [dead, ...others] = world.alive as [LeaseProcess, ...LeaseProcess[]]
    dead.crash()
    await world.pass(ttlMs - heartbeatMs - SECOND)
    expect(others.map(({ running }) => running.size)).toEqual([4, 4])
    await world.pass(3 * heartbeatMs)
    expect(world.problems()).toEqual([])
    expect(others.map(({ revocations }) => revocations)).toEqual([0, 0])
  })

  it('tell a process that has slept for too long that it is out, and let it in again', async () => {
    const world = await settled([{}, {}])
    const [sleeper, other] = world.alive as [LeaseProcess, LeaseProcess]
    sleeper.sleep(45 * SECOND)
    await world.pass(44 * SECOND)
    expect(tasksOf(other)).toEqual(world.due)
    const confirmed = sleeper.confirm()
    await world.pass(2 * SECOND)
    expect(await confirmed).toBe(false)
    expect(sleeper.losses).toBe(1)
    await world.pass(30 * SECOND)
    expect(world.problems()).toEqual([])
  })

  it('leave a process that has slept for less than its time to live what it had', async () => {
    const world = await settled([{}, {}])
    const before = world.alive.map(tasksOf)
    world.alive[0]!.sleep(14 * SECOND)
    await world.pass(60 * SECOND)
    expect(world.alive.map(tasksOf)).toEqual(before)
    expect(world.alive.map(({ losses }) => losses)).toEqual([0, 0])
  })

  it('change nothing while the store is away for a moment', async () => {
    const world = await settled([{}, {}, {}])
    const before = world.alive.map(tasksOf)
    const { length } = world.turns
    world.store = { ...FAIR, isAway: true }
    await world.pass(13 * SECOND)
    world.store = FAIR
    await world.pass(60 * SECOND)
    expect(world.alive.map(tasksOf)).toEqual(before)
    expect(world.turns).toHaveLength(length)
  })

  it('give everybody back what it had after the store was away for long', async () => {
    const world = await settled([{}, {}, {}])
    const before = world.alive.map(tasksOf)
    const revocations = world.alive.map((process) => process.revocations)
    world.store = { ...FAIR, isAway: true }
    await world.pass(90 * SECOND)
    expect(world.alive.map(tasksOf)).toEqual([[], [], []])
    expect(world.alive.map(({ losses }) => losses)).toEqual([1, 1, 1])
    world.store = FAIR
    await world.pass(3 * SECOND)
    expect(world.alive.map(tasksOf)).toEqual(before)
    await world.pass(120 * SECOND)
    expect(world.alive.map((process) => process.revocations)).toEqual(revocations)
    expect(world.problems()).toEqual([])
  })

  it('give a process that is started again under its name its tasks at once, and interrupt nobody', async () => {
    const world = await settled([{ name: 'a' }, { name: 'b' }, { name: 'c' }])
    const [, killed] = world.alive as [LeaseProcess, LeaseProcess, LeaseProcess]
    const before = world.processes.map(({ revocations }) => revocations)
    const had = tasksOf(killed)
    killed.crash()
    const again = world.start({ name: 'b' })
    await world.pass(2 * SECOND)
    expect(tasksOf(again)).toEqual(had)
    await world.pass(120 * SECOND)
    expect(tasksOf(again)).toEqual(had)
    expect(world.processes.slice(0, 3).map(({ revocations }) => revocations)).toEqual(before)
    expect(world.problems()).toEqual([])
  })

  it('let two processes that were given one name by mistake both work, and say so', async () => {
    const world = await settled([{ name: 'a' }])
    const [first] = world.alive as [LeaseProcess]
    world.start({ name: 'a' })
    await world.pass(60 * SECOND)
    expect(world.problems()).toEqual([])
    expect(first.logs.join()).toContain('another process has joined under the name of this one')
    expect(first.losses).toBe(1)
    const { length } = world.turns
    await world.pass(600 * SECOND)
    expect(world.turns).toHaveLength(length)
    expect(first.losses).toBe(1)
  })

  it('hand out children when their parents have ended, and keep all generations for the merge', async () => {
    const world = await settled([{}, {}], 2)
    world.split(0)
    world.merge(0)
    await world.pass(3 * heartbeatMs)
    expect(world.problems()).toEqual([])
    expect(world.due).toEqual(['merge-0', 's-000000000003', 's-000000000004'])
    for (const process of world.alive) {
      expect(process.all).toEqual(world.shards.map(({ partition }) => partition.id))
    }
  })

  it('keep children back from those who come while the parent still runs', async () => {
    const world = await settled([{}], 1)
    world.alive[0]!.sleep(Infinity)
    world.split(0)
    const late = world.start()
    await world.pass(10 * SECOND)
    expect(late.all).toEqual(['s-000000000000'])
    await world.pass(30 * SECOND)
    expect(tasksOf(late)).toEqual(['merge-0', 's-000000000001', 's-000000000002'])
  })

  it('move a task also where its owner does not let it go in time', async () => {
    const world = await settled([{}], 3)
    world.alive[0]!.letGoMs = 10 * 60 * SECOND
    world.start()
    await world.pass(heartbeatMs + LEASE_TIMES.releaseMs + 3 * SECOND)
    expect(world.alive.map(({ running }) => running.size)).toEqual([2, 2])
    expect(world.alive[0]!.logs.join()).toContain('tasks were not let go in time')
  })

  it('give a task that was asked for by one that died meanwhile to somebody who lives', async () => {
    const world = await settled([{}], 3)
    const [owner] = world.alive as [LeaseProcess]
    owner.letGoMs = 25 * SECOND
    const asker = world.start()
    await world.pass(heartbeatMs + SECOND)
    expect(owner.revocations).toBe(2)
    asker.crash()
    await world.pass(60 * SECOND)
    expect(tasksOf(owner)).toEqual(world.due)
  })

  it('leave tasks of another program to those who run it', async () => {
    const world = await settled([{}], 3)
    world.start({ mergeTasks: ['merge-0', 'merge2-0'] })
    await world.pass(60 * SECOND)
    const [old, other] = world.alive as [LeaseProcess, LeaseProcess]
    expect(tasksOf(other)).toContain('merge2-0')
    expect(tasksOf(old)).not.toContain('merge2-0')
    expect([...tasksOf(old), ...tasksOf(other)].sort()).toEqual([...world.due, 'merge2-0'].sort())
  })

  it('give a task to one that runs it, where it fell to one of another program', async () => {
    const mergeTasks = ['merge-0', 'merge2-0', 'merge2-1', 'merge2-2', 'merge2-3']
    const world = new LeaseWorld({ seed: 3, shards: 1 })
    const [old] = [world.start({}), world.start({ mergeTasks })]
    await world.pass(2 * ttlMs)
    const other = world.alive[1]!
    expect([...tasksOf(old), ...tasksOf(other)].sort()).toEqual([...mergeTasks, 's-000000000000'].sort())
  })

  it('end the run where the store refuses', async () => {
    const world = await settled([{}, {}])
    const [refused, other] = world.alive as [LeaseProcess, LeaseProcess]
    refused.refusal = new PipelineError('STORE_FORBIDDEN', 'no rights')
    await world.pass(2 * heartbeatMs)
    expect(refused.failure).toBe(refused.refusal)
    await world.pass(2 * ttlMs)
    expect(tasksOf(other)).toEqual(world.due)
  })

  it('wait for a store that is away at the start, and stop waiting when told to leave', async () => {
    const world = new LeaseWorld({ seed: 1, shards: 3 })
    world.store = { ...FAIR, isAway: true }
    const [waits, leaves] = [world.start(), world.start()]
    await world.pass(60 * SECOND)
    expect([waits.isJoined, waits.failure]).toEqual([false, null])
    leaves.leave()
    await world.pass(3 * SECOND)
    expect([leaves.state, leaves.isJoined]).toEqual(['gone', true])
    world.store = FAIR
    await world.pass(10 * SECOND)
    expect(tasksOf(waits)).toEqual(world.due)
  })

  it('leave in bounded time while the store is away', async () => {
    const world = await settled([{}])
    world.store = { ...FAIR, delayMs: 600 * SECOND, isAway: true }
    world.alive[0]!.leave()
    await world.pass(6 * SECOND)
    expect(world.processes[0]!.state).toBe('gone')
  })

  it('take no notice of a put that arrives when its number has been deleted', async () => {
    const world = await settled([{}], 1)
    world.start()
    await world.pass(30 * SECOND)
    const keys = new LeaseKeys(PREFIX)
    const [task] = tasksOf(world.alive[1]!) as [string]
    const stale = encodeLease({ owner: 'somebody', handTo: null, state: 'held' })
    expect(await world.objects.putIfAbsent(keys.lease(task, 1), stale)).toBe('created')
    const before = world.alive.map(tasksOf)
    await world.pass(60 * SECOND)
    expect(world.alive.map(tasksOf)).toEqual(before)
    expect(await world.objects.get(keys.lease(task, 1))).toBe(null)
  })

  it('sweep up behind the dead, and behind tasks that have ended', async () => {
    const world = await settled([{}], 2)
    for (let round = 0; round < 6; round++) {
      world.alive[0]!.crash()
      world.start()
      world.split(round)
      await world.pass(45 * SECOND)
    }
    await world.pass(300 * SECOND)
    expect(world.problems()).toEqual([])
    const kinds = (await world.objects.list(PREFIX)).map(({ key }) => key.slice(PREFIX.length).split('/')[0])
    const count = (kind: string): number => kinds.filter((name) => name === kind).length
    expect([count('members'), count('tasks'), count('ended')]).toEqual([2, world.due.length, 6])
    // Those who come now hear of what has ended from the marks alone.
    const late = world.start()
    await world.pass(60 * SECOND)
    expect(world.problems()).toEqual([])
    expect(late.all).toHaveLength(world.shards.length)
  })

  it('refuse times that cannot work', () => {
    const { clock } = new LeaseWorld({ seed: 1, shards: 0 }).start()
    const make = (times: object) => () =>
      new LeaseMembership({
        source: { partitions: async () => [], partition: () => null },
        name: null,
        times: { ...LEASE_TIMES, ...times },
        world: { clock, entropy: { nonce: () => 'a', random: () => 0 }, log: {} as never },
      })
    expect(make({ heartbeatMs: 10_000 })).toThrow(/more than a third of leases.ttlMs/)
    expect(make({ releaseMs: 0 })).toThrow('leases.releaseMs is 0')
    expect(make({ ttlMs: Infinity })).toThrow('leases.ttlMs is Infinity')
  })

  it('refuse leases of a version that cannot be read', async () => {
    const world = new LeaseWorld({ seed: 1, shards: 1 })
    const key = new LeaseKeys(PREFIX).lease('s-000000000000', 1)
    await world.objects.put(key, new TextEncoder().encode('{"version":2}'))
    const process = world.start()
    await world.pass(5 * SECOND)
    expect(process.failure).toMatchObject({ code: 'LEASES_UNREADABLE' })
  })
})
