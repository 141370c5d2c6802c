import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
} from '@aws-sdk/client-kinesis'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { confluentRegistry } from '../../consumers/registry/index.ts'
import { readTable } from '../../sinks/delta/read-table.ts'
import { s3 } from '../../sinks/s3/index.ts'
import { Prng } from '../../src/testing/simulation/prng.ts'
import { mustBeReady } from '../parts/cache.ts'
import { findKinesisPackages, type Kinesis, startKinesis } from '../parts/kinesis.ts'
import { type FanOutFront, startFanOutFront } from '../parts/h2-front.ts'
import { findPython, runPython } from '../parts/python.ts'
import { findRegistryPackages, type Registry, startRegistry } from '../parts/registry.ts'
import { findS3Packages, freshBucket, type S3, s3Client, startS3 } from '../parts/s3.ts'
import { decodeFramed } from './kafka-loop/decode-framed.ts'
import {
  EVENT_SCHEMA,
  expectedCounts,
  expectedTens,
  isCorrupt,
  isUnnamed,
  LIVELY_MS,
} from './kafka-loop/events.ts'
import { kinesisClient, merge, split, STREAM, StreamFeed } from './kinesis-loop/feed.ts'
import { countOf, countsOf, expectRows, type GoldRow, tensOf, type TensRow } from './loop-rows.ts'
import { away, pause, Workers } from './loop-workers.ts'

/** How long the processes and servers are disturbed, each way of reading: three minutes with MILLRACE_LOOP_SECONDS=180. */
const SECONDS = Number(process.env['MILLRACE_LOOP_SECONDS'] ?? 20)
const SEED = Number(process.env['MILLRACE_LOOP_SEED'] ?? Date.now() % 1_000_000)
/** What the stand-in takes of small records, beside everything else on two cores. */
const EVENTS_PER_SECOND = 200
const SHARDS = 4
const WORKERS_MAX = 3
const QUIET_SECONDS_MAX = 150
const MAY_END_WITH = ['KINESIS_UNAVAILABLE', 'STORE_UNREACHABLE', 'STORE_AMBIGUOUS', 'STOP_OVERDUE']

const scratch = mkdtempSync(join(tmpdir(), 'millrace-kinesis-loop-'))
let missing: string | null = null
let python = ''
let kinesis: Kinesis
let front: FanOutFront
let client: KinesisClient
let registry: Registry
let store: S3
let bucket = ''

beforeAll(async () => {
  for (const part of [await findKinesisPackages(), await findRegistryPackages(), await findS3Packages()]) {
    const ready = mustBeReady(part)
    if (ready.kind === 'missing') missing = ready.reason
  }
  const readers = await findPython()
  if (readers.kind === 'missing') missing = readers.reason
  else python = readers.executable
}, 300_000)

beforeEach(async ({ skip }) => {
  if (missing !== null) {
    skip(missing)
    return
  }
  ;[kinesis, registry, store] = await Promise.all([startKinesis(), startRegistry(), startS3()])
  front = await startFanOutFront(kinesis.endpoint)
  bucket = await freshBucket(store)
  // The server forgets a bucket that is empty when it is killed.
  const buckets = s3Client(store)
  await buckets.send(new PutObjectCommand({ Bucket: bucket, Key: 'kept', Body: 'kept' }))
  buckets.destroy()
  client = kinesisClient(kinesis.endpoint)
  for (const [name, shards] of [
    [STREAM, SHARDS],
    ['counts', 2],
    ['tens', 1],
  ] as const) {
    await client.send(new CreateStreamCommand({ StreamName: name, ShardCount: shards }))
    await active(name)
  }
}, 120_000)

afterEach(async () => {
  client?.destroy()
  await front?.close()
  await Promise.all([kinesis?.dispose(), registry?.dispose(), store?.dispose()])
})

afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/**
 * Given numbered events in 4 shards, every second request of them as aggregates of another implementation, some of them corrupt, without a name, or twice,
 * when up to three processes are started, killed, stopped and woken up, a shard is split and two others are merged, and the stream, the registry and the store go away and
 * come back,
 * then each event is once in bronze and silver, in the order of its key, each window is right, each dead letter is once in the lake, and each result is in its stream, known by its id.
 */
it.each([
  ['polling', ''],
  ['enhanced fan-out', 'loop'],
])(
  `loses nothing and repeats nothing in ${SECONDS} s of disturbance and two reshards, by %s`,
  {
    timeout: (SECONDS + 400) * 1000,
  },
  async (way, consumer) => {
    console.log(`MILLRACE_LOOP_SEED=${SEED}, by ${way}`)
    const random = new Prng(SEED)
    const workers = new Workers({
      random: random.fork(),
      script: fileURLToPath(new URL('./kinesis-loop/worker.ts', import.meta.url)),
      scratch: mkdtempSync(join(scratch, 'logs-')),
      max: WORKERS_MAX,
      env: {
        // Kinesis lets others subscribe to a shard after five seconds; the stand-in itself does not.
        LOOP_KINESIS: front.endpoint,
        LOOP_FAN_OUT: consumer,
        LOOP_REGISTRY: registry.url,
        LOOP_BUCKET: bucket,
        AWS_ENDPOINT_URL_S3: store.endpoint,
        AWS_REGION: store.region,
        AWS_ACCESS_KEY_ID: store.accessKeyId,
        AWS_SECRET_ACCESS_KEY: store.secretAccessKey,
      },
      mayEndWith: MAY_END_WITH,
    })
    try {
      workers.start()
      const schemaId = await confluentRegistry({ url: registry.url }).register(
        `${STREAM}-value`,
        JSON.stringify(EVENT_SCHEMA),
      )
      const feed = new StreamFeed(client, schemaId)
      const until = performance.now() + SECONDS * 1000
      await Promise.all([
        feed.run(SECONDS * EVENTS_PER_SECOND, EVENTS_PER_SECOND),
        workers.disturbUntil(until, random.fork()),
        reshard(random.fork()),
        disturbServers(random.fork(), until),
      ])
      await workers.calm()
      await workers.settled(QUIET_SECONDS_MAX, () => openWork(feed).catch(String))
      await workers.stopAll()
      await verify(feed)
    } catch (error) {
      console.log(workers.logs())
      throw error
    } finally {
      workers.killAll()
    }
  },
)

/** A split at a third of the time, a merge at two thirds. */
async function reshard(random: Prng): Promise<void> {
  await pause((SECONDS * 1000) / 3)
  console.log(await split(client, random.integer(0, 100)))
  await active(STREAM)
  await pause((SECONDS * 1000) / 3)
  console.log(await merge(client, random.integer(0, 100)))
  await active(STREAM)
}

async function disturbServers(random: Prng, untilMs: number): Promise<void> {
  const outages: (readonly [string, () => Promise<void>])[] = [
    ['the stream is away', () => away(kinesis, random.integer(200, 1_500))],
    ['the registry is away', () => away(registry, random.integer(500, 3_000))],
    ['the store is away', () => away(store, random.integer(500, 6_000))],
    [
      'the store is killed',
      async () => {
        await store.kill()
        await pause(random.integer(100, 2_000))
        await store.restart()
      },
    ],
  ]
  const first = random.integer(0, outages.length - 1)
  for (let i = 0; i < outages.length || performance.now() < untilMs; i++) {
    await pause(random.integer(500, 3_000))
    const [what, happen] = outages[(first + i) % outages.length]!
    console.log(what)
    await happen()
  }
}

async function active(stream: string): Promise<void> {
  for (;;) {
    const { StreamDescriptionSummary: summary } = await client.send(
      new DescribeStreamSummaryCommand({ StreamName: stream }),
    )
    if (summary!.StreamStatus === 'ACTIVE') return
    await pause(100)
  }
}

/** What is still to be done, in words; '' where nothing is. */
async function openWork(feed: StreamFeed): Promise<string> {
  const wanted: Readonly<Record<string, number>> = {
    'bronze/events': feed.written.length,
    dead_letters: lettersOf(feed).length,
    'gold/counts': expectedCounts(feed.count).size,
    'gold/tens': expectedTens(feed.count).length,
  }
  const open: string[] = []
  const { endpoint, region, accessKeyId, secretAccessKey } = store
  const lake = s3({ bucket, prefix: 'lake', endpoint, region, credentials: { accessKeyId, secretAccessKey } })
  try {
    for (const [path, rows] of Object.entries(wanted)) {
      const table = await readTable(lake.store, path)
      const found = [...(table?.files.values() ?? [])].reduce((sum, { rows: some }) => sum + some, 0)
      if (found < rows) open.push(`${found} of ${rows} rows of ${path}`)
    }
  } finally {
    await lake.store.close?.()
  }
  return open.join(', ')
}

// ------------------------------------------------------------------------------------------- verification

interface Lake {
  readonly places: readonly string[]
  readonly placesTwice: readonly string[]
  readonly offsetsTwice: readonly unknown[]
  readonly disorder: readonly unknown[]
  readonly silver: readonly number[]
  readonly silverTwice: readonly number[]
  readonly gold: readonly GoldRow[]
  readonly lively: readonly GoldRow[]
  readonly tens: readonly TensRow[]
  readonly letters: readonly string[]
}

async function verify(feed: StreamFeed): Promise<void> {
  const script = fileURLToPath(new URL('./read_kinesis_loop.py', import.meta.url))
  const lake = await runPython<Lake>(python, script, [bucket, store.endpoint, String(feed.count)])
  // Bronze: each record of the stream that can be decoded, once, those in aggregates each by itself.
  expect(lake.placesTwice).toEqual([])
  expect(lake.offsetsTwice).toEqual([])
  expect(lake.places).toEqual(feed.written.map(({ place }) => place).sort())
  expect(lake.disorder).toEqual([])
  // Silver: each number once, though some came twice, and the second time in another shard perhaps.
  expect(lake.silverTwice).toEqual([])
  expect(lake.silver).toEqual(
    Array.from({ length: feed.count }, (_, n) => n).filter((n) => !isCorrupt(n) && !isUnnamed(n)),
  )
  expect(lake.letters).toEqual(lettersOf(feed))

  const expected = expectedCounts(feed.count)
  expect(lake.gold.filter(({ revision }) => revision !== 0)).toEqual([])
  expectRows(countsOf(lake.gold), expected)
  expectRows(countsOf(lake.lively), expectedCounts(feed.count, LIVELY_MS))
  expect(tensOf(lake.tens)).toEqual(expectedTens(feed.count))

  // At least once: some came again, with the id that they had.
  const results = await readStream('counts')
  expectRows(results.map(countOf), expected)
  expect((await readStream('tens')).length).toBe(lake.tens.length)
}

/** The dead letters that are due: what and where. */
function lettersOf(feed: StreamFeed): readonly string[] {
  const unnamed = feed.written.filter(({ n }) => n < feed.count && isUnnamed(n))
  return [
    ...feed.corrupt.map(({ place }) => `undecodable ${place}`),
    ...unnamed.map(({ place }) => `invalid ${place}`),
  ].sort()
}

/** All records of a stream, by a client that is not ours; one for each id. */
async function readStream(stream: string): Promise<readonly Record<string, unknown>[]> {
  const byId = new Map<string, string>()
  const rows: Record<string, unknown>[] = []
  for (let shard = 0; shard < (stream === 'counts' ? 2 : 1); shard++) {
    const { ShardIterator: first } = await client.send(
      new GetShardIteratorCommand({
        StreamName: stream,
        ShardId: `shardId-${String(shard).padStart(12, '0')}`,
        ShardIteratorType: 'TRIM_HORIZON',
      }),
    )
    for (let iterator = first; iterator !== undefined; ) {
      const {
        Records: records = [],
        NextShardIterator: next,
        MillisBehindLatest: behindMs,
      } = await client.send(new GetRecordsCommand({ ShardIterator: iterator }))
      for (const { Data: data } of records) {
        const row = await decodeFramed(registry.url, Buffer.from(data!))
        const id = row['_id'] as string
        const text = JSON.stringify(row)
        if (byId.has(id)) expect(text).toBe(byId.get(id))
        else rows.push(row)
        byId.set(id, text)
      }
      if (records.length === 0 && (behindMs ?? 0) === 0) break
      iterator = next
    }
  }
  return rows
}
