import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { type Admin, Kafka as KafkaJs, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { confluentRegistry } from '../../consumers/registry/index.ts'
import { decodeFramed } from './kafka-loop/decode-framed.ts'
import { createProducer } from '../../src/producer/index.ts'
import { Prng } from '../../src/testing/simulation/prng.ts'
import { avroSchema } from '../../src/topology/schema.ts'
import { committedPlaces, createTopic, findKafkaPackages, type Kafka, startKafka } from '../parts/kafka.ts'
import { mustBeReady } from '../parts/cache.ts'
import { readTable } from '../../sinks/delta/read-table.ts'
import { s3 } from '../../sinks/s3/index.ts'
import { findPython, runPython } from '../parts/python.ts'
import { findRegistryPackages, type Registry, startRegistry } from '../parts/registry.ts'
import { findS3Packages, freshBucket, type S3, s3Client, startS3 } from '../parts/s3.ts'
import {
  CLOSING_AT_MS,
  comesTwice,
  type Event,
  type EventKinds,
  EVENT_SCHEMA,
  eventOf,
  expectedCounts,
  expectedTens,
  isCorrupt,
  isUnnamed,
  LIVELY_MS,
  PARTITIONS,
} from './kafka-loop/events.ts'
import { countOf, countsOf, expectRows, type GoldRow, tensOf, type TensRow } from './loop-rows.ts'
import { away, pause, Workers } from './loop-workers.ts'

/** How long the processes and servers are disturbed: three minutes with MILLRACE_LOOP_SECONDS=180. */
const SECONDS = Number(process.env['MILLRACE_LOOP_SECONDS'] ?? 30)
const SEED = Number(process.env['MILLRACE_LOOP_SEED'] ?? Date.now() % 1_000_000)
const EVENTS_PER_SECOND = 400
const WORKERS_MAX = 3
const QUIET_SECONDS_MAX = 150
/** Who starts, or is asked to stop, while a server is away says so and ends: whoever supervises it starts it again. */
const MAY_END_WITH = ['KAFKA_UNREACHABLE', 'STORE_UNREACHABLE', 'STORE_AMBIGUOUS', 'STOP_OVERDUE']

const scratch = mkdtempSync(join(tmpdir(), 'millrace-loop-'))
let missing: string | null = null
let python = ''
let broker: Kafka
let registry: Registry
let store: S3
let bucket = ''

beforeAll(async () => {
  for (const part of [await findKafkaPackages(), await findRegistryPackages(), await findS3Packages()]) {
    const ready = mustBeReady(part)
    if (ready.kind === 'missing') missing = ready.reason
  }
  const readers = await findPython()
  if (readers.kind === 'missing') missing = readers.reason
  else python = readers.executable
  if (missing !== null) return
  ;[broker, registry, store] = await Promise.all([startKafka(), startRegistry(), startS3()])
  bucket = await freshBucket(store)
  // The server forgets a bucket that is empty when it is killed.
  const client = s3Client(store)
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'kept', Body: 'kept' }))
  client.destroy()
  await createTopic(broker.brokers, 'events', { partitions: PARTITIONS })
  await createTopic(broker.brokers, 'dead-letters', { partitions: 2 })
  await createTopic(broker.brokers, 'counts', { partitions: 2 })
  await createTopic(broker.brokers, 'tens', { partitions: 1 })
}, 300_000)

afterAll(async () => {
  await Promise.all([broker?.dispose(), registry?.dispose(), store?.dispose()])
  rmSync(scratch, { recursive: true, force: true })
})

/**
 * Given numbered events in 8 partitions, some of them corrupt, without a name, or twice,
 * when up to three processes are started, killed, stopped and woken up, and the broker, the registry and the store go away and come back,
 * then each event is once in bronze and silver, each window is right, each dead letter and each result is once in its topic, and nothing is left to do.
 */
it(`loses nothing and repeats nothing in ${SECONDS} s of disturbance`, {
  timeout: (SECONDS + 400) * 1000,
}, async ({ skip }) => {
  if (missing !== null) {
    skip(missing)
    return
  }
  console.log(`MILLRACE_LOOP_SEED=${SEED}`)
  const random = new Prng(SEED)
  const workers = createWorkers(random)
  try {
    workers.start()
    const feed = new EventFeed()
    const feeding = feed.run(SECONDS * EVENTS_PER_SECOND)
    await disturb(random, workers, performance.now() + SECONDS * 1000)
    await feeding
    await workers.calm()
    await settled(workers, feed)
    await workers.stopAll()
    await verify(feed)
  } catch (error) {
    console.log(workers.logs())
    throw error
  } finally {
    workers.killAll()
  }
})

// ------------------------------------------------------------------------------------------- input

interface Written {
  readonly partition: number
  readonly n: number
  readonly offset: number
}

/** Writes the events at a steady pace; what the broker acknowledged is in `written`. */
class EventFeed {
  readonly written: Written[] = []
  readonly corrupt: Written[] = []
  count = 0

  async run(count: number): Promise<void> {
    this.count = count
    const producer = await createProducer<Event>({
      brokers: [broker.brokers],
      topic: 'events',
      schema: avroSchema<Event, EventKinds>(EVENT_SCHEMA),
      registry: confluentRegistry({ url: registry.url }),
      deliveryTimeoutMs: 300_000,
    })
    const raw = new RawProducer(producer.schemaId)
    const begun = performance.now()
    const sending: Promise<unknown>[] = []
    const send = async (n: number, value: Event, partition: number): Promise<void> => {
      const { offset } = await producer.send(value, { partition })
      this.written.push({ partition, n, offset: Number(offset) })
    }
    for (let n = 0; n < count; n++) {
      const { partition, ...event } = eventOf(n)
      if (isCorrupt(n)) sending.push(raw.send(n, partition).then((place) => void this.corrupt.push(place)))
      else {
        sending.push(send(n, event, partition))
        if (comesTwice(n)) sending.push(send(n, event, partition))
      }
      const aheadMs = (n / EVENTS_PER_SECOND) * 1000 - (performance.now() - begun)
      if (aheadMs > 20) await pause(aheadMs)
    }
    await Promise.all(sending)
    const closing = Array.from({ length: PARTITIONS }, (_, partition) =>
      send(
        count + partition,
        { n: BigInt(count + partition), at: CLOSING_AT_MS, account: 'closing' },
        partition,
      ),
    )
    await Promise.all(closing)
    await producer.close()
    await raw.close()
  }
}

/** Bytes that no producer of ours would send. */
class RawProducer {
  readonly #schemaId: number
  readonly #client = new KafkaJs({
    brokers: [broker.brokers],
    logLevel: logLevel.NOTHING,
    retry: { retries: 100, maxRetryTime: 1_000 },
  })
  readonly #producer = this.#client.producer({ idempotent: true, maxInFlightRequests: 1 })
  #last: Promise<unknown> = this.#producer.connect()

  constructor(schemaId: number) {
    this.#schemaId = schemaId
  }

  async send(n: number, partition: number): Promise<Written> {
    const frame = Buffer.alloc(5)
    frame.writeInt32BE(this.#schemaId, 1)
    // A long of eleven bytes is none.
    const value = Buffer.concat([frame, Buffer.alloc(11, 0xff)])
    const sent = this.#last.then(() =>
      this.#producer.send({ topic: 'events', messages: [{ partition, key: `corrupt-${n}`, value }] }),
    )
    this.#last = sent
    const [place] = await sent
    return { partition, n, offset: Number(place!.baseOffset) }
  }

  async close(): Promise<void> {
    await this.#producer.disconnect()
  }
}

// ------------------------------------------------------------------------------------------- disturbance

function createWorkers(random: Prng): Workers {
  return new Workers({
    random,
    script: fileURLToPath(new URL('./kafka-loop/worker.ts', import.meta.url)),
    scratch,
    max: WORKERS_MAX,
    env: {
      LOOP_BROKERS: broker.brokers,
      LOOP_REGISTRY: registry.url,
      LOOP_BUCKET: bucket,
      AWS_ENDPOINT_URL_S3: store.endpoint,
      AWS_REGION: store.region,
      AWS_ACCESS_KEY_ID: store.accessKeyId,
      AWS_SECRET_ACCESS_KEY: store.secretAccessKey,
    },
    mayEndWith: MAY_END_WITH,
  })
}

/** Until the users' group shows that everything is published, and the results are there. */
async function settled(workers: Workers, feed: EventFeed): Promise<void> {
  const client = new KafkaJs({ brokers: [broker.brokers], logLevel: logLevel.NOTHING })
  const admin = client.admin()
  await admin.connect()
  const wanted = { counts: expectedCounts(feed.count).size, tens: expectedTens(feed.count).length }
  try {
    // The broker may just have come back, and not know its groups yet.
    await workers.settled(QUIET_SECONDS_MAX, () => openWork(admin, wanted).catch(String))
  } finally {
    await admin.disconnect()
  }
}

/** Processes and servers at the same time: a worker may be killed while the broker is away. */
async function disturb(random: Prng, workers: Workers, untilMs: number): Promise<void> {
  await Promise.all([workers.disturbUntil(untilMs, random.fork()), disturbServers(random.fork(), untilMs)])
}

/** Each in turn, so that a short loop has them all. */
async function disturbServers(random: Prng, untilMs: number): Promise<void> {
  const killed = (server: Kafka | S3) => async (): Promise<void> => {
    await server.kill()
    await pause(random.integer(100, 2_000))
    await server.restart()
  }
  const outages: (readonly [string, () => Promise<void>])[] = [
    ['the broker is killed', killed(broker)],
    ['the registry is away', () => away(registry, random.integer(500, 3_000))],
    ['the store is away', () => away(store, random.integer(500, 8_000))],
    ['the store is killed', killed(store)],
  ]
  const first = random.integer(0, outages.length - 1)
  for (let i = 0; i < outages.length || performance.now() < untilMs; i++) {
    await pause(random.integer(500, 3_000))
    const [what, happen] = outages[(first + i) % outages.length]!
    console.log(what)
    await happen()
  }
}

/** What is still to be done, in words; '' where nothing is. */
async function openWork(
  admin: Admin,
  wanted: { readonly counts: number; readonly tens: number },
): Promise<string> {
  const ends = await admin.fetchTopicOffsets('events')
  const [group] = await admin.fetchOffsets({ groupId: 'loop', topics: ['events'] })
  const lag = ends.reduce((sum, { partition, offset }) => {
    const at = group?.partitions.find((one) => one.partition === partition)?.offset ?? '-1'
    return sum + Number(offset) - Math.max(0, Number(at))
  }, 0)
  const results = (await admin.fetchTopicOffsets('counts')).reduce((sum, one) => sum + Number(one.offset), 0)
  // Transactions leave markers behind, so the topic has at least as many offsets as results.
  if (lag > 0 || results < wanted.counts) return `lag ${lag}, ${results} of ${wanted.counts} results`
  // The second stage is an epoch behind the first.
  const tens = await tensInTable()
  return tens >= wanted.tens ? '' : `${tens} of ${wanted.tens} rows of tens`
}

async function tensInTable(): Promise<number> {
  const { endpoint, region, accessKeyId, secretAccessKey } = store
  const lake = s3({ bucket, prefix: 'lake', endpoint, region, credentials: { accessKeyId, secretAccessKey } })
  try {
    const table = await readTable(lake.store, 'gold/tens')
    return [...(table?.files.values() ?? [])].reduce((sum, { rows }) => sum + rows, 0)
  } finally {
    await lake.store.close?.()
  }
}

// ------------------------------------------------------------------------------------------- verification

interface Lake {
  readonly bronzeRows: number
  readonly bronzeTwice: readonly unknown[]
  readonly bronzePlaces: readonly (readonly [number, number])[]
  readonly silver: readonly number[]
  readonly silverTwice: readonly number[]
  readonly gold: readonly GoldRow[]
  readonly lively: readonly GoldRow[]
  readonly tens: readonly TensRow[]
}

async function verify(feed: EventFeed): Promise<void> {
  const lake = await runPython<Lake>(python, fileURLToPath(new URL('./read_loop.py', import.meta.url)), [
    bucket,
    store.endpoint,
    String(feed.count),
  ])
  // Bronze: each record of the topic that can be decoded, once, by its place.
  expect(lake.bronzeTwice).toEqual([])
  const places = new Set(lake.bronzePlaces.map(([partition, offset]) => `${partition} ${offset}`))
  const wanted = new Set(feed.written.map(({ partition, offset }) => `${partition} ${offset}`))
  expect([...wanted].filter((place) => !places.has(place))).toEqual([])
  expect([...places].filter((place) => !wanted.has(place))).toEqual([])
  // Silver: each number once, though some came twice.
  const numbers = Array.from({ length: feed.count }, (_, n) => n).filter(
    (n) => !isCorrupt(n) && !isUnnamed(n),
  )
  expect(lake.silverTwice).toEqual([])
  expect(lake.silver).toEqual(numbers)

  const expected = expectedCounts(feed.count)
  expect(lake.gold.filter(({ revision }) => revision !== 0)).toEqual([])
  expectRows(countsOf(lake.gold), expected)
  // Early results have come and gone: one row of each window is left, and it is the last.
  expectRows(countsOf(lake.lively), expectedCounts(feed.count, LIVELY_MS))
  expect(tensOf(lake.tens)).toEqual(expectedTens(feed.count))
  const tensSent = await readCommitted('tens')
  expect(tensSent.length).toBe(lake.tens.length)

  const results = await readCommitted('counts')
  const rows = await Promise.all(results.map(({ value }) => decodeFramed(registry.url, value!)))
  expectRows(rows.map(countOf), expected)

  const letters = await readCommitted('dead-letters')
  const header = (letter: Message, name: string): string => String(letter.headers?.[name])
  const found = letters.map(
    (letter) =>
      `${header(letter, 'millrace.reason')} ${header(letter, 'millrace.source.partition')} ${header(letter, 'millrace.source.offset')}`,
  )
  const unnamed = feed.written.filter(({ n }) => n < feed.count && isUnnamed(n))
  const due = [
    ...feed.corrupt.map(({ partition, offset }) => `undecodable ${partition} ${offset}`),
    ...unnamed.map(({ partition, offset }) => `invalid ${partition} ${offset}`),
  ]
  expect(found.sort()).toEqual(due.sort())
  for (const letter of letters) {
    if (header(letter, 'millrace.reason') !== 'undecodable') continue
    expect(letter.key?.toString()).toMatch(/^corrupt-\d+$/)
    expect(letter.value?.subarray(5)).toEqual(Buffer.alloc(11, 0xff))
  }
}

interface Message {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers?: Readonly<Record<string, unknown>> | undefined
}

/** Everything that a reader with read_committed sees, by clients that are not ours: kafkajs reads, and Kafka's own says what is committed. */
async function readCommitted(topic: string): Promise<readonly Message[]> {
  const client = new KafkaJs({ brokers: [broker.brokers], logLevel: logLevel.NOTHING })
  const consumer = client.consumer({ groupId: `reader-of-${topic}`, readUncommitted: false })
  // By place: a consumer that has lost its coordinator for a moment begins again where it had committed.
  const messages = new Map<string, Message>()
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  let quietSince = performance.now()
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      messages.set(`${partition}/${message.offset}`, message)
      quietSince = performance.now()
    },
  })
  // There is no end to a topic: what has come for so long is what there is.
  while (performance.now() - quietSince < 5_000) await pause(100)
  await consumer.disconnect()
  const committed = await committedPlaces(broker.brokers, topic)
  expect([...committed].filter((place) => !messages.has(place))).toEqual([])
  return [...messages].filter(([place]) => committed.has(place)).map(([, message]) => message)
}
