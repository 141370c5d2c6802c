import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import { Prng } from '../../src/testing/simulation/prng.ts'
import { SimScheduler } from '../../src/testing/simulation/scheduler.ts'
import { DISTURBANCES, type Disturbance, type Weather } from '../../src/testing/simulation/weather.ts'
import { SimObjects, SimStore } from '../../src/testing/simulation/sim-store.ts'

function weather(kinds: readonly Disturbance[], disturbance = 0.3, disturbancesMax = 100): Weather {
  const weights = Object.fromEntries(DISTURBANCES.map((kind) => [kind, kinds.includes(kind) ? 1 : 0]))
  return {
    disturbance,
    disturbancesMax,
    spawnsMax: 0,
    stickiness: 0.5,
    slow: null,
    slowness: 0,
    landing: 0.03,
    stepMsMax: 3,
    weights: weights as Weather['weights'],
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Each process puts its name under ten keys and reports what it was told. */
async function race(
  seed: number,
  kinds: readonly Disturbance[],
  processes = 3,
): Promise<{
  scheduler: SimScheduler
  objects: SimObjects
  told: string[]
}> {
  const scheduler = new SimScheduler(new Prng(seed), weather(kinds), 0)
  const objects = new SimObjects()
  const told: string[] = []
  for (let i = 0; i < processes; i++) {
    const process = scheduler.start(`p${i}`)
    const store = new SimStore(process, objects)
    const work = async (): Promise<void> => {
      for (let key = 0; key < 10; key++) {
        try {
          told.push(`${process.name} ${key} ${await store.putIfAbsent(`key/${key}`, bytes(process.name))}`)
        } catch (error) {
          told.push(`${process.name} ${key} ${(error as PipelineError).code}`)
        }
      }
      scheduler.ended(process, 'done')
    }
    void work()
  }
  expect(await scheduler.run(10_000)).toBe(true)
  return { scheduler, objects, told }
}

describe('the simulated world', () => {
  it('gives one winner per key to concurrent creators', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { objects, told } = await race(seed, [])
      for (let key = 0; key < 10; key++) {
        const created = told.filter((line) => line.endsWith(`${key} created`))
        expect(created).toHaveLength(1)
        expect(new TextDecoder().decode(objects.get(`key/${key}`) ?? new Uint8Array())).toBe(
          created[0]!.split(' ')[0],
        )
      }
    }
  })

  it('repeats a seed step by step', async () => {
    const kinds = [...DISTURBANCES]
    const first = await race(7, kinds)
    const second = await race(7, kinds)
    expect(second.scheduler.trace).toEqual(first.scheduler.trace)
    expect(second.told).toEqual(first.told)
    const other = await race(8, kinds)
    expect(other.scheduler.trace).not.toEqual(first.scheduler.trace)
  })

  it('executes a put whose response is lost, and says that its outcome is not known', async () => {
    const { told, objects, scheduler } = await race(3, ['response-lost'], 1)
    const ambiguous = told.filter((line) => line.endsWith('STORE_AMBIGUOUS'))
    expect(ambiguous.length).toBe(scheduler.counts['response-lost'])
    expect(ambiguous.length).toBeGreaterThan(0)
    expect(objects.objects.size).toBe(10)
  })

  it('does not execute a put that is dropped', async () => {
    const { told, objects } = await race(3, ['dropped'], 1)
    const dropped = told.filter((line) => line.endsWith('STORE_AMBIGUOUS'))
    expect(dropped.length).toBeGreaterThan(0)
    expect(objects.objects.size).toBe(10 - dropped.length)
  })

  it('lets a put in flight arrive later, or not before everybody has gone', async () => {
    const { scheduler, objects } = await race(5, ['in-flight'], 1)
    const before = objects.objects.size
    const flying = scheduler.flightsCount
    scheduler.land(flying)
    expect(before + flying).toBe(10)
    expect(objects.objects.size).toBe(10)
    expect(scheduler.counts['late-arrival']).toBe(scheduler.counts['in-flight'])
  })

  it('never answers a crashed process again', async () => {
    const { scheduler, told } = await race(1, ['crash-before', 'crash-after', 'crash-in-flight'])
    const crashed = scheduler.processes.filter((process) => process.state === 'crashed')
    expect(crashed.length).toBeGreaterThan(0)
    for (const process of crashed) {
      const crash = scheduler.trace.findIndex(
        (line) => line.startsWith(process.name) && line.includes('CRASH'),
      )
      expect(scheduler.trace.slice(crash + 1).filter((line) => line.startsWith(`${process.name}:`))).toEqual(
        [],
      )
      expect(told.filter((line) => line.startsWith(process.name)).length).toBeLessThan(10)
    }
  })

  it('sleeps in simulated time', async () => {
    const scheduler = new SimScheduler(new Prng(1), weather([]), 1_000)
    const process = scheduler.start('p')
    const woken: number[] = []
    const doze = async (): Promise<void> => {
      await process.sleep(3_600_000, undefined)
      woken.push(scheduler.nowMs)
      scheduler.ended(process, 'done')
    }
    void doze()
    expect(await scheduler.run(100)).toBe(true)
    expect(woken[0]).toBeGreaterThanOrEqual(3_601_000)
  })

  it('wakes a sleeper at once where it is aborted', async () => {
    const scheduler = new SimScheduler(new Prng(1), weather([]), 0)
    const process = scheduler.start('p')
    const alarm = new AbortController()
    const sleeping = process.sleep(3_600_000, alarm.signal)
    alarm.abort()
    await sleeping
    expect(scheduler.nowMs).toBe(0)
  })
})
