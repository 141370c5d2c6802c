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
import type { ObjectStore } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowsSource } from '../../src/testing/rows-source.ts'
import type { PipelineSpec } from '../../src/topology/node.ts'
import { Reading, reading } from '../support/reading.ts'
import { scriptedSource } from '../support/scripted-source.ts'
import { retain } from '../support/retained.ts'
import { rowsIn, start, tablesIn, WORLD } from '../support/world.ts'

interface Parts {
  readonly windows?: readonly number[]
  readonly withSilver?: boolean
  readonly max?: number
}

function program({ windows = [10], withSilver = true, max = 1_000 }: Parts = {}): PipelineSpec {
  const readings = stream('readings', Reading, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(millis(5)),
  })
  const sane = readings.expect('sane', { value: between(0, max) })
  const counts = windows.map((size) =>
    sane
      .keyBy('sensor')
      .window(tumbling(millis(size)), { allowedLateness: millis(0) })
      .aggregate(`counts_${size}`, ({ count }) => ({ rows: count() })),
  )
  return pipeline({
    name: 'changing',
    tables: [
      bronze('readings', readings),
      ...(withSilver ? [silver('sane', sane)] : []),
      ...counts.map((count, i) => gold(`counts_${windows[i]}`, count)),
    ],
    circuitBreaker: false,
  })
}

const records = Array.from({ length: 200 }, (_, i) =>
  reading(i, { value: i, sensor: `s${i % 3}`, partition: i % 2 }),
)

/** Reads so many records of each partition and stops. */
function startUntil(spec: PipelineSpec, lake: ObjectStore, reads: number, epochRows = 7) {
  const script = {
    'readings-0': [reads, { kind: 'stop' }],
    'readings-1': [reads, { kind: 'stop' }],
  } as const
  const source = scriptedSource(rowsSource(spec, records).open(WORLD), script)
  return start(spec, { lake, source, epochRows })
}

const windowStarts = async (lake: ObjectStore, table: string): Promise<readonly number[]> =>
  (await rowsIn(lake, table)).map((row) => Date.parse(row['window_start'] as string))

describe('a program with more to it', () => {
  it('goes on: what was there keeps its state, what is new begins with the records that come now', async () => {
    const lake = memoryStore()
    await startUntil(program({ withSilver: false }), lake, 50)
    const after = program({ windows: [10, 20] })
    expect(await start(after, { lake, records, epochRows: 7 })).toMatchObject({
      outcome: 'completed',
      incarnation: 1,
    })
    const undisturbed = memoryStore()
    await start(after, { lake: undisturbed, records, epochRows: 7 })
    for (const path of ['bronze/readings', 'gold/counts_10'])
      expect(await rowsIn(lake, path)).toEqual(await rowsIn(undisturbed, path))
    // Records 0 to 99 were read before.
    expect(await rowsIn(lake, 'silver/sane')).toHaveLength(100)
    expect(Math.min(...(await windowStarts(lake, 'gold/counts_20')))).toBe(100)
    const sum = (await rowsIn(lake, 'gold/counts_20')).reduce((rows, row) => rows + Number(row['rows']), 0)
    expect(sum).toBe(100)
  })

  it.each([1, 7, 1_000])(
    'may get its first window late in its life (epochs of %i rows)',
    async (epochRows) => {
      const lake = memoryStore()
      const retention = { keepRecords: 0, recordsMin: 1 }
      const before = program({ windows: [] })
      const script = {
        'readings-0': [50, { kind: 'stop' }],
        'readings-1': [50, { kind: 'stop' }],
      } as const
      const source = scriptedSource(rowsSource(before, records).open(WORLD), script)
      await start(before, { lake, source, epochRows, retention })
      const after = program()
      await startUntil(after, lake, 20, epochRows)
      // A restore in between comes to the same.
      expect(await start(after, { lake, records, epochRows })).toMatchObject({ outcome: 'completed' })
      expect(Math.min(...(await windowStarts(lake, 'gold/counts_10')))).toBe(100)
      const rows = await rowsIn(lake, 'gold/counts_10')
      expect(rows.reduce((sum, row) => sum + Number(row['rows']), 0)).toBe(100)
    },
  )

  it('is then the program of the lake: the one before it is refused', async () => {
    const lake = memoryStore()
    await startUntil(program(), lake, 50)
    const after = program({ windows: [10, 20] })
    await startUntil(after, lake, 50)
    await expect(start(program(), { lake, records })).rejects.toMatchObject({
      code: 'PROGRAM_CHANGED',
      message: expect.stringContaining('counts_20 was removed'),
      advice: expect.stringContaining('--allow-removed'),
    })
    expect(await start(after, { lake, records })).toMatchObject({ outcome: 'completed' })
  })
})

describe('a program that changes in a lake whose chains have lost their beginning', () => {
  const ALL = { keepRecords: 0, recordsMin: 1, deletesMax: 1_000 }

  it('may have a table more that gets no row in its first epochs', async () => {
    const lake = memoryStore()
    const before = program({ windows: [], withSilver: false })
    await startUntil(before, lake, 50, 3)
    expect((await retain(before, lake, ALL)).records).toBeGreaterThan(0)
    // Nothing passes.
    const after = program({ windows: [], max: 0 })
    await startUntil(after, lake, 10, 3)
    await startUntil(after, lake, 10, 3)
    expect(await start(after, { lake, records })).toMatchObject({ outcome: 'completed' })
  })

  it('may lose its windows, and get them back: then they begin anew', async () => {
    const lake = memoryStore()
    await startUntil(program(), lake, 20, 3)
    const without = program({ windows: [] })
    const script = { 'readings-0': [40, { kind: 'stop' }], 'readings-1': [40, { kind: 'stop' }] } as const
    const source = scriptedSource(rowsSource(without, records).open(WORLD), script)
    await start(without, { lake, source, epochRows: 3, allowRemoved: true })
    expect((await retain(without, lake, ALL)).records).toBeGreaterThan(0)
    await startUntil(program(), lake, 20, 3)
    await startUntil(program(), lake, 5, 3)
    expect(await start(program(), { lake, records })).toMatchObject({ outcome: 'completed' })
    const starts = await windowStarts(lake, 'gold/counts_10')
    expect(new Set(starts.filter((at) => at >= 130)).size).toBe(7)
  })
})

describe('a program with less to it', () => {
  it('is refused unless asked for; then its tables stay as they are', async () => {
    const lake = memoryStore()
    await startUntil(program({ windows: [10, 20] }), lake, 50)
    const before = await rowsIn(lake, 'gold/counts_20')
    expect(before.length).toBeGreaterThan(0)
    const after = program()
    await expect(start(after, { lake, records })).rejects.toMatchObject({ code: 'PROGRAM_CHANGED' })
    expect(await start(after, { lake, records, allowRemoved: true })).toMatchObject({ outcome: 'completed' })
    expect(await rowsIn(lake, 'gold/counts_20')).toEqual(before)
    const undisturbed = memoryStore()
    await start(after, { lake: undisturbed, records })
    expect(await tablesIn(lake, after)).toEqual(await tablesIn(undisturbed, after))
    // Once it is dropped, nobody has to ask for it again.
    expect(await start(after, { lake, records })).toMatchObject({ outcome: 'nothing-to-do' })
  })
})

describe('a program that is another', () => {
  it('is refused, with the steps that changed', async () => {
    const lake = memoryStore()
    await startUntil(program(), lake, 50)
    await expect(start(program({ max: 50 }), { lake, records, allowRemoved: true })).rejects.toMatchObject({
      code: 'PROGRAM_CHANGED',
      message: expect.stringContaining('sane was changed'),
      advice: expect.stringContaining('describe --diff'),
    })
    expect(await start(program({ max: 50 }), { lake, records, fresh: true })).toMatchObject({
      outcome: 'completed',
      incarnation: 2,
    })
  })
})
