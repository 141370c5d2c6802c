import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { boundedOutOfOrderness, bronze, gold, pipeline, seconds, stream, tumbling } from 'millrace'
import { kafka } from 'millrace/consumers/kafka'
import { deadLetterTopic } from 'millrace/sinks/dead-letter-topic'
import { directory } from 'millrace/sinks/directory'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { frameEncoder } from '../../consumers/recording/make-recording.ts'
import type { LagReport } from '../../src/cli/lag-report.ts'
import { measureLag } from '../../src/cli/measure-lag.ts'
import { KafkaClient } from '../../src/kafka/client.ts'
import { runPipeline } from '../../src/runtime/run-pipeline.ts'
import { systemClock, systemEntropy } from '../../src/runtime/system.ts'
import { name, send, testClient } from '../consumers/kafka/source-kit.ts'
import { createTopic, findKafka } from '../parts/kafka.ts'
import { Reading } from '../support/reading.ts'
import { SILENT } from '../support/world.ts'
import { runCli } from './run-cli.ts'

const broker = await findKafka()

describe.skipIf(broker.kind === 'missing')('millrace lag', () => {
  const brokers = broker.kind === 'ready' ? broker.brokers : ''
  const topic = `readings-${name()}`
  const lake = mkdtempSync(join(tmpdir(), 'millrace-lag-'))
  const { store, format } = directory(lake)
  const world = { clock: systemClock, entropy: systemEntropy, log: SILENT, acceptLoss: false }
  const retry = { ...world, signal: AbortSignal.abort() }
  const client = new KafkaClient({ brokers: [brokers === '' ? 'localhost:1' : brokers] }, world)
  const schema = JSON.stringify(Reading.avro)
  const encoder = frameEncoder(schema, topic, 1)
  const START_MS = Date.parse('2026-03-01T00:00:00Z')

  const readings = stream('readings', Reading, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(seconds(1), { idleAfter: seconds(1) }),
  })
  const counts = readings
    .keyBy('sensor')
    .window(tumbling(seconds(10)), { allowedLateness: seconds(0) })
    .aggregate('counts', ({ count }) => ({ rows: count() }))
  const program = pipeline({ name: 'meters', tables: [bronze('readings', readings), gold('counts', counts)] })

  /** One event a second from `from` on. */
  const produce = (partition: number, from: number, to: number): Promise<void> =>
    send(
      brokers,
      topic,
      Array.from({ length: to - from }, (_, index) => {
        const atMs = START_MS + (from + index) * 1_000
        const value = Buffer.from(encoder.encode({ at: atMs, sensor: 's', value: 1 }))
        return { partition, value, timestamp: String(atMs) }
      }),
    )

  const measure = (transactionalIdPrefix = topic): Promise<LagReport> =>
    measureLag({ store, client, pipeline: 'meters', topics: [], transactionalIdPrefix, retry })

  const lagCli = (...options: readonly string[]) =>
    runCli(['lag', '--lake', lake, '--brokers', brokers, '--transactional-id-prefix', topic, ...options])

  beforeAll(async () => {
    await createTopic(brokers, topic, { partitions: 3 })
    await produce(0, 0, 40)
    await produce(1, 0, 20)
    await createTopic(brokers, `${topic}-dead`)
    await send(brokers, topic, [{ partition: 2, value: 'no reading', timestamp: String(START_MS) }])
    const deadLetters = deadLetterTopic({
      brokers: [brokers],
      topic: `${topic}-dead`,
      transactionalIdPrefix: topic,
    })
    const stop = new AbortController()
    const registry = { description: 'one', schemaById: async () => schema }
    const source = kafka({
      brokers: [brokers],
      topic,
      groupId: topic,
      registry,
      fetch: { maxWaitMs: 100, minBytes: 1 },
    })
    const flush = { rowsMax: 1_000, bytesMax: 1e8, everyMs: 200, batchRecordsMax: 100 }
    const running = runPipeline(program, {
      source: source.open(world),
      registry,
      lake: store,
      format,
      ...world,
      flush,
      deadLetters: { outbox: deadLetters.open(world), topic: deadLetters.topic },
      owner: 'meter-host:7',
      fresh: false,
      signal: stop.signal,
      onProgress: null,
    })
    const isDone = async (): Promise<boolean> => {
      if ((await store.listFolders!('_millrace/meters/000001/')).length < 4) return false
      const { lagRecords, merges } = await measure()
      return lagRecords === 0 && merges.every((merge) => merge.lagRecords === 0)
    }
    while (!(await isDone()));
    stop.abort()
    await running
  })

  afterAll(async () => {
    await client.close()
    rmSync(lake, { recursive: true, force: true })
  })

  it('is nothing when everything is published, and says who did it', async () => {
    const report = await measure()
    expect(report).toMatchObject({ pipeline: 'meters', incarnation: 1, lagRecords: 0, lagMs: 0 })
    expect(report.partitions.map(({ partition }) => partition)).toEqual([0, 1, 2].map((n) => `${topic}-${n}`))
    expect(report.partitions[0]).toMatchObject({
      endOffset: 40,
      recordedOffset: 40,
      publishedOffset: 40,
      watermark: '2026-03-01T00:00:38.000Z',
      unpublishedEpochs: 0,
      owner: 'meter-host:7',
    })
    expect(report.merges).toMatchObject([{ task: 'merge-0', lagRecords: 0, lagMs: 0, epochsToFold: 0 }])
  })

  it('counts what has come since, in records and in their time', async () => {
    await produce(0, 40, 50)
    await produce(1, 20, 25)
    const { code, out, err } = await lagCli('--json')
    expect(code, err).toBe(0)
    const report = JSON.parse(out) as LagReport
    expect(report).toMatchObject({ lagRecords: 15, lagMs: 9_000 })
    expect(report.partitions[1]).toMatchObject({
      lagRecords: 5,
      lagMs: 4_000,
      publishedOffset: 20,
      endOffset: 25,
    })
    expect(report.merges[0]).toMatchObject({ lagRecords: 15, lagMs: 9_000 })
  })

  it('is shown as a table, and ends with 5 where it is beyond a limit', async () => {
    const [records, time, below] = await Promise.all([
      lagCli('--max-lag', '14'),
      lagCli('--max-lag', '8s'),
      lagCli('--max-lag', '9s'),
    ])
    expect(records.code).toBe(5)
    expect(records.err).toBe('above --max-lag: all partitions, merge-0\n')
    expect(records.out).toMatch(/^meters, incarnation 1, .*: 15 records, 9\.0 s behind\n/)
    expect(records.out).toMatch(
      /partition +lag +behind +end +recorded +published +watermark +epoch age +owner/,
    )
    expect(records.out).toMatch(/-1 +5 +4\.0 s +25 +20 +20 +2026-03-01 00:00:18Z/)
    expect(time).toMatchObject({ code: 5, err: `above --max-lag: ${topic}-0, merge-0\n` })
    expect(below).toMatchObject({ code: 0, err: '' })
  })

  it('counts neither the ends of transactions nor what was aborted', async () => {
    const producer = testClient(brokers).producer({ transactionalId: topic, maxInFlightRequests: 1 })
    await producer.connect()
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ partition: 2, value: 'never' }] })
    await transaction.abort()
    await producer.disconnect()
    let partitions: LagReport['partitions'] = []
    // The abort is in the topic a moment after it was asked for.
    while (partitions[2]?.endOffset !== 3) ({ partitions } = await measure())
    expect(partitions[2]).toMatchObject({ endOffset: 3, lagRecords: 0, lagMs: 0 })
  })

  it('is that of the topics: dead letters are published when their marker says so', async () => {
    const known = await measure()
    expect(known.partitions[2]).toMatchObject({ recordedOffset: 1, publishedOffset: 1, unpublishedEpochs: 0 })
    // As if nobody could tell.
    const unknown = await measure(`${topic}-other`)
    expect(unknown.partitions[2]).toMatchObject({
      recordedOffset: 1,
      publishedOffset: null,
      unpublishedEpochs: 1,
    })
  })

  it('says what is wrong', async () => {
    const [pipeline, address, none] = await Promise.all([
      lagCli('--pipeline', 'meter'),
      runCli(['lag', '--lake', lake]),
      lagCli('--max-lag', 'much'),
    ])
    expect(pipeline.err).toBe(
      'error PIPELINE_NOT_FOUND: the lake has no pipeline meter\n→ Name one of them with --pipeline: meters.\n',
    )
    expect(address.err).toMatch(/^error USAGE: no brokers are named\n/)
    expect(none.err).toMatch(/^error USAGE: --max-lag much is no time span\n/)
  })
})
