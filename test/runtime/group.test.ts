import {
  between,
  boundedOutOfOrderness,
  bronze,
  gold,
  millis,
  pipeline,
  silver,
  stream,
  tumbling,
} from 'millrace'
import { describe, expect, it } from 'vitest'
import type { ReadResult, Source } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { Prng } from '../../src/testing/simulation/prng.ts'
import { rowsSource } from '../../src/testing/rows-source.ts'
import { Reading, reading } from '../support/reading.ts'
import { TestGroup } from '../support/test-group.ts'
import { IMPATIENT, rowsIn, start, tablesIn, WORLD } from '../support/world.ts'

const readings = stream('readings', Reading, {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(millis(5)),
})
const once = readings
  .expect('sane', { value: between(0, 100) })
  .dedupe('once', { by: 'sensor', within: millis(30) })
const counts = once
  .keyBy('sensor')
  .window(tumbling(millis(10)), { allowedLateness: millis(0) })
  .aggregate('counts', ({ count, sum }) => ({ rows: count(), total: sum('value') }))
const program = pipeline({
  name: 'shared',
  tables: [bronze('readings', readings), silver('once', once), gold('counts', counts)],
  circuitBreaker: false,
})

const PARTITIONS = 4
const records = Array.from({ length: 400 }, (_, i) =>
  reading(i + ((i * 7) % 11), {
    value: ((i * 13) % 40) - 1,
    sensor: `s${(i * 17) % 23}`,
    partition: i % PARTITIONS,
  }),
)

/** Gives a few records at a time, with a breath in between, and says 'quiet' where it has no more, as a topic does. */
function liveSource(): Source {
  const inner = rowsSource(program, records).open(WORLD)
  return {
    description: inner.description,
    isBacklog: false,
    partitions: () => inner.partitions(),
    async open(partition, position) {
      const reader = await inner.open(partition, position)
      return {
        async read(recordsMax): Promise<ReadResult> {
          await IMPATIENT.sleep(0)
          const result = await reader.read(Math.min(recordsMax, 3))
          return result.kind === 'end' ? { kind: 'quiet', arrivalClockMs: 0 } : result
        },
        close: () => reader.close(),
      }
    },
    close: () => inner.close(),
  }
}

async function undisturbed() {
  const lake = memoryStore()
  await start(program, { lake, records })
  return tablesIn(lake, program)
}

const breaths = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await IMPATIENT.sleep(0)
}

/** What does not depend on windows that stay open for as long as a topic may go on. */
const CLOSED = ['bronze/readings', 'silver/once', 'dead_letters'] as const

describe('processes that share a source', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'give the rows of a single one, however the tasks are moved (seed %i)',
    async (seed) => {
      const expected = await undisturbed()
      const random = new Prng(seed)
      const lake = memoryStore()
      const source = liveSource()
      const group = new TestGroup(await source.partitions())
      const stop = new AbortController()
      const processes = ['a', 'b', 'c'].map((name) =>
        start(program, {
          lake,
          source: group.join(name, source),
          signal: stop.signal,
          epochRows: random.pick([2, 7, 1_000]),
          epochMs: 10,
        }),
      )
      while (group.members.length < 3) await breaths(1)
      for (let i = 0; i < 12; i++) {
        const owners = new Map(group.tasks.map((task) => [task, random.pick(['a', 'b', 'c'])] as const))
        if (random.chance(0.5)) await group.assign(owners)
        else group.assignAtOnce(owners)
        await breaths(random.integer(0, 120))
      }
      await group.assign(new Map(group.tasks.map((task, i) => [task, ['a', 'b', 'c'][i % 3]!])))
      while ((await rowsIn(lake, 'bronze/readings')).length < expected['bronze/readings']!.length)
        await breaths(20)
      stop.abort()
      for (const summary of await Promise.all(processes)) expect(summary.outcome).toBe('stopped')
      const shared = await tablesIn(lake, program)
      for (const table of CLOSED) expect(shared[table]).toEqual(expected[table])

      // Somebody who reads to the end closes the windows that are open.
      const last = await start(program, { lake, records })
      expect(last).toMatchObject({ outcome: 'completed', records: 0 })
      expect(await tablesIn(lake, program)).toEqual(expected)
    },
  )
})
