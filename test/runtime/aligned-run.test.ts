import { boundedOutOfOrderness, bronze, gold, millis, pipeline, stream, tumbling } from 'millrace'
import { describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowsSource } from '../../src/testing/rows-source.ts'
import { Reading, reading } from '../support/reading.ts'
import { quiet, type ScriptedRead, scriptedSource } from '../support/scripted-source.ts'
import { start, tablesIn, WORLD } from '../support/world.ts'

function program(alignWithin: number | null) {
  const readings = stream('readings', Reading, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(
      millis(0),
      alignWithin === null ? {} : { alignWithin: millis(alignWithin) },
    ),
  })
  const counts = readings
    .keyBy('sensor')
    .window(tumbling(millis(10)), { allowedLateness: millis(0) })
    .aggregate('counts', ({ count }) => ({ rows: count() }))
  return pipeline({
    name: 'aligned',
    tables: [bronze('readings', readings), gold('counts', counts)],
    circuitBreaker: false,
  })
}

// An hour of the one is a minute of the other.
const records = [
  ...Array.from({ length: 300 }, (_, i) => reading(i * 10, { partition: 0 })),
  ...Array.from({ length: 300 }, (_, i) => reading(i, { partition: 1, sensor: 'b' })),
]

/** Reads ten records at a time, and notes how far the partitions are then. */
function noted(reached: [number, number], leads: number[]): Record<string, readonly ScriptedRead[]> {
  const reads = (partition: 0 | 1, stepMs: number): readonly ScriptedRead[] =>
    Array.from({ length: 30 }, (_, i) => () => {
      reached[partition] = (i + 1) * 10 * stepMs
      // Before the other has been read at all it is waited for.
      if (i > 0) leads.push(reached[0] - reached[1])
      return 10
    })
  return { 'readings-0': reads(0, 10), 'readings-1': reads(1, 1) }
}

describe('a limit of how far partitions may be from each other', () => {
  it('pauses the one that is ahead, and changes no row', async () => {
    const leads: number[] = []
    const source = scriptedSource(rowsSource(program(150), records).open(WORLD), noted([0, 0], leads))
    const lake = memoryStore()
    await start(program(150), { lake, source, epochRows: 40 })
    // The read that goes beyond it is the last; partition 1 has come to its end at 300 and then holds nobody up.
    const beforeItsEnd = leads.filter((_, i) => i < 30)
    expect(Math.max(...beforeItsEnd)).toBeLessThanOrEqual(150 + 100)
    const free = memoryStore()
    await start(program(null), { lake: free, records, epochRows: 40 })
    expect(await tablesIn(lake, program(null))).toEqual(await tablesIn(free, program(null)))
  })

  it('waits for nobody who has nothing to read', async () => {
    const script = {
      'readings-1': [10, ...Array.from({ length: 5 }, () => quiet(10)), { kind: 'stop' }],
    } as const
    const lake = memoryStore()
    const source = scriptedSource(rowsSource(program(50), records).open(WORLD), script)
    const summary = await start(program(50), { lake, source, epochRows: 40 })
    expect(summary).toMatchObject({ outcome: 'stopped', records: 310 })
  })

  it('ends with a stop, also while it holds a partition', async () => {
    const controller = new AbortController()
    const never = () => {
      setImmediate(() => controller.abort())
      return new Promise<number>(() => {})
    }
    const lake = memoryStore()
    const source = scriptedSource(rowsSource(program(50), records).open(WORLD), {
      'readings-0': Array.from({ length: 30 }, () => 10),
      'readings-1': [10, never],
    })
    const summary = await start(program(50), { lake, source, signal: controller.signal })
    expect(summary.outcome).toBe('stopped')
    expect(summary.records).toBeLessThan(100)
  })
})
