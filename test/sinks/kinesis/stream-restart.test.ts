import {
  between,
  boundedOutOfOrderness,
  bronze,
  gold,
  millis,
  pipeline,
  stream,
  topic,
  tumbling,
} from 'millrace'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { deltaFormat } from '../../../sinks/delta/delta-format.ts'
import { messageId } from '../../../sinks/kinesis/message-id.ts'
import { RowContent } from '../../../sinks/kinesis/row-content.ts'
import { decodeOutboxLines } from '../../../src/checkpoint/outbox-lines.ts'
import { type DataRecord, decodeRecord } from '../../../src/checkpoint/record.ts'
import { decodeUtf8 } from '../../../src/columns/utf8.ts'
import { PipelineError } from '../../../src/errors.ts'
import type { ObjectStore, OutboxMessage } from '../../../src/ports.ts'
import { runPipeline } from '../../../src/runtime/run-pipeline.ts'
import { systemEntropy } from '../../../src/runtime/system.ts'
import { memoryStore } from '../../../src/testing/memory-store.ts'
import { rowEncoder } from '../../../src/testing/row-encoder.ts'
import { rowsSource } from '../../../src/testing/rows-source.ts'
import { Reading, reading } from '../../support/reading.ts'
import { hookedStore, pacedStore, rowsIn } from '../../support/world.ts'
import { type Fate, outboxOn, QUICK, TestRegistry, TestStreams } from './stream-kit.ts'

const readings = stream('readings', Reading, { eventTime: 'at', watermark: boundedOutOfOrderness(millis(0)) })
const sane = readings.expect('sane', { value: between(0, 100) })
const counts = sane
  .keyBy('sensor')
  .window(tumbling(millis(20)), { allowedLateness: millis(60), refine: true, late: 'drop' })
  .aggregate('counts', ({ count }) => ({ rows: count() }))
const program = pipeline({
  name: 'restarted',
  tables: [bronze('readings', readings), gold('counts', counts, { revisions: 'all' })],
  topics: [topic('counts', counts)],
  circuitBreaker: false,
})

/** Rows come up to 50 ms late, so that results are revised; every sixth is a dead letter. */
const RECORDS = Array.from({ length: 240 }, (_, i) => ({
  key: `k${i % 3}`,
  ...reading(Math.max(0, i - ((i * 7) % 50)), {
    sensor: `s${i % 3}`,
    value: i % 6 === 5 ? -1 : 1,
    partition: i % 2,
  }),
}))

/** What goes wrong with one life of the process, and with its requests. */
interface Trouble {
  /** The store and the streams take so many calls; at the next one the process dies. */
  readonly calls: number
  /** It dies when that call is done, and not before. */
  readonly isDone: boolean
  readonly fates: readonly { readonly refuse: number; readonly lost: boolean }[]
}

const CALM: Trouble = { calls: Infinity, isDone: false, fates: [] }

class Crash extends PipelineError {
  constructor() {
    super('CRASHED', 'the end')
  }
}

/** Runs until the process dies, or to the end. */
async function live(
  lake: ObjectStore,
  streams: TestStreams,
  registry: TestRegistry,
  { calls, isDone, fates }: Trouble,
  signal: AbortSignal | null = null,
): Promise<'died' | 'stopped' | 'completed'> {
  let left = calls
  const before = (): void => {
    if (left <= (isDone ? -1 : 0)) throw new Crash()
  }
  const after = (): void => {
    if (left-- <= 0) throw new Crash()
  }
  // So paced that the merge revises what it has sent before.
  const store = pacedStore(hookedStore(lake, { before, after }))
  const script = [...fates]
  streams.fateOf = (entries): Fate => {
    if (left <= 0 && !(isDone && left-- === 0)) return { failure: new Crash() }
    left--
    const { refuse, lost } = script.shift() ?? { refuse: 0, lost: false }
    const refused = entries.flatMap((_, index) =>
      (refuse >> (index % 8)) & 1 ? [[index, 'ProvisionedThroughputExceededException'] as const] : [],
    )
    return { refused: new Map(refused), lost: lost || left < 0 }
  }
  const binding = rowsSource(program, RECORDS)
  const run = runPipeline(program, {
    source: binding.open(QUICK),
    registry: binding.registry,
    lake: store,
    format: deltaFormat(store, rowEncoder),
    clock: QUICK.clock,
    entropy: systemEntropy,
    log: QUICK.log,
    outbox: outboxOn(streams, new RowContent(registry)),
    deadLetters: { outbox: outboxOn(streams), topic: 'dead' },
    flush: { rowsMax: 16, bytesMax: 1e8, everyMs: null, batchRecordsMax: 8 },
    fresh: false,
    signal,
    onProgress: null,
  })
  try {
    const { outcome } = await run
    if (outcome === 'stopped') return outcome
    return outcome === 'lost' ? 'died' : 'completed'
  } catch (error) {
    if (error instanceof Crash) return 'died'
    throw error
  }
}

/** The work that is in the chains, in its order. */
async function work(lake: ObjectStore): Promise<readonly DataRecord[]> {
  const records: DataRecord[] = []
  for (const { key } of await lake.list('_millrace/restarted/')) {
    if (!/\/\d{12}\.json$/.test(key)) continue
    const record = decodeRecord(key, decodeUtf8((await lake.get(key))!))
    if (record.kind === 'data') records.push(record)
  }
  return records
}

/** All messages that the chains promise, in their order. */
async function promised(lake: ObjectStore): Promise<readonly OutboxMessage[]> {
  const messages: OutboxMessage[] = []
  for (const { outbox } of await work(lake)) {
    if (outbox != null) messages.push(...decodeOutboxLines((await lake.get(outbox.key))!, outbox.key))
  }
  return messages
}

/** Up to which epoch the chains know what is published, by task. */
async function known(lake: ObjectStore): Promise<ReadonlyMap<string, number>> {
  return new Map((await work(lake)).map(({ task, outboxMarker = -1 }) => [task, outboxMarker]))
}

/** What the streams have got since they had so many records. */
function sentSince(
  streams: TestStreams,
  registry: TestRegistry,
  before: readonly number[],
): readonly string[] {
  const letters = streams
    .in('dead')
    .slice(before[0])
    .map(({ data }) => (JSON.parse(decodeUtf8(data)) as Letter).id)
  const rows = streams
    .in('counts')
    .slice(before[1])
    .map(({ data }) => registry.decode(data)._id)
  return [...letters, ...rows]
}

const trouble: fc.Arbitrary<Trouble> = fc.record({
  calls: fc.integer({ min: 0, max: 250 }),
  isDone: fc.boolean(),
  fates: fc.array(
    fc.record({ refuse: fc.constantFrom(0, 0, 0b1, 0b10101010, 0b11111111), lost: fc.boolean() }),
    {
      maxLength: 20,
    },
  ),
})

test('wherever a process dies, a stream has each promised record, those of a key first in their order, and none that was known to be there is sent again', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(trouble, { maxLength: 6 }), async (lives) => {
      const [lake, streams, registry] = [
        memoryStore(),
        new TestStreams(['counts', 'dead']),
        new TestRegistry(),
      ]
      for (const one of [...lives, CALM]) {
        const before = [streams.in('dead').length, streams.in('counts').length]
        const published = await known(lake)
        const outcome = await live(lake, streams, registry, one)
        if (one === CALM) expect(outcome).toBe('completed')
        for (const id of sentSince(streams, registry, before)) {
          const [task, epoch] = id.split('/').slice(3)
          expect(Number(epoch)).toBeGreaterThan(published.get(task!) ?? -1)
        }
      }

      const firstOfId = <T extends { readonly id: string }>(all: readonly T[]): readonly T[] =>
        [...new Map(all.toReversed().map((one) => [one.id, one])).values()].toReversed()
      const letters = firstOfId(streams.in('dead').map(({ data }) => JSON.parse(decodeUtf8(data)) as Letter))
      const rows = firstOfId(
        streams.in('counts').map(({ data, partitionKey }) => {
          const { _id, ...row } = registry.decode(data)
          return { id: _id, row, partitionKey }
        }),
      )
      const ids = (await promised(lake)).map(messageId)
      expect(new Set(ids).size).toBe(ids.length)
      expect([...letters, ...rows].map(({ id }) => id).toSorted()).toEqual(ids.toSorted())

      // Each broken record once, whatever its id.
      const places = letters.map(({ source }) => `${source.partition}/${source.offset}`)
      expect(new Set(places).size).toBe(places.length)
      expect(places).toHaveLength(RECORDS.filter(({ row }) => (row as Reading).value === -1).length)

      const lines = Map.groupBy(letters, ({ source, key }) => `${source.partition} ${key}`)
      for (const [, line] of lines) {
        const offsets = line.map(({ source }) => Number(source.offset))
        expect(offsets).toEqual(offsets.toSorted((a, b) => a - b))
      }

      const sent = rows.map(
        ({ row }) =>
          `${String(row['sensor'])} ${Number(row['window_start'])} ${String(row['revision'])} ${Number(row['rows'])}`,
      )
      const stored = (await rowsIn(lake, 'gold/counts')).map(
        (row) =>
          `${String(row['sensor'])} ${Date.parse(String(row['window_start']))} ${String(row['revision'])} ${Number(row['rows'])}`,
      )
      expect(sent.toSorted()).toEqual(stored.toSorted())
      const revisions = Map.groupBy(rows, ({ partitionKey }) => partitionKey)
      for (const [, ofKey] of revisions) {
        const order = ofKey.map(({ row }) => Number(row['revision']))
        expect(order).toEqual(order.toSorted((a, b) => a - b))
      }
      // There is something to be in order.
      expect(revisions.size).toBeLessThan(rows.length)
    }),
    { numRuns: 15 },
  )
}, 60_000)

test('a process that is stopped in order sends nothing twice, wherever it is', async () => {
  let stops = 0
  for (const requests of [1, 2, 3, 5, 8, 13, 21, 34]) {
    const [lake, streams, registry] = [memoryStore(), new TestStreams(['counts', 'dead']), new TestRegistry()]
    for (let outcome = ''; outcome !== 'completed'; ) {
      const stop = new AbortController()
      const until = streams.requests + requests
      const waiting = setInterval(() => streams.requests >= until && stop.abort('stopped'), 0)
      outcome = await live(lake, streams, registry, CALM, stop.signal)
      clearInterval(waiting)
      if (outcome === 'stopped') stops += 1
    }
    const ids = (await promised(lake)).map(messageId)
    expect(sentSince(streams, registry, [0, 0]).toSorted()).toEqual(ids.toSorted())
  }
  expect(stops).toBeGreaterThan(8)
}, 60_000)

interface Letter {
  readonly id: string
  readonly key: string
  readonly source: { readonly partition: number; readonly offset: string }
}

test('a start after a clean end sends nothing again', async () => {
  const [lake, streams, registry] = [memoryStore(), new TestStreams(['counts', 'dead']), new TestRegistry()]
  await live(lake, streams, registry, CALM)
  const { requests } = streams
  await live(lake, streams, registry, CALM)
  expect(streams.requests).toBe(requests)
})
