import { DuckDBInstance } from '@duckdb/node-api'
import { boundedOutOfOrderness, bronze, hours, minutes, pipeline, silver, stream } from 'millrace'
import { expect, test } from 'vitest'
import { RowContent } from '../../../sinks/kinesis/row-content.ts'
import { compileAppender } from '../../../src/columns/append.ts'
import { createBatch } from '../../../src/columns/column.ts'
import type { Field } from '../../../src/columns/column-type.ts'
import { identityHeaders } from '../../../src/engine/message-identity.ts'
import type { OutboxMessage } from '../../../src/ports.ts'
import { memoryStore } from '../../../src/testing/memory-store.ts'
import { rowsSource } from '../../../src/testing/rows-source.ts'
import { avroSchema } from '../../../src/topology/schema.ts'
import { rowsIn, start, WORLD } from '../../support/world.ts'
import { outboxOn, TestRegistry, TestStreams } from './stream-kit.ts'

const FIELDS: readonly Field[] = [
  { name: 'zone', type: { kind: 'string' }, nullable: false },
  { name: 'window_start', type: { kind: 'timestamp', unit: 'millis', local: false }, nullable: false },
  { name: 'rides', type: { kind: 'int32' }, nullable: false },
]

/** The results of two epochs in a stream, the first of which came twice. */
async function resultsTwice(): Promise<{ streams: TestStreams; registry: TestRegistry }> {
  const [streams, registry] = [new TestStreams(['zone-rides']), new TestRegistry()]
  const outbox = outboxOn(streams, new RowContent(registry))
  const keyFields = FIELDS.slice(0, 2)
  const [encoder] = await outbox.open(['zone-rides'], [{ topic: 'zone-rides', keyFields, fields: FIELDS }])
  const append = compileAppender(FIELDS)
  const task = await outbox.claim()
  for (const epoch of [0, 0, 1]) {
    const headersOf = identityHeaders({
      pipeline: 'taxi',
      incarnation: 1,
      life: 'l1',
      task: 'merge-0',
      epoch,
    })
    const messages = [1, 2, 3].map((rides, index): OutboxMessage => {
      const batch = createBatch(FIELDS)
      append({ zone: `zone ${index}`, window_start: epoch * 60_000, rides: epoch + rides }, batch.columns)
      batch.length = 1
      return { topic: 'zone-rides', ...encoder!.encode(batch, 0), headers: headersOf(index) }
    })
    // Each by a task of its own: a claim that knows nothing of the one before.
    const claim = epoch === 0 ? await outbox.claim() : task
    await claim.publish({ incarnation: 1, life: 'l1', epoch, messages, groupOffset: null })
  }
  return { streams, registry }
}

interface ZoneRides {
  readonly zone: string
  readonly window_start: number
  readonly rides: number
  readonly _id: string
}

const ZoneRides = avroSchema<
  ZoneRides,
  { zone: 'string'; window_start: 'timestamp-millis'; rides: 'int'; _id: 'string' }
>({
  type: 'record',
  name: 'ZoneRides',
  fields: [
    { name: 'zone', type: 'string' },
    { name: 'window_start', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'rides', type: 'int' },
    { name: '_id', type: 'string' },
  ],
})

test('what came twice is once behind a dedupe by _id', async () => {
  const { streams, registry } = await resultsTwice()
  expect(streams.in('zone-rides')).toHaveLength(9)
  const results = stream('zone_rides', ZoneRides, {
    eventTime: 'window_start',
    watermark: boundedOutOfOrderness(minutes(5)),
  })
  const once = results.dedupe('once', { by: '_id', within: hours(1) })
  const program = pipeline({ name: 'reader', tables: [bronze('results', results), silver('results', once)] })
  const records = streams.in('zone-rides').map(({ data }) => ({ value: data, arrivalMs: 60_000 }))
  const lake = memoryStore()
  const source = rowsSource(program, records).open(WORLD)
  await start(program, { lake, source, registry })
  expect(await rowsIn(lake, 'bronze/results')).toHaveLength(9)
  const ids = (await rowsIn(lake, 'silver/results')).map((row) => row['_id'])
  expect(ids).toHaveLength(6)
  expect(new Set(ids).size).toBe(6)
})

test('and in SQL, as the documentation has it', async () => {
  const { streams, registry } = await resultsTwice()
  const database = await (await DuckDBInstance.create(':memory:')).connect()
  const rows = streams
    .in('zone-rides')
    .map(({ data }) => registry.decode(data))
    .map((row, offset) => `('${String(row['zone'])}', ${Number(row['rides'])}, '${row._id}', 0, ${offset})`)
  await database.run(
    `create table results as select * from (values ${rows.join()}) as v(zone, rides, _id, _partition, _offset)`,
  )
  const answer = await database.runAndReadAll(
    'select * from results qualify row_number() over (partition by _id order by _partition, _offset) = 1',
  )
  expect(answer.getRows()).toHaveLength(6)
  database.closeSync()
})
