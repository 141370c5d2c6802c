import { boundedOutOfOrderness, bronze, gold, millis, pipeline, stream, tumbling } from 'millrace'
import { expect, it } from 'vitest'
import { readTable } from '../../sinks/delta/read-table.ts'
import { type LakeFacts, verifyPipeline } from '../../src/cli/verify-chains.ts'
import type { ObjectStore } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { Reading, reading } from '../support/reading.ts'
import { shardSource } from '../support/shard-source.ts'
import { start } from '../support/world.ts'

const readings = stream('readings', Reading, {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(millis(5)),
})
const counts = readings
  .keyBy('sensor')
  .window(tumbling(millis(10)), { allowedLateness: millis(0) })
  .aggregate('counts', ({ count }) => ({ rows: count() }))
const program = pipeline({
  name: 'resharded',
  tables: [bronze('readings', readings), gold('counts', counts)],
  circuitBreaker: false,
})
const records = Array.from({ length: 60 }, (_, i) =>
  reading(i, { sensor: `s${i % 7}`, partition: i < 20 ? 0 : 1 + (i % 2), arrivalMs: i }),
)

function factsOf(store: ObjectStore): LakeFacts {
  return {
    store,
    table: (path) => readTable(store, path),
    sizesBelow: async (prefix) => new Map((await store.list(prefix)).map(({ key, size }) => [key, size])),
  }
}

it('finds nothing wrong with chains that have been handed on, nor with those that have yet to begin', async () => {
  const parents = { 1: [0], 2: [0] }
  for (const readFirst of [20, 60]) {
    const lake = memoryStore()
    const source = shardSource(program, records.slice(0, readFirst), { parents })
    // Only what is listed is read: of the first twenty nothing has come after the split yet.
    const line =
      readFirst === 20 ? { ...source, partitions: async () => [source.partitionOf!('readings-0')!] } : source
    await start(program, { lake, source: line, epochRows: 7, retention: { keepRecords: 0, recordsMin: 2 } })
    const reports = await verifyPipeline(factsOf(lake), 'resharded')
    expect(reports.map(({ task }) => task)).toContain('readings-0')
    expect(reports.flatMap(({ problems }) => problems)).toEqual([])
  }
})
