import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import {
  boundedOutOfOrderness,
  bronze,
  days,
  gold,
  millis,
  pipeline,
  run,
  session,
  silver,
  stream,
  tumbling,
} from 'millrace'
import { afterAll, describe, expect, test } from 'vitest'
import { kafka } from '../../consumers/kafka/index.ts'
import { frameEncoder } from '../../consumers/recording/make-recording.ts'
import { directoryRegistry } from '../../consumers/registry/index.ts'
import { directory } from '../../sinks/directory.ts'
import type { PipelineSpec } from '../../src/topology/node.ts'
import { createTopic, findKafka } from '../parts/kafka.ts'
import { findPython } from '../parts/python.ts'
import { uniqueName } from '../sinks/topic/outbox-kit.ts'
import { Reading } from '../support/reading.ts'
import { SILENT } from '../support/world.ts'

const broker = await findKafka()
const python = await findPython()
const scratch = mkdtempSync(join(tmpdir(), 'millrace-backfill-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const PARTITIONS = 3
const HALF = 3_000

/**
 * Given a topic with corrupt records among others, read by a program with a window of one size,
 * when the broker deletes what was read, and a program with other windows is started with --backfill, stopped in the middle and started again,
 * then deltalake, pyarrow and DuckDB read the same rows that a run over the whole topic had written before.
 */
describe.skipIf(broker.kind === 'missing' || python.kind === 'missing')('a backfill', () => {
  const brokers = broker.kind === 'ready' ? [broker.brokers] : []
  const executable = python.kind === 'ready' ? python.executable : ''

  test('has the history that Kafka has deleted', { timeout: 180_000 }, async () => {
    const name = uniqueName('readings').replaceAll('-', '_')
    const topic = uniqueName('history')
    await createTopic(brokers[0]!, topic, {
      partitions: PARTITIONS,
      config: { 'message.timestamp.type': 'LogAppendTime' },
    })
    const schema = JSON.stringify(Reading.avro)
    writeFileSync(join(scratch, '7-Reading.avsc'), schema)
    const client = new Kafka({ brokers, logLevel: logLevel.NOTHING })
    const [before, after] = [programOf(name, 10), programOf(name, 25)]

    await send(client, topic, schema, 0)
    const lake = join(scratch, 'lake')
    await runUntil(before, lake, topic, HALF)
    await send(client, topic, schema, HALF)
    const expected = join(scratch, 'expected')
    await runUntil(after, expected, topic, 2 * HALF)

    const admin = client.admin()
    await admin.connect()
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({
      partition,
      offset: String(HALF / PARTITIONS),
    }))
    // kafkajs deletes only where it has heard of the topic.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions })
    await admin.disconnect()
    const stopped = await runUntil(after, lake, topic, HALF / 3, { backfill: true })
    expect(stopped).toMatchObject({ incarnation: 2 })
    expect(stopped.records).toBeLessThan(2 * HALF)
    const rest = 2 * HALF - stopped.records
    expect(await runUntil(after, lake, topic, rest, { backfill: true })).toMatchObject({
      incarnation: 2,
      totals: { records: 2 * HALF },
    })
    const [found, wanted] = [await digestOf(executable, lake), await digestOf(executable, expected)]
    expect(found).toEqual(wanted)
    expect(Object.keys(found).sort()).toEqual([
      'bronze/readings',
      'dead_letters',
      'gold/counts',
      'gold/sessions',
      'silver/readings',
    ])
    for (const readers of Object.values(found)) expect(readers['duckdb']![0]).toBeGreaterThan(50)
  })

  function programOf(name: string, sizeMs: number): PipelineSpec {
    const readings = stream('readings', Reading, {
      eventTime: 'at',
      watermark: boundedOutOfOrderness(millis(50), { futureLimit: days(36_500) }),
    })
    const bySensor = readings.keyBy('sensor')
    const counts = bySensor
      .window(tumbling(millis(sizeMs)), { allowedLateness: millis(0), late: 'drop' })
      .aggregate('counts', ({ count, sum }) => ({ rows: count(), total: sum('value') }))
    const sessions = bySensor
      .window(session(millis(sizeMs)), { allowedLateness: millis(0), late: 'drop' })
      .aggregate('sessions', ({ count, max }) => ({ rows: count(), top: max('value') }))
    return pipeline({
      name,
      tables: [
        bronze('readings', readings),
        silver('readings', readings),
        gold('counts', counts),
        gold('sessions', sessions),
      ],
      circuitBreaker: false,
    })
  }

  /** Half of the records, with headers and without keys here and there. One of 40 is no Avro. */
  async function send(client: Kafka, topic: string, schema: string, from: number): Promise<void> {
    const encoder = frameEncoder(schema, 'reading', 7)
    const producer = client.producer()
    await producer.connect()
    const messages = Array.from({ length: HALF }, (_, i) => {
      const n = from + i
      const at = 1_700_000_000_000 + n - ((n * 13) % 61)
      const row = { sensor: n % 9 === 0 ? null : `s${n % 8}`, at, value: n % 11 === 0 ? null : n / 7 }
      return {
        partition: n % PARTITIONS,
        key: n % 4 === 0 ? null : `k${n}`,
        value: n % 40 === 3 ? Buffer.from([0, 0, 0, 0, 7, 9, n % 256]) : Buffer.from(encoder.encode(row)),
        ...(n % 3 === 0 ? { headers: { trace: `t${n}` } } : {}),
      }
    })
    await producer.send({ topic, messages })
    await producer.disconnect()
  }

  /** Runs until so many records are read, and stops. */
  async function runUntil(
    program: PipelineSpec,
    lake: string,
    topic: string,
    records: number,
    options: { readonly backfill?: boolean } = {},
  ) {
    const controller = new AbortController()
    return run(program, {
      source: kafka({
        brokers,
        topic,
        groupId: uniqueName('backfill'),
        registry: directoryRegistry(scratch),
      }),
      lake: directory(lake),
      flush: { every: millis(300), maxRows: 400 },
      signal: controller.signal,
      log: SILENT,
      onProgress: (progress) => {
        if (progress.records >= records) controller.abort()
      },
      ...options,
    })
  }
})

async function digestOf(
  executable: string,
  lake: string,
): Promise<Record<string, Record<string, unknown[]>>> {
  const script = fileURLToPath(new URL('digest_lake.py', import.meta.url))
  const { stdout } = await promisify(execFile)(executable, [script, lake], { maxBuffer: 1e8 })
  return JSON.parse(stdout) as Record<string, Record<string, unknown[]>>
}
