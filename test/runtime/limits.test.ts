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
  .window(tumbling(millis(10)), { allowedLateness: millis(0) })
  .aggregate('counts', ({ count }) => ({ rows: count() }))
const program = pipeline({ name: 'limits', tables: [bronze('readings', readings), gold('counts', counts)] })
const records = Array.from({ length: 400 }, (_, i) => reading(i))
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
