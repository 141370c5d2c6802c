import { boundedOutOfOrderness, bronze, gold, millis, pipeline, silver, stream, tumbling } from 'millrace'
import { expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import type { ObjectStore } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { avroSchema } from '../../src/topology/schema.ts'
import { Reading, reading } from '../support/reading.ts'
import { hookedStore, rowsIn, start } from '../support/world.ts'

const readings = stream('readings', Reading, { eventTime: 'at', watermark: boundedOutOfOrderness(millis(0)) })
const counts = readings
  .keyBy('sensor')
  .window(tumbling(millis(10)), { allowedLateness: millis(0) })
  .aggregate('counts', ({ count }) => ({ rows: count() }))
const program = pipeline({ name: 'limits', tables: [bronze('readings', readings), gold('counts', counts)] })
const records = Array.from({ length: 400 }, (_, i) => reading(i))
const Long = avroSchema<
  { readonly key: number; readonly at: number; readonly value: bigint },
  { readonly key: 'int'; readonly at: 'timestamp-millis'; readonly value: 'long' }
>({
  type: 'record',
  name: 'Long',
  fields: [
    { name: 'key', type: 'int' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'value', type: 'long' },
  ],
})

const CHAIN = '_millrace/limits/000001/readings-0/'

/** Waits until a partition records nothing more, however many turns it gets. */
async function untilQuiet(lake: ObjectStore): Promise<number> {
  let count = -1
  for (let turns = 0; turns < 100; turns++) {
    const now = (await lake.list(CHAIN)).length
    if (now !== count) turns = 0
    count = now
    await new Promise((resolve) => setImmediate(resolve))
  }
  return count
}

it('a merge that cannot keep up holds the partitions back', async () => {
  const lake = memoryStore()
  let recordedMeanwhile = 0
  const slow = hookedStore(lake, {
    async before(call, key) {
      if (call === 'putIfAbsent' && key.endsWith('/merge-0/000000000001.json'))
        recordedMeanwhile = await untilQuiet(lake)
    },
  })
  expect(await start(program, { lake: slow, records, epochRows: 1 })).toMatchObject({ outcome: 'completed' })
  expect(recordedMeanwhile).toBeGreaterThan(10)
  expect(recordedMeanwhile).toBeLessThan(60)
  expect(await rowsIn(lake, 'gold/counts')).toHaveLength(40)
})

it('a table that cannot be written to stops the run at the next epoch, not sixteen later', async () => {
  const lake = memoryStore()
  let commits = 0
  const denying = hookedStore(lake, {
    before(call, key) {
      if (call !== 'putIfAbsent' || !key.startsWith('bronze/readings/_delta_log/') || commits++ < 3) return
      throw new PipelineError('STORE_NOT_WRITABLE', 'no')
    },
  })
  await expect(start(program, { lake: denying, records, epochRows: 1 })).rejects.toMatchObject({
    code: 'STORE_NOT_WRITABLE',
  })
  expect((await lake.list(CHAIN)).length).toBeLessThan(12)
  expect(await start(program, { lake, records })).toMatchObject({ outcome: 'completed' })
  expect(await rowsIn(lake, 'bronze/readings')).toHaveLength(400)
})

it('a sum that does not fit ends the run with its name, and everything else is in the tables', async () => {
  const lake = memoryStore()
  const summed = stream('readings', Long, { eventTime: 'at', watermark: boundedOutOfOrderness(millis(0)) })
  const totals = summed
    .keyBy('key')
    .window(tumbling(millis(10)), { allowedLateness: millis(0) })
    .aggregate('totals', ({ sum }) => ({ total: sum('value') }))
  const overflowing = pipeline({
    name: 'overflow',
    tables: [bronze('readings', summed), gold('totals', totals)],
  })
  const rows = Array.from({ length: 100 }, (_, i) => ({
    row: { key: i % 2, at: i, value: i >= 30 && i < 40 ? 2n ** 62n : 1n },
    partition: i % 2,
  }))
  const refused = { code: 'AGGREGATE_OVERFLOW', message: expect.stringContaining('total') }
  await expect(
    start(overflowing, { lake, records: rows, epochRows: 5, batchRecords: 5 }),
  ).rejects.toMatchObject(refused)
  const before = await rowsIn(lake, 'gold/totals')
  expect(before.length).toBeLessThanOrEqual(6)
  // A second start reads on, and meets the same sum again.
  await expect(start(overflowing, { lake, records: rows, epochRows: 5 })).rejects.toMatchObject(refused)
  await expect(start(overflowing, { lake, records: rows, epochRows: 5 })).rejects.toMatchObject(refused)
  const bronzeRows = await rowsIn(lake, 'bronze/readings')
  expect(
    new Set(bronzeRows.map((one) => `${String(one['_partition'])} ${String(one['_offset'])}`)).size,
  ).toBe(bronzeRows.length)
})

it('an open circuit breaker in one partition loses nothing of the others, and says what failed', async () => {
  const lake = memoryStore()
  const picky = pipeline({
    name: 'picky',
    tables: [bronze('readings', readings)],
    circuitBreaker: { maxShare: 0.5, sample: 20 },
  })
  const good = Array.from({ length: 40 }, (_, i) => reading(i, { partition: 0 }))
  const bad = Array.from({ length: 40 }, () => ({ value: new Uint8Array([1, 2, 3]), partition: 1 }))
  await expect(
    start(picky, { lake, records: [...good, ...bad], epochRows: 9, batchRecords: 4 }),
  ).rejects.toMatchObject({
    code: 'CIRCUIT_OPEN',
    message: expect.stringContaining('the value has 3 bytes'),
  })
  const offsets = (await rowsIn(lake, 'bronze/readings')).map((row) => Number(row['_offset']))
  expect(offsets.toSorted((a, b) => a - b)).toEqual(offsets.map((_, i) => i))
  // What failed in the epochs before stays to be looked at.
  const letters = await rowsIn(lake, 'dead_letters')
  expect(letters.length).toBeGreaterThan(8)
  expect(letters.length).toBeLessThan(20)
})

it('an epoch is full by what it makes of records too: dead letters with long messages, rows that a map blew up', async () => {
  const wordy = readings.filter('wordy', (row) => {
    if (row.value === 1) throw new Error('x'.repeat(5_000))
    return true
  })
  const blown = readings.map('blown', Reading, (row) => ({ ...row, sensor: 'y'.repeat(2_000) }))
  for (const [name, rows] of Object.entries({ wordy, blown })) {
    const large = pipeline({ name, tables: [silver('rows', rows)], circuitBreaker: false })
    const options = { lake: memoryStore(), records, epochBytes: 50_000, batchRecords: 10 }
    const summary = await start(large, options)
    expect(summary.epochs, name).toBeGreaterThan(10)
  }
})
