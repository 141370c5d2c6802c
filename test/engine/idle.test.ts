import { boundedOutOfOrderness, bronze, gold, millis, pipeline, stream, tumbling } from 'millrace'
import { describe, expect, it } from 'vitest'
import type { ObjectStore } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowsSource, type TestRecord } from '../../src/testing/rows-source.ts'
import { Reading, reading } from '../support/reading.ts'
import { quiet, type ScriptedRead, scriptedSource } from '../support/scripted-source.ts'
import { hookedStore, rowsIn, start, WORLD } from '../support/world.ts'

/** Windows of 10 ms, no disorder; a partition that is silent for 100 ms is idle. */
const readings = stream('readings', Reading, {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(millis(0), { idleAfter: millis(100) }),
})
const counts = readings
  .keyBy('sensor')
  .window(tumbling(millis(10)), { allowedLateness: millis(0) })
  .aggregate('counts', ({ count, sum }) => ({ rows: count(), total: sum('value') }))
const program = pipeline({ name: 'idle', tables: [bronze('readings', readings), gold('counts', counts)] })

/** [window_start, rows, revision], the last revision of each window. */
async function lastResults(lake: ObjectStore): Promise<readonly (readonly number[])[]> {
  const results = new Map<number, readonly number[]>()
  for (const row of await rowsIn(lake, 'gold/counts')) {
    const startMs = Date.parse(row['window_start'] as string)
    const revision = Number(row['revision'])
    if ((results.get(startMs)?.[2] ?? -1) < revision)
      results.set(startMs, [startMs, Number(row['rows']), revision])
  }
  return [...results.values()].toSorted((a, b) => a[0]! - b[0]!)
}

class World {
  readonly lake: ObjectStore
  readonly #inner = memoryStore()
  readonly #waiting: { readonly startMs: number; readonly rows: number; readonly resolve: () => void }[] = []

  constructor() {
    this.lake = hookedStore(this.#inner, {
      after: async (call, key) => {
        if (call === 'putIfAbsent' && key.startsWith('gold/counts/_delta_log/')) await this.#look()
      },
    })
  }

  /** Resolves when readers see that the window has so many rows. */
  sees(startMs: number, rows: number): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ startMs, rows, resolve }))
  }

  async #look(): Promise<void> {
    const results = await lastResults(this.#inner)
    for (const { startMs, rows, resolve } of this.#waiting) {
      if (results.some((result) => result[0] === startMs && result[1] === rows)) resolve()
    }
  }

  run(records: readonly TestRecord[], script: Readonly<Record<string, readonly ScriptedRead[]>>) {
    const source = scriptedSource(rowsSource(program, records).open(WORLD), script)
    return start(program, { lake: this.lake, source, epochRows: 5 })
  }
}

const row = (at: number, partition: number) => reading(at, { partition, arrivalMs: at })

describe('an idle partition', { timeout: 10_000 }, () => {
  it('no longer holds the windows back; when it returns its rows make revisions, and the last one is right', async () => {
    //  0        10        20        300       310
    //  [--------)[--------) …        [--------)
    //  0 busy: 1,2,3,4    12         300 301 302 303 304
    //  1 quiet:   5                        (idle at 105)          6 7 → again, then 305
    const world = new World()
    const busy = [1, 2, 3, 4, 12, 300, 301, 302, 303, 304].map((at) => row(at, 0))
    const slow = [5, 6, 7, 305].map((at) => row(at, 1))
    const summary = await world.run([...busy, ...slow], {
      'readings-0': [5, 5],
      'readings-1': [
        1,
        quiet(300),
        async () => {
          // The window [0, 10) has fired without the rows that are still to come.
          await world.sees(0, 5)
          return 2
        },
      ],
    })
    expect(summary.outcome).toBe('completed')
    // On time by its own watermark, however late it is for the other.
    expect(summary.totals.late).toEqual({})
    const results = await lastResults(world.lake)
    expect(results[0]).toEqual([0, 7, 1])
    // How many revisions the others have depends on who came first.
    expect(results.map(([startMs, rows]) => [startMs, rows])).toEqual([
      [0, 7],
      [10, 1],
      [300, 6],
    ])
  })

  it('that never had a record is idle by the first arrival of the source', async () => {
    const world = new World()
    const records = [row(1, 0), row(2, 0), row(3, 0), row(4, 0), row(50, 0), row(60, 0), row(400, 1)]
    const summary = await world.run(records, {
      'readings-0': [
        5,
        async () => {
          await world.sees(0, 4)
          return 1
        },
      ],
      'readings-1': [quiet(1), quiet(60), quiet(101)],
    })
    expect(summary.outcome).toBe('completed')
    expect(await lastResults(world.lake)).toEqual([
      [0, 4, 0],
      [50, 1, 0],
      [60, 1, 0],
      [400, 1, 0],
    ])
  })

  it('is not waited for by the merge either: results are as fresh as the busy partitions are', async () => {
    const world = new World()
    const busy = Array.from({ length: 20 }, (_, i) => row(200 + i * 10, 0))
    const silent = [1, 2, 3, 4].map((partition) => row(1, partition))
    const script: Record<string, ScriptedRead[]> = {
      'readings-0': [
        5,
        async () => {
          await world.sees(230, 1)
          return 5
        },
        // One epoch of one partition is enough for the next results.
        async () => {
          await world.sees(280, 1)
          return 5
        },
        async () => {
          await world.sees(330, 1)
          return 5
        },
      ],
    }
    for (const partition of [1, 2, 3, 4]) {
      script[`readings-${partition}`] = [
        1,
        quiet(1_000),
        async () => {
          await world.sees(330, 1)
          return { kind: 'end' }
        },
      ]
    }
    expect(await world.run([...busy, ...silent], script)).toMatchObject({ outcome: 'completed' })
    expect(await lastResults(world.lake)).toHaveLength(21)
  })

  it('survives a restart: who was idle stays idle, and what has fired is added to', async () => {
    const world = new World()
    const busy = [1, 2, 3, 4, 300, 301].map((at) => row(at, 0))
    const slow = [5, 6, 350].map((at) => row(at, 1))
    const records = [...busy, ...slow]
    const first = await world.run(records, {
      'readings-0': [5, { kind: 'stop' }],
      'readings-1': [
        1,
        quiet(300),
        async () => {
          await world.sees(0, 5)
          return { kind: 'stop' }
        },
      ],
    })
    expect(first.outcome).toBe('stopped')
    expect(await lastResults(world.lake)).toEqual([[0, 5, 0]])
    expect(await world.run(records, {})).toMatchObject({ outcome: 'completed' })
    expect(await lastResults(world.lake)).toEqual([
      [0, 6, 1],
      [300, 2, 0],
      [350, 1, 0],
    ])
  })
})
