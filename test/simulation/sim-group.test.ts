import { describe, expect, it } from 'vitest'
import type { Assignment, SourcePartition } from '../../src/ports.ts'
import { Prng } from '../../src/testing/simulation/prng.ts'
import { type SimProcess, SimScheduler } from '../../src/testing/simulation/scheduler.ts'
import { DISTURBANCES, type Weather } from '../../src/testing/simulation/weather.ts'
import { SimClock } from '../../src/testing/simulation/sim-clock.ts'
import { SimGroup } from '../../src/testing/simulation/sim-group.ts'
import { SimMembership } from '../../src/testing/simulation/sim-membership.ts'

const START_MS = 1_800_000_000_000
const MERGE = ['merge-0']

/** A group whose members do nothing but hold tasks. */
class GroupWorld {
  readonly scheduler: SimScheduler
  readonly group: SimGroup
  readonly holding = new Map<string, ReadonlySet<string>>()
  readonly told: string[] = []
  partitionCount = 3
  readonly #random: Prng

  constructor(seed: number, disturbance: number, oddness: number) {
    this.#random = new Prng(seed)
    const weights = Object.fromEntries(DISTURBANCES.map((kind) => [kind, 1])) as Weather['weights']
    const weather: Weather = {
      disturbance,
      disturbancesMax: 30,
      spawnsMax: 5,
      stickiness: 0.5,
      slow: null,
      slowness: 0,
      landing: 0.05,
      stepMsMax: 2,
      weights,
    }
    this.scheduler = new SimScheduler(this.#random.fork(), weather, START_MS)
    this.group = new SimGroup(
      this.#random.fork(),
      () => this.scheduler.nowMs,
      () => this.partitions(),
      { sessionMs: 1_000, heartbeatMs: 100, handoverMs: 300, oddness },
      (line) => this.scheduler.say(line),
    )
    this.scheduler.spawn = () => this.start()
  }

  partitions(): readonly SourcePartition[] {
    return Array.from({ length: this.partitionCount }, (_, i) => ({ id: `t-${i}`, topic: 't', partition: i }))
  }

  start(): SimProcess {
    const process = this.scheduler.start(`p${this.scheduler.processes.length + 1}`)
    const clock = new SimClock(process, this.scheduler)
    const membership = new SimMembership(process, this.group, clock)
    const hold = (assignment: Assignment | null): void => {
      const tasks =
        assignment === null ? [] : [...assignment.partitions.map(({ id }) => id), ...assignment.mergeTasks]
      this.holding.set(process.name, new Set(tasks))
      this.told.push(`${process.name}: ${tasks.join(' ')}`)
    }
    const listener = {
      assigned: hold,
      revoked: async (tasks: readonly string[]) => {
        await clock.sleep(this.#random.pick([0, 50, 5_000]))
        const kept = [...(this.holding.get(process.name) ?? [])].filter((task) => !tasks.includes(task))
        this.holding.set(process.name, new Set(kept))
      },
      lost: () => hold(null),
      failed: () => this.scheduler.ended(process, 'failed'),
    }
    const stopped = new Promise<void>((resolve) => {
      process.stop.signal.addEventListener('abort', () => resolve())
    })
    void membership
      .join(MERGE, listener)
      .then(() => stopped)
      .then(() => membership.leave())
      .then(
        () => this.scheduler.ended(process, 'left'),
        () => this.scheduler.ended(process, 'failed'),
      )
    return process
  }

  get alive(): readonly SimProcess[] {
    return this.scheduler.processes.filter(({ state }) => state === 'alive')
  }

  /** Owners of each task among the live, as they see it themselves. */
  owners(): ReadonlyMap<string, readonly string[]> {
    const tasks = [...this.partitions().map(({ id }) => id), ...MERGE]
    const ownersOf = (task: string): readonly string[] =>
      this.alive.map(({ name }) => name).filter((name) => this.holding.get(name)?.has(task))
    return new Map(tasks.map((task) => [task, ownersOf(task)]))
  }

  isSettled(): boolean {
    return [...this.owners()].every(
      ([task, owners]) => owners.length === 1 && owners[0] === this.group.holderOf(task),
    )
  }
}

describe('the simulated group', () => {
  it('gives every task to one live member in the end, whatever happened before', async () => {
    const counts = { expired: 0, handovers: 0, twins: 0, shuffles: 0 }
    for (let seed = 1; seed <= 60; seed++) {
      const world = new GroupWorld(seed, 0.05, 0.02)
      for (let i = 0; i < 3; i++) world.start()
      await world.scheduler.run(400)
      world.partitionCount = 5
      await world.scheduler.run(400)
      world.scheduler.becalm()
      world.group.becalm()
      world.start()
      expect(await world.scheduler.run(20_000, () => world.isSettled()), `seed ${seed}`).toBe(true)
      expect([...world.owners().values()].flat().length, `seed ${seed}`).toBe(6)
      for (const kind of Object.keys(counts) as (keyof typeof counts)[])
        counts[kind] += world.group.counts[kind]
    }
    for (const [kind, times] of Object.entries(counts)) expect(times, kind).toBeGreaterThan(0)
  })

  it('spreads the tasks evenly, and waits for a holder to let go', async () => {
    const world = new GroupWorld(1, 0, 0)
    world.start()
    await world.scheduler.run(2_000, () => world.isSettled())
    expect(world.told.at(-1)).toBe('p1: t-0 t-1 t-2 merge-0')
    world.start()
    await world.scheduler.run(5_000, () => world.isSettled() && world.holding.get('p2')?.size === 2)
    expect(world.holding.get('p1')?.size).toBe(2)
    const { trace } = world.scheduler
    const released = trace.findIndex((line) => line.includes('p1: release'))
    const taken = trace.findIndex((line) => /p2: heartbeat .*-> \d+: \S+ \S+/.test(line))
    expect(released).toBeGreaterThan(0)
    expect(taken).toBeGreaterThan(released)
  })

  it('hands the tasks of a sleeper on, who believes that it has them until it hears', async () => {
    const world = new GroupWorld(1, 0, 0)
    const sleeper = world.start()
    await world.scheduler.run(2_000, () => world.isSettled())
    sleeper.pausedUntilStep = Infinity
    world.start()
    await world.scheduler.run(5_000, () => world.holding.get('p2')?.size === 4)
    expect(world.owners().get('t-0')).toEqual(['p1', 'p2'])
    sleeper.pausedUntilStep = 0
    expect(await world.scheduler.run(5_000, () => world.isSettled())).toBe(true)
    expect(world.told).toContain('p1: ')
  })

  it('gives what a member had to the others as soon as it leaves', async () => {
    const world = new GroupWorld(1, 0, 0)
    const first = world.start()
    world.start()
    await world.scheduler.run(5_000, () => world.isSettled() && world.holding.size === 2)
    first.stop.abort()
    expect(await world.scheduler.run(5_000, () => world.holding.get('p2')?.size === 4)).toBe(true)
    expect(world.scheduler.trace.some((line) => /group: p1 .* leaves/.test(line))).toBe(true)
    expect(world.scheduler.trace.filter((line) => line.includes('expired'))).toEqual([])
  })
})
