import { boundedOutOfOrderness, bronze, gold, millis, pipeline, stream, topic, tumbling } from 'millrace'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kinesis } from '../../../consumers/kinesis/index.ts'
import { frameEncoder } from '../../../consumers/recording/make-recording.ts'
import { deltaFormat } from '../../../sinks/delta/delta-format.ts'
import { deadLetterStream, kinesisStreams } from '../../../sinks/kinesis/index.ts'
import type { StreamLetter } from '../../../sinks/kinesis/letter-content.ts'
import type { ObjectStore } from '../../../src/ports.ts'
import type { RunBindings, RunSummary } from '../../../src/runtime/bindings.ts'
import { runPipeline } from '../../../src/runtime/run-pipeline.ts'
import { systemEntropy } from '../../../src/runtime/system.ts'
import { memoryStore } from '../../../src/testing/memory-store.ts'
import { rowEncoder } from '../../../src/testing/row-encoder.ts'
import { clientOf, freshStream, type TestClient } from '../../kinesis/client-kit.ts'
import { mustBeReady } from '../../parts/cache.ts'
import { findKinesis, findKinesisPackages, KINESIS_CREDENTIALS } from '../../parts/kinesis.ts'
import { Reading } from '../../support/reading.ts'
import { rowsIn, WORLD } from '../../support/world.ts'
import { uniqueName } from '../topic/outbox-kit.ts'
import { recordsOf, TestRegistry } from './stream-kit.ts'

const packages = mustBeReady(await findKinesisPackages())

const SENSORS = 3
const RECORDS = 120
/** Of each sensor and window but the last ones. */
const RESULTS = SENSORS * (RECORDS / 20)
const isBroken = (n: number): boolean => n % 10 === 3

function programOf(results: string) {
  const readings = stream('readings', Reading, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(millis(5)),
  })
  const counts = readings
    .keyBy('sensor')
    .window(tumbling(millis(20)), { allowedLateness: millis(0) })
    .aggregate('counts', ({ count }) => ({ rows: count() }))
  return pipeline({
    name: 'shards',
    tables: [bronze('readings', readings), gold('counts', counts)],
    topics: [topic(results, counts)],
    circuitBreaker: false,
  })
}

describe.skipIf(packages.kind === 'missing')('a pipeline that reads a stream', () => {
  let place = { region: 'eu-west-1', endpoint: '', credentials: KINESIS_CREDENTIALS }
  let client: TestClient
  let input = ''
  const registry = new TestRegistry()

  beforeAll(async () => {
    const found = await findKinesis()
    if (found.kind === 'missing') throw new Error(found.reason)
    place = { ...place, endpoint: found.endpoint }
    client = clientOf(found.endpoint)
    input = await freshStream(client.api, 2)
    const schema = JSON.stringify(Reading.avro)
    const encoder = frameEncoder(schema, 'readings', await registry.register('readings-value', schema))
    const entries = Array.from({ length: RECORDS }, (_, n) => {
      const sensor = `s${n % SENSORS}`
      const data = isBroken(n) ? Buffer.from(`broken ${n}`) : encoder.encode({ sensor, at: n, value: n })
      return { partitionKey: sensor, data }
    })
    const data = encoder.encode({ sensor: 'end', at: 100_000, value: 0 })
    const ends = ['0', `${2n ** 128n - 1n}`]
    for (const some of [
      entries,
      ends.map((explicitHashKey) => ({ partitionKey: 'end', data, explicitHashKey })),
    ])
      await client.api.putRecords(input, some)
  }, 60_000)
  afterAll(() => client?.api.close())

  /** Until a table of the lake has so many rows. */
  async function start(
    lake: ObjectStore,
    bindings: Partial<RunBindings>,
    until: { readonly table: string; readonly rows: number },
    results = uniqueName('unused'),
  ): Promise<RunSummary> {
    const controller = new AbortController()
    const ended = new AbortController()
    const stopping = (async () => {
      while (!ended.signal.aborted && (await rowsIn(lake, until.table)).length < until.rows)
        await WORLD.clock.sleep(20)
      controller.abort()
    })()
    stopping.catch(() => controller.abort())
    const source = kinesis({ ...place, stream: input, registry, leases: { heartbeatMs: 200, ttlMs: 2_000 } })
    const run = runPipeline(programOf(results), {
      source: source.open(WORLD),
      registry,
      lake,
      format: deltaFormat(lake, rowEncoder),
      clock: WORLD.clock,
      entropy: systemEntropy,
      log: WORLD.log,
      flush: { rowsMax: 1_000, bytesMax: 1e8, everyMs: 50, batchRecordsMax: 100 },
      fresh: false,
      signal: controller.signal,
      onProgress: null,
      outbox: kinesisStreams({ ...place, registry, createStreams: { shards: 1 } }).open(WORLD),
      ...bindings,
    })
    return run.finally(() => ended.abort())
  }

  const brokenNumbers = Array.from({ length: RECORDS }, (_, n) => n).filter(isBroken)

  test('writes results and dead letters to streams, which one can read with an id in each', async () => {
    const [results, dead] = [uniqueName('counts'), uniqueName('dead')]
    const deadLetters = deadLetterStream({ ...place, stream: dead, createStreams: { shards: 1 } })
    const lake = memoryStore()
    const bindings = { deadLetters: { outbox: deadLetters.open(WORLD), topic: dead } }
    const { outcome } = await start(lake, bindings, { table: 'gold/counts', rows: RESULTS }, results)
    expect(outcome).toBe('stopped')

    const letters = (await recordsOf(client.api, dead)).map(
      ({ data }) => JSON.parse(new TextDecoder().decode(data)) as StreamLetter,
    )
    expect(new Set(letters.map(({ id }) => id)).size).toBe(brokenNumbers.length)
    const values = new Set(letters.map(({ value }) => Buffer.from(value!, 'base64').toString()))
    expect(values).toEqual(new Set(brokenNumbers.map((n) => `broken ${n}`)))
    const [letter] = letters
    expect(letter!.source).toMatchObject({ topic: input, sequenceNumber: expect.stringMatching(/^\d{50,}$/) })
    expect(Buffer.from(letter!.key!, 'base64').toString()).toMatch(/^s\d$/)

    const rows = (await recordsOf(client.api, results)).map(({ data }) => registry.decode(data))
    expect(new Set(rows.map(({ _id }) => _id)).size).toBe(RESULTS)
    const sent = new Set(rows.map((row) => `${String(row['sensor'])} ${Number(row['window_start'])}`))
    const stored = (await rowsIn(lake, 'gold/counts')).map(
      (row) => `${String(row['sensor'])} ${Date.parse(String(row['window_start']))}`,
    )
    expect(sent).toEqual(new Set(stored))
  }, 60_000)

  test('has its dead letters in the lake without being told so, with where each came from', async () => {
    const lake = memoryStore()
    await start(lake, {}, { table: 'dead_letters', rows: brokenNumbers.length })
    const letters = await rowsIn(lake, 'dead_letters')
    expect(letters).toHaveLength(brokenNumbers.length)
    const [letter] = letters
    expect(letter).toMatchObject({ reason: 'undecodable', _topic: input })
    const headers = new Map(
      (letter!['_headers'] as readonly { key: string; value: string }[]).map(({ key, value }) => [
        key,
        value,
      ]),
    )
    const sequenceNumber = Buffer.from(headers.get('kinesis.sequence_number')!, 'hex').toString()
    const known = await recordsOf(client.api, input)
    expect(known.map((record) => record.sequenceNumber)).toContain(sequenceNumber)
    expect(Buffer.from(String(letter!['_key']), 'hex').toString()).toMatch(/^s\d$/)
  }, 60_000)

  test('is refused where it would read what it writes', async () => {
    const outbox = deadLetterStream({ ...place, stream: input }).open(WORLD)
    const refused = start(
      memoryStore(),
      { deadLetters: { outbox, topic: input } },
      { table: 'bronze/readings', rows: Infinity },
    )
    await expect(refused).rejects.toMatchObject({
      code: 'TOPIC_LOOP',
    })
  })
})
