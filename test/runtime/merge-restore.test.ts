import { boundedOutOfOrderness, bronze, gold, millis, pipeline, stream, tumbling } from 'millrace'
import { expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import type { ObjectStore } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { Reading, reading } from '../support/reading.ts'
import { hookedStore, rowsIn, start } from '../support/world.ts'

const readings = stream('readings', Reading, { eventTime: 'at', watermark: boundedOutOfOrderness(millis(0)) })
const counts = readings
  .keyBy('sensor')
  .window(tumbling(millis(1_000)), { allowedLateness: millis(1_000) })
  .aggregate('counts', ({ count }) => ({ rows: count() }))
const program = pipeline({ name: 'restored', tables: [bronze('readings', readings), gold('counts', counts)] })

/** So many windows are open that the merge does not write them whole with each epoch: a restore folds what came since again. */
const SENSORS = 400
const recordsOf = (partitions: number) =>
  Array.from({ length: 4_000 }, (_, i) =>
    reading(i, { sensor: `s${i % SENSORS}`, partition: i % partitions }),
  )

const ROOT = '_millrace/restored/000001/'
const EPOCH_ROWS = 400

/** Lets everything else have its turn until the chains of the partitions have stopped growing. */
async function untilQuiet(lake: ObjectStore): Promise<void> {
  let count = -1
  for (let turns = 0; turns < 100; turns++) {
    const now = (await lake.list(`${ROOT}readings-`)).length
    if (now !== count) turns = 0
    count = now
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const breaths = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** A run whose merge keeps up, and that dies with it at this record, when the partitions have recorded all they can. */
async function dieAt(lake: ObjectStore, mergeEpoch: number, partitions: number): Promise<void> {
  const key = `${ROOT}merge-0/${String(mergeEpoch).padStart(12, '0')}.json`
  const dying = hookedStore(lake, {
    async before(call, name) {
      if (call !== 'putIfAbsent') return
      if (name.startsWith(`${ROOT}readings-`)) await breaths(30)
      if (name !== key) return
      await untilQuiet(lake)
      throw new PipelineError('STORE_NOT_WRITABLE', 'the end')
    },
  })
  const run = start(program, { lake: dying, records: recordsOf(partitions), epochRows: EPOCH_ROWS })
  await expect(run).rejects.toMatchObject({ code: 'STORE_NOT_WRITABLE' })
}

it('a merge that begins after the partitions folds what they recorded before it listened', async () => {
  const quiet = memoryStore()
  await start(program, { lake: quiet, records: recordsOf(2), epochRows: EPOCH_ROWS })

  const lake = memoryStore()
  await dieAt(lake, 4, 2)
  const late = hookedStore(lake, {
    async before(call, key) {
      if (call === 'list' && key === `${ROOT}merge-0/`) await untilQuiet(lake)
    },
  })
  const last = await start(program, { lake: late, records: recordsOf(2), epochRows: EPOCH_ROWS })
  expect(last).toMatchObject({ outcome: 'completed', records: 0 })
  expect(await rowsIn(lake, 'gold/counts')).toEqual(await rowsIn(quiet, 'gold/counts'))
})

it('a partition that is new at a restore fires no window again that had fired before', async () => {
  const lake = memoryStore()
  await dieAt(lake, 9, 1)
  const before = await rowsIn(lake, 'gold/counts')
  expect(before.length).toBeGreaterThanOrEqual(SENSORS)

  const records = [...recordsOf(1), reading(4_000, { sensor: 'new', partition: 1 })]
  await start(program, { lake, records, epochRows: EPOCH_ROWS })
  const windows = (await rowsIn(lake, 'gold/counts')).map(
    (row) => `${String(row['sensor'])} ${String(row['window_start'])} ${String(row['revision'])}`,
  )
  expect(windows).toHaveLength(new Set(windows).size)
  expect(windows).toHaveLength(SENSORS * 4 + 1)
})

it('a row that comes late, because its partition is new, makes another result of a window that is forgotten', async () => {
  const lake = memoryStore()
  await dieAt(lake, 9, 1)
  const late = reading(5, { sensor: 's5', partition: 1 })
  const records = [...recordsOf(1), late, reading(4_000, { sensor: 'new', partition: 1 })]
  expect(await start(program, { lake, records, epochRows: EPOCH_ROWS })).toMatchObject({
    outcome: 'completed',
  })
  const results = (await rowsIn(lake, 'gold/counts')).filter(
    (row) => row['sensor'] === 's5' && row['window_start'] === '1970-01-01T00:00:00.000Z',
  )
  // Nothing is lost, and nothing is changed that all partitions of then had passed.
  expect(results.map(({ rows }) => Number(rows)).sort((a, b) => a - b)).toEqual([1, 3])
})
