import { boundedOutOfOrderness, bronze, gold, millis, pipeline, stream, tumbling } from 'millrace'
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import type { ObjectStore, ReadResult } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowsSource } from '../../src/testing/rows-source.ts'
import { Reading, reading } from '../support/reading.ts'
import { chainsIn, retain } from '../support/retained.ts'
import { gate, quiet, scriptedSource } from '../support/scripted-source.ts'
import { hookedStore, pacedStore, rowsIn, start, tablesIn, WORLD } from '../support/world.ts'

function programOf(mergeParallelism: number) {
  const readings = stream('readings', Reading, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(millis(50)),
  })
  const counts = readings
    .keyBy('sensor')
    .window(tumbling(millis(100)), { allowedLateness: millis(20) })
    .aggregate('counts', ({ count, sum }) => ({ rows: count(), total: sum('value') }))
  const busiest = counts
    .keyBy()
    .window(tumbling(millis(400)))
    .aggregate('busiest', ({ max, count }) => ({ most: max('rows'), sensors: count() }))
  return pipeline({
    name: 'staged',
    tables: [bronze('readings', readings), gold('counts', counts), gold('busiest', busiest)],
    circuitBreaker: false,
    mergeParallelism,
  })
}

const records = Array.from({ length: 1_200 }, (_, i) =>
  reading(i, { sensor: `s${(i * 7) % 23}`, value: i, partition: i % 3 }),
)
const EPOCH_ROWS = 40

async function undisturbed(): Promise<Awaited<ReturnType<typeof tablesIn>>> {
  const lake = memoryStore()
  await start(programOf(1), { lake, records, epochRows: EPOCH_ROWS })
  return tablesIn(lake, programOf(1))
}

/** A run whose store fails for good when so many records have been put. */
async function startAndDie(lake: ObjectStore, parallelism: number, recordsMax: number): Promise<void> {
  let left = recordsMax
  const dying = hookedStore(lake, {
    before(call, key) {
      if (call === 'putIfAbsent' && /\/\d{12}\.json$/.test(key) && left-- <= 0)
        throw new PipelineError('STORE_NOT_WRITABLE', 'the end')
    },
  })
  const run = start(programOf(parallelism), { lake: dying, records, epochRows: EPOCH_ROWS })
  await expect(run).rejects.toMatchObject({ code: 'STORE_NOT_WRITABLE' })
}

describe('a merge in slices and stages', () => {
  it.each([1, 2, 5])('writes the same rows in %i slices, however often it is interrupted', async (slices) => {
    const lake = memoryStore()
    for (const recordsMax of [9, 20, 9]) {
      await startAndDie(lake, slices, recordsMax)
      await retain(programOf(slices), lake, { keepRecords: 0, recordsMin: 1, deletesMax: 1_000 })
    }
    const program = programOf(slices)
    expect(await start(program, { lake, records, epochRows: EPOCH_ROWS })).toMatchObject({
      outcome: 'completed',
    })
    expect(await tablesIn(lake, program)).toEqual(await undisturbed())
    expect(await start(program, { lake, records })).toMatchObject({ outcome: 'nothing-to-do' })
    const merges = Object.keys(await chainsIn(lake, program)).filter((task) => task.startsWith('merge'))
    const numbers = Array.from({ length: slices }, (_, i) => i)
    expect(merges.sort()).toEqual([...numbers.map((i) => `merge-${i}`), ...numbers.map((i) => `merge2-${i}`)])
  })

  it('keeps its number of slices for as long as the incarnation lives', async () => {
    const lake = memoryStore()
    await startAndDie(lake, 2, 20)
    await expect(start(programOf(3), { lake, records })).rejects.toMatchObject({
      code: 'PARALLELISM_CHANGED',
      message: expect.stringContaining('begun with mergeParallelism 2, and this program has 3'),
      advice: expect.stringContaining('--fresh'),
    })
    expect(await start(programOf(3), { lake, records, fresh: true })).toMatchObject({
      outcome: 'completed',
      incarnation: 2,
    })
    expect(await tablesIn(lake, programOf(3))).toEqual(await undisturbed())
    await expect(start(programOf(1), { lake, records })).rejects.toMatchObject({
      code: 'PARALLELISM_CHANGED',
    })
  })

  it('refuses a topic whose partitions have the names of its tasks', async () => {
    const partition = { id: 'merge2-1', topic: 'merge2', partition: 1 }
    const inner = scriptedSource(rowsSource(programOf(2), records).open(WORLD), {})
    const source = { ...inner, partitions: async () => [partition] }
    await expect(start(programOf(2), { lake: memoryStore(), source })).rejects.toMatchObject({
      code: 'TASK_NAME_TAKEN',
    })
  })
})

describe('the panes of a merge', () => {
  const SENSORS = 300
  const readings = stream('readings', Reading, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(millis(0)),
  })
  const counts = readings
    .keyBy('sensor')
    .window(tumbling(millis(10_000)), { allowedLateness: millis(0) })
    .aggregate('counts', ({ count }) => ({ rows: count() }))
  const program = pipeline({ name: 'wide', tables: [gold('counts', counts)] })
  // After the first hundred records only a few sensors speak.
  const wide = Array.from({ length: 1_000 }, (_, i) => reading(i, { sensor: `s${i < SENSORS ? i : i % 7}` }))
  const snapshots = { everyEpochs: 2, smallPanes: 10, partBytes: 4_000 }

  async function mergeWork(lake: ObjectStore) {
    const { 'merge-0': epochs = [] } = await chainsIn(lake, program)
    const key = `_millrace/wide/000001/merge-0/${String(epochs.at(-1)).padStart(12, '0')}.json`
    const text = new TextDecoder().decode((await lake.get(key)) ?? undefined)
    return (JSON.parse(text) as { work: { snapshot: Snapshot; state: object } }).work
  }
  interface Part {
    readonly key: string
    readonly parts: number
    readonly bytes: number
  }
  type Snapshot = Part & { readonly epoch: number; readonly changes?: readonly Part[] }

  /** Reads so many records and stops. */
  const startUntil = (lake: ObjectStore, reads: number) =>
    start(program, {
      lake: pacedStore(lake),
      source: scriptedSource(rowsSource(program, wide).open(WORLD), {
        'readings-0': [...Array.from({ length: reads / 20 }, () => 20), { kind: 'stop' }],
      }),
      epochRows: 20,
      snapshots,
    })

  it('are written as what has changed, until that is as much as all of them', async () => {
    const lake = memoryStore()
    await startUntil(lake, 460)
    const { snapshot } = await mergeWork(lake)
    expect(snapshot.parts).toBeGreaterThan(1)
    expect(snapshot.changes!.length).toBeGreaterThan(1)
    // In the end only seven sensors speak.
    expect(snapshot.changes!.at(-1)!.bytes).toBeLessThan(snapshot.bytes / 3)
    const changed = snapshot.changes!.slice(0, -1).reduce((sum, { bytes }) => sum + bytes, 0)
    expect(changed).toBeLessThan(snapshot.bytes)

    expect(await start(program, { lake, records: wide, epochRows: 20, snapshots })).toMatchObject({
      outcome: 'completed',
    })
    const quiet = memoryStore()
    await start(program, { lake: quiet, records: wide })
    expect(await rowsIn(lake, 'gold/counts')).toEqual(await rowsIn(quiet, 'gold/counts'))
  })

  it('are all there after a deletion of what nothing needs', async () => {
    const lake = memoryStore()
    await startUntil(lake, 460)
    await retain(program, lake, { keepRecords: 0, recordsMin: 1, deletesMax: 1_000 })
    const { snapshot } = await mergeWork(lake)
    const staged = (await lake.list('_millrace/wide/000001/_staged/merge-0/')).map(({ key }) => key)
    expect(staged).toHaveLength([snapshot, ...snapshot.changes!].reduce((sum, { parts }) => sum + parts, 0))
    expect(await start(program, { lake, records: wide, snapshots })).toMatchObject({ outcome: 'completed' })
  })
})

describe('a table with the newest revision of each result', () => {
  const readings = stream('readings', Reading, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(millis(0)),
  })
  const hours = readings
    .keyBy('sensor')
    .window(tumbling(millis(100)), { allowedLateness: millis(1_000), refine: true })
    .aggregate('hours', ({ count }) => ({ rows: count() }))
  const program = pipeline({ name: 'refined', tables: [gold('hours', hours)] })
  // Every tenth record is of the first window, which has been written by then.
  const late = Array.from({ length: 200 }, (_, i) =>
    reading(i % 10 === 9 ? 50 : i * 5, { sensor: i % 20 === 19 ? 'a' : 'b' }),
  )

  it('has each once, in the files of the epoch that has written it last', async () => {
    const lake = memoryStore()
    await start(program, { lake: pacedStore(lake), records: late, epochRows: 10 })
    const rows = await rowsIn(lake, 'gold/hours')
    const windows = rows.map((row) => `${String(row['sensor'])} ${String(row['window_start'])}`)
    expect(new Set(windows).size).toBe(windows.length)
    const counted = rows.reduce((sum, row) => sum + Number(row['rows']), 0)
    expect(counted).toBe(late.length)
    expect(Math.max(...rows.map((row) => Number(row['revision'])))).toBeGreaterThan(3)

    const removed = new Set<string>()
    for (const { key } of await lake.list('gold/hours/_delta_log/')) {
      const text = new TextDecoder().decode((await lake.get(key)) ?? undefined)
      for (const [, path] of text.matchAll(/"remove":\{"path":"([^"]+)"/g)) removed.add(path!)
    }
    expect(removed.size).toBeGreaterThan(3)
  })
})

describe('an early result', () => {
  const readings = stream('readings', Reading, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(millis(0)),
  })
  const counts = readings
    .keyBy('sensor')
    .window(tumbling(millis(1_000_000)), { allowedLateness: millis(0), early: { every: millis(200) } })
    .aggregate('counts', ({ count }) => ({ rows: count() }))
  const program = pipeline({ name: 'early', tables: [gold('counts', counts)] })

  it('is written when it is due, though nothing more is read', async () => {
    const lake = memoryStore()
    const written = gate()
    const watching = hookedStore(lake, {
      after(call, key) {
        // The first version makes the table, without rows.
        if (call === 'putIfAbsent' && key === 'gold/counts/_delta_log/00000000000000000001.json')
          written.open()
      },
    })
    const source = scriptedSource(rowsSource(program, [reading(1), reading(2), reading(3)]).open(WORLD), {
      // An epoch is cut when a read returns and finds it old.
      'readings-0': [2, nextMillisecond, () => written.passed.then(() => 1)],
    })
    const run = start(program, { lake: watching, source, epochMs: 1 })
    await written.passed
    expect(await rowsIn(lake, 'gold/counts')).toMatchObject([{ rows: 2, revision: 0 }])
    await run
    expect(await rowsIn(lake, 'gold/counts')).toMatchObject([{ rows: 3, revision: 1 }])
  })
})

/** Nothing to read, while the clock goes on. */
async function nextMillisecond(): Promise<ReadResult> {
  const fromMs = Date.now()
  while (Date.now() < fromMs + 2) await new Promise((resolve) => setImmediate(resolve))
  return quiet(3)
}
