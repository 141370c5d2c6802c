import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { boundedOutOfOrderness, bronze, gold, pipeline, seconds, stream, tumbling } from 'millrace'
import { directory } from 'millrace/sinks/directory'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { POLL_LIMITS } from '../../consumers/kinesis/poll-limits.ts'
import { KinesisSource } from '../../consumers/kinesis/source.ts'
import { frameEncoder } from '../../consumers/recording/make-recording.ts'
import type { LagReport } from '../../src/cli/lag-report.ts'
import { shardLagText } from '../../src/cli/lag-text.ts'
import { measureStreamLag } from '../../src/cli/measure-stream-lag.ts'
import type { ShardLag } from '../../src/cli/shard-lag.ts'
import type { Channel } from '../../src/cli/terminal.ts'
import { KinesisClientApi } from '../../src/kinesis/client.ts'
import type { KinesisOptions } from '../../src/kinesis/options.ts'
import type { Clock } from '../../src/ports.ts'
import { runPipeline } from '../../src/runtime/run-pipeline.ts'
import { systemClock, systemEntropy } from '../../src/runtime/system.ts'
import { FakeKinesis } from '../kinesis/fake-kinesis.ts'
import { mustBeReady } from '../parts/cache.ts'
import { findKinesisPackages, KINESIS_CREDENTIALS, startKinesis } from '../parts/kinesis.ts'
import { Reading } from '../support/reading.ts'
import { SILENT } from '../support/world.ts'
import { runCli } from './run-cli.ts'

const packages = mustBeReady(await findKinesisPackages())
const START_MS = Date.parse('2026-03-01T00:00:00Z')
const SHARDS = ['shardId-000000000000', 'shardId-000000000001'] as const
const PLAIN = {
  stream: process.stdout,
  interactive: false,
  width: null,
  style: (_: string, text: string) => text,
}
const schema = JSON.stringify(Reading.avro)
const registry = { description: 'one', schemaById: async () => schema }
const encoder = frameEncoder(schema, 'readings', 1)
const world = { clock: systemClock, entropy: systemEntropy, log: SILENT, acceptLoss: false }

const readings = stream('readings', Reading, {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(seconds(1), { idleAfter: seconds(1) }),
})
const counts = readings
  .keyBy('sensor')
  .window(tumbling(seconds(10)), { allowedLateness: seconds(0) })
  .aggregate('counts', ({ count }) => ({ rows: count() }))
const program = pipeline({ name: 'meters', tables: [bronze('readings', readings), gold('counts', counts)] })

describe('the lag of a pipeline that reads a stream', () => {
  let lake: string
  let api: FakeKinesis
  let running: { readonly stop: () => Promise<void> } | null = null

  beforeEach(() => {
    lake = mkdtempSync(join(tmpdir(), 'millrace-stream-lag-'))
    api = new FakeKinesis({ clock: systemClock })
    api.addStream('readings', 2)
  })

  afterEach(async () => {
    await running?.stop()
    running = null
    rmSync(lake, { recursive: true, force: true })
  })

  /** One event a second from `from` on. */
  const produce = (shardId: string, from: number, to: number): void => {
    for (let index = from; index < to; index++) {
      const row = { at: START_MS + index * 1_000, sensor: 's', value: 1 }
      api.put('readings', encoder.encode(row), { shardId, partitionKey: 's' })
    }
  }

  /** On the fake, or on the Kinesis that is named. */
  const start = (kinesis: KinesisOptions | null = null): void => {
    const options = {
      stream: 'readings',
      kinesis: kinesis ?? {},
      from: 'earliest',
      fanOut: null,
      limits: POLL_LIMITS,
      bufferBytes: 1e6,
      leases: { heartbeatMs: 100, ttlMs: 2_000, releaseMs: 1_000, refreshMs: 500 },
      workerName: null,
    } as const
    const stop = new AbortController()
    const { store, format } = directory(lake)
    const over = runPipeline(program, {
      source: new KinesisSource(options, world, kinesis === null ? api : undefined),
      registry,
      lake: store,
      format,
      ...world,
      flush: { rowsMax: 1_000, bytesMax: 1e8, everyMs: 200, batchRecordsMax: 100 },
      owner: 'meter-host:7',
      fresh: false,
      signal: stop.signal,
      onProgress: null,
    })
    running = {
      stop: async () => {
        stop.abort()
        await over
      },
    }
  }

  const measure = (recordsMax = 1_000, clock: Clock = systemClock): Promise<LagReport<ShardLag>> =>
    measureStreamLag({
      store: directory(lake).store,
      api,
      client: null,
      pipeline: 'meters',
      stream: null,
      recordsMax,
      transactionalIdPrefix: '',
      retry: { ...world, clock, signal: AbortSignal.abort() },
    })

  /** Until every shard is in every table. */
  const settle = async (shards: number): Promise<LagReport<ShardLag>> => {
    for (;;) {
      await systemClock.sleep(50)
      const report = await measure().catch(() => null)
      if (report === null || report.partitions.length < shards || report.lagRecords > 0) continue
      const isDone = report.merges.length > 0 && report.merges.every(({ lagRecords }) => lagRecords === 0)
      if (isDone && report.partitions.every(({ epoch }) => epoch !== null)) return report
    }
  }

  it('is nothing when everything is published, then what has come since, shard by shard', async () => {
    produce(SHARDS[0], 0, 40)
    produce(SHARDS[1], 0, 20)
    start()
    const settled = await settle(2)
    expect(settled).toMatchObject({ pipeline: 'meters', incarnation: 1, lagRecords: 0, lagMs: 0 })
    expect(settled.partitions).toMatchObject([
      {
        partition: 'readings-000000000000',
        shard: SHARDS[0],
        recordedOffset: 40,
        publishedOffset: 40,
        isExact: true,
        watermark: '2026-03-01T00:00:38.000Z',
        owner: 'meter-host:7',
        note: null,
      },
      { partition: 'readings-000000000001', publishedOffset: 20 },
    ])
    await running!.stop()
    running = null

    produce(SHARDS[0], 40, 50)
    await systemClock.sleep(30)
    produce(SHARDS[0], 50, 52)
    const behind = await measure()
    expect(behind.lagRecords).toBe(12)
    expect(behind.partitions[0]).toMatchObject({ lagRecords: 12, unrecorded: 12, isExact: true })
    expect(behind.partitions[0]!.lagMs).toBeGreaterThanOrEqual(30)
    expect(behind.partitions[1]).toMatchObject({ lagRecords: 0, lagMs: 0 })
    expect(behind.merges).toMatchObject([{ lagRecords: 12, epochsToFold: 0 }])
    expect(shardLagText(behind, PLAIN as unknown as Channel)).toMatch(
      /: 12 records, [\d.]+ m?s behind\n\n shard +lag +behind +unrecorded +recorded +published +watermark +epoch age +owner\n/,
    )

    const bounded = await measure(10)
    expect(bounded.partitions[0]).toMatchObject({ lagRecords: 10, isExact: false })
    expect(shardLagText(bounded, PLAIN as unknown as Channel)).toMatch(/: 10 or more records[^]* 10\+ /)
  })

  it('follows shards that are split: ended parents, and children that wait or were not begun', async () => {
    produce(SHARDS[0], 0, 10)
    produce(SHARDS[1], 0, 5)
    start()
    await settle(2)
    await running!.stop()
    running = null
    produce(SHARDS[0], 10, 13)
    const [left] = api.split('readings', SHARDS[0])
    produce(left!, 13, 15)
    const split = await measure()
    expect(split.partitions).toMatchObject([
      { shard: SHARDS[0], lagRecords: 3, note: null },
      { shard: SHARDS[1], lagRecords: 0, note: null },
      { shard: left, lagRecords: 2, note: 'waiting' },
      { lagRecords: 0, note: 'waiting' },
    ])
    expect(split.merges).toMatchObject([{ lagRecords: 5 }])
    start()
    const done = await settle(4)
    expect(done.partitions.map(({ note }) => note)).toEqual(['ended', null, null, null])
    expect(done.partitions[2]).toMatchObject({ publishedOffset: 15 })
    await running!.stop()
    running = null
    const [ls, show, verify, windows] = await Promise.all([
      runCli(['checkpoints', 'ls', '--lake', lake]),
      runCli(['checkpoints', 'show', 'meters', 'readings-000000000000', 'last', '--lake', lake]),
      runCli(['checkpoints', 'verify', '--lake', lake]),
      runCli(['windows', '--lake', lake]),
    ])
    expect(ls.out).toMatch(/ readings-000000000000 .* 13, the end of the shard /)
    expect(ls.out).toMatch(/ readings-000000000002 .* 15, after …\d{8} /)
    expect(ls.out).not.toContain('_leases')
    expect(show.out).toContain('what follows is in readings-000000000002, readings-000000000003')
    expect(verify).toMatchObject({ code: 0 })
    expect(windows.out).toMatch(/ readings-000000000000 +ended /)
  })

  it('says where records were deleted before they were read', async () => {
    api = new FakeKinesis({ clock: systemClock, retentionMs: 5_000 })
    api.addStream('readings', 1)
    produce(SHARDS[0], 0, 10)
    start()
    await settle(1)
    await running!.stop()
    running = null
    produce(SHARDS[0], 10, 12)
    const later = { ...systemClock, nowMs: () => Date.now() + 10_000 }
    const { partitions } = await measure(1_000, later)
    expect(partitions).toMatchObject([{ note: 'expired', isExact: false }])
  })

  it('says where the stream is another one of its name', async () => {
    produce(SHARDS[0], 0, 10)
    produce(SHARDS[1], 0, 5)
    start()
    await settle(2)
    await running!.stop()
    running = null
    api.removeStream('readings')
    await systemClock.sleep(5)
    api.addStream('readings', 2)
    const { partitions } = await measure()
    expect(partitions).toMatchObject([{ note: 'recreated' }, { note: 'recreated' }])
  })

  describe.skipIf(packages.kind === 'missing')('by the command, of a stand-in', () => {
    it('is shown, limited, and as JSON; of a pipeline that has not begun, too', async () => {
      const stand = await startKinesis()
      onTestFinished(() => stand.stop())
      const place = {
        endpoint: stand.endpoint,
        region: 'us-east-1',
        credentials: KINESIS_CREDENTIALS,
      }
      const client = new KinesisClientApi(place, { clock: systemClock, log: SILENT })
      await client.createStream('readings', 1)
      const put = (from: number, to: number) =>
        client.putRecords(
          'readings',
          Array.from({ length: to - from }, (_, index) => {
            const row = { at: START_MS + (from + index) * 1_000, sensor: 's', value: 1 }
            return { partitionKey: 's', data: encoder.encode(row) }
          }),
        )
      const env = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }
      const lag = (...options: readonly string[]) =>
        runCli(['lag', '--lake', lake, '--endpoint', stand.endpoint, ...options], { env })
      await put(0, 20)
      start(place)
      const isDone = async (): Promise<boolean> => {
        const { code, out } = await lag('--json', '--stream', 'readings')
        if (code !== 0) return false
        const { lagRecords, partitions, merges } = JSON.parse(out) as LagReport<ShardLag>
        return lagRecords + (merges[0]?.lagRecords ?? 1) === 0 && partitions[0]!.publishedOffset === 20
      }
      while (!(await isDone()));
      await running!.stop()
      running = null
      await put(20, 32)
      const [shown, above, below, strange] = await Promise.all([
        lag(),
        lag('--max-lag', '11', '--count', '5'),
        lag('--max-lag', '12', '--json'),
        lag('--topic', 'other'),
      ])
      expect(shown.out, shown.err).toMatch(/^meters, incarnation 1, .*: 12 records, .* behind\n/)
      expect(above).toMatchObject({ code: 5, err: 'above --max-lag: all partitions, merge-0\n' })
      expect(below.code).toBe(0)
      expect(JSON.parse(below.out)).toMatchObject({ partitions: [{ lagRecords: 12, isExact: true }] })
      expect(strange.err).toMatch(/^error USAGE: meters reads a Kinesis stream, not topics\n/)
      client.close()
    })
  })
})
