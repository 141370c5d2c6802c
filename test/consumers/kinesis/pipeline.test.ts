import { boundedOutOfOrderness, bronze, gold, millis, pipeline, seconds, stream, tumbling } from 'millrace'
import { expect, it } from 'vitest'
import { POLL_LIMITS } from '../../../consumers/kinesis/poll-limits.ts'
import { KinesisSource } from '../../../consumers/kinesis/source.ts'
import { frameEncoder } from '../../../consumers/recording/make-recording.ts'
import type { SchemaRegistry, SourceWorld } from '../../../src/ports.ts'
import { systemClock } from '../../../src/runtime/system.ts'
import { memoryStore } from '../../../src/testing/memory-store.ts'
import { FakeKinesis } from '../../kinesis/fake-kinesis.ts'
import { Reading } from '../../support/reading.ts'
import { rowsIn, start, WORLD } from '../../support/world.ts'
import { aggregateOf, hashKeyOf } from './kpl-kit.ts'

const KEYS = Array.from({ length: 8 }, (_, at) => `sensor-${at}`)
const WINDOW_MS = 10
const SCHEMA = JSON.stringify(Reading.avro)

const readings = stream('readings', Reading, { eventTime: 'at', watermark: boundedOutOfOrderness(millis(0)) })
const program = pipeline({
  name: 'reshards',
  tables: [
    bronze('readings', readings),
    gold(
      'counts',
      readings
        .keyBy('sensor')
        .window(tumbling(millis(WINDOW_MS)), { allowedLateness: millis(0) })
        .aggregate('counts', ({ count, sum }) => ({ rows: count(), total: sum('value') })),
    ),
  ],
})
const registry: SchemaRegistry = { description: 'one schema', schemaById: async () => SCHEMA }

/** Writes readings, one each millisecond of event time; every third together with those after it that go to the same shard. */
class Producer {
  readonly written: { readonly sensor: string; readonly at: number; readonly value: number }[] = []
  readonly #kinesis: FakeKinesis
  readonly #encoder = frameEncoder(SCHEMA, 'readings', 1)
  #atMs = 1_000

  constructor(kinesis: FakeKinesis) {
    this.#kinesis = kinesis
  }

  async write(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const key = KEYS[(index * 5) % KEYS.length]!
      if (index % 3 > 0) this.#kinesis.put('trips', this.#next(key), { partitionKey: key })
      else await this.#writeAggregate(key)
    }
  }

  /** Moves the time on in each open shard. */
  async flush(): Promise<void> {
    this.#atMs += 10_000
    for (const { shardId, isClosed } of await this.#kinesis.listShards('trips')) {
      if (!isClosed) this.#kinesis.put('trips', this.#next('flush'), { shardId })
    }
  }

  async #writeAggregate(key: string): Promise<void> {
    const shards = await this.#kinesis.listShards('trips')
    const isIn = (partitionKey: string, first: string, last: string): boolean =>
      hashKeyOf(partitionKey) >= BigInt(first) && hashKeyOf(partitionKey) <= BigInt(last)
    const shard = shards.find(
      ({ isClosed, hashKeyStart, hashKeyEnd }) => !isClosed && isIn(key, hashKeyStart, hashKeyEnd),
    )!
    const keys = KEYS.filter((other) => isIn(other, shard.hashKeyStart, shard.hashKeyEnd))
    const records = keys.map((partitionKey) => ({ partitionKey, data: this.#next(partitionKey) }))
    this.#kinesis.put('trips', aggregateOf(records), { shardId: shard.shardId })
  }

  #next(sensor: string): Uint8Array {
    const row = { sensor, at: this.#atMs++, value: this.written.length }
    this.written.push(row)
    return this.#encoder.encode(row)
  }
}

function sourceOf(kinesis: FakeKinesis, world: SourceWorld): KinesisSource {
  const options = {
    stream: 'trips',
    kinesis: {},
    from: 'earliest' as const,
    fanOut: null,
    limits: { ...POLL_LIMITS, intervalMs: 2, idleIntervalMs: 5 },
    bufferBytes: 1_000_000,
    leases: { heartbeatMs: 20, ttlMs: 500, releaseMs: 2_000, refreshMs: 50 },
    workerName: null,
  }
  return new KinesisSource(options, world, kinesis)
}

it(
  'a pipeline over a stream that is split and merged, in processes that come and go, has each record and each window once',
  async () => {
    const kinesis = new FakeKinesis({ clock: systemClock })
    kinesis.addStream('trips', 2)
    const producer = new Producer(kinesis)
    const lake = memoryStore()
    const begin = (): { readonly stop: () => Promise<unknown> } => {
      const controller = new AbortController()
      const source = sourceOf(kinesis, { ...WORLD, clock: systemClock })
      const run = start(program, {
        lake,
        source,
        registry,
        signal: controller.signal,
        epochMs: 20,
        epochRows: 25,
      })
      return { stop: () => (controller.abort(), run) }
    }
    const rows = async (table: string): Promise<readonly Readonly<Record<string, unknown>>[]> => {
      try {
        return await rowsIn(lake, table)
      } catch {
        return []
      }
    }
    const caughtUp = async (): Promise<void> => {
      while ((await rows('bronze/readings')).length < producer.written.length) await systemClock.sleep(20)
    }

    await producer.write(40)
    const first = begin()
    await caughtUp()
    kinesis.split('trips', 'shardId-000000000000')
    await producer.write(40)
    const second = begin()
    await caughtUp()
    await first.stop()
    kinesis.merge('trips', 'shardId-000000000003', 'shardId-000000000001')
    await producer.write(40)
    await second.stop()
    const third = begin()
    await producer.write(20)
    await producer.flush()
    await caughtUp()
    const expected = windowsOf(producer.written)
    while ((await rows('gold/counts')).length < expected.length) await systemClock.sleep(20)
    await third.stop()

    const bronzeRows = await rows('bronze/readings')
    expect(bronzeRows.map(({ value }) => value).sort(byNumber)).toEqual(
      producer.written.map(({ value }) => value),
    )
    const places = bronzeRows.map((row) => `${String(row['_partition'])}/${String(row['_offset'])}`)
    expect(new Set(places).size).toBe(places.length)
    const counts = (await rows('gold/counts')).map(
      (row) => `${String(row['sensor'])} ${Number(row['rows'])} ${Number(row['total'])}`,
    )
    expect(counts.sort()).toEqual(expected)
  },
  seconds(60),
)

function byNumber(a: unknown, b: unknown): number {
  return Number(a) - Number(b)
}

/** Of all that lie before the flush. */
function windowsOf(written: Producer['written']): readonly string[] {
  const windows = new Map<string, { sensor: string; rows: number; total: number }>()
  for (const { sensor, at, value } of written.filter((row) => row.sensor !== 'flush')) {
    const key = `${sensor}/${Math.floor(at / WINDOW_MS)}`
    const known = windows.get(key) ?? { sensor, rows: 0, total: 0 }
    windows.set(key, { sensor, rows: known.rows + 1, total: known.total + value })
  }
  return [...windows.values()].map(({ sensor, rows, total }) => `${sensor} ${rows} ${total}`).sort()
}
