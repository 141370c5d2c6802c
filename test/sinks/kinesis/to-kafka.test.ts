import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import avsc from 'avsc'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { frameEncoder } from '../../../consumers/recording/make-recording.ts'
import { writableDirectoryRegistry } from '../../../consumers/registry/index.ts'
import { readTable } from '../../../sinks/delta/read-table.ts'
import { directory } from '../../../sinks/directory.ts'
import type { PutEntry } from '../../../src/kinesis/api.ts'
import type { KinesisClientApi } from '../../../src/kinesis/client.ts'
import { pause } from '../../integration/loop-workers.ts'
import { clientOf, freshStream } from '../../kinesis/client-kit.ts'
import { createTopic, findKafka } from '../../parts/kafka.ts'
import { findKinesis } from '../../parts/kinesis.ts'
import { Reading } from '../../support/reading.ts'
import { readCommitted, uniqueName } from '../topic/outbox-kit.ts'

const SENSORS = 5
const WINDOW_MS = 20
const RECORDS = 900
const LIVES = 5
const PUT_RECORDS = 20
const WAIT_MS_MAX = 60_000
const isBroken = (n: number): boolean => n % 10 === 3
const broken = Array.from({ length: RECORDS }, (_, n) => n).filter(isBroken)

const scratch = mkdtempSync(join(tmpdir(), 'millrace-to-kafka-'))
const schemas = join(scratch, 'schemas')
const lakeFolder = join(scratch, 'lake')
const workers: Worker[] = []
let missing: string | null = null
let brokers = ''
let endpoint = ''
let api: KinesisClientApi

beforeAll(async () => {
  const [kafka, kinesis] = [await findKafka(), await findKinesis()]
  if (kafka.kind === 'missing') missing = kafka.reason
  else brokers = kafka.brokers
  if (kinesis.kind === 'missing') missing = kinesis.reason
  else endpoint = kinesis.endpoint
  if (missing !== null) return
  api = clientOf(endpoint).api
}, 300_000)

afterAll(() => {
  for (const { child } of workers) child.kill('SIGKILL')
  api?.close()
  rmSync(scratch, { recursive: true, force: true })
})

/**
 * Given readings in two shards, every tenth of them broken, when the process that reads them is killed again and again, then each result and each dead letter is in
 * its Kafka topic once: the marker travels in the transaction, wherever the input comes from.
 */
test('a stream becomes results and dead letters in Kafka, each once', { timeout: 240_000 }, async ({
  skip,
}) => {
  if (missing !== null) {
    skip(missing)
    return
  }
  const [results, dead] = [uniqueName('counts'), uniqueName('dead')]
  for (const name of [results, dead]) await createTopic(brokers, name, { partitions: 2 })
  const stream = await freshStream(api, 2)
  const env = {
    KINESIS: endpoint,
    STREAM: stream,
    BROKERS: brokers,
    SCHEMAS: schemas,
    LAKE: lakeFolder,
    RESULTS: results,
    DEAD: dead,
  }
  const writer = await writerTo(stream)
  for (let life = 0; life < LIVES - 1; life++) {
    const before = await chainRecords()
    const worker = startWorker(env, life)
    const feeding = writer.part(life)
    // Claims of three tasks, and some work.
    const isAtWork = async (): Promise<boolean> => (await chainRecords()) >= before + 4 + (life % 2)
    await Promise.all([
      until('records of a new life', worker, isAtWork).then(() => worker.child.kill('SIGKILL')),
      feeding,
    ])
    await worker.ended
  }
  const last = startWorker(env, LIVES - 1)
  await writer.part(LIVES - 1)
  await writer.close()
  const readable = RECORDS - broken.length + 2
  await until('all rows', last, async () => (await rowsOf('bronze/readings')) >= readable)
  await until('all results', last, async () => (await rowsOf('gold/counts')) >= expectedResults().length)
  last.child.kill('SIGTERM')
  expect(await last.ended, readFileSync(last.log, 'utf8')).toBe(0)

  const letters = await readCommitted(brokers, dead)
  expect(letters.map(({ value }) => `${value}`).toSorted()).toEqual(
    broken.map((n) => `broken ${n}`).toSorted(),
  )
  const [letter] = letters
  expect(letter!.headers).toMatchObject({ 'millrace.source.topic': stream, 'millrace.reason': 'undecodable' })
  expect(letter!.headers['kinesis.sequence_number']).toMatch(/^\d{50,}$/)
  expect(letter!.key).toBe(letter!.value!.replace(' ', '-'))

  const registry = writableDirectoryRegistry(schemas)
  const sent = await Promise.all(
    (await readCommitted(brokers, results)).map(async ({ rawValue }) => {
      const schema = (await registry.schemaById(rawValue!.readInt32BE(1)))!
      const row = avsc.Type.forSchema(JSON.parse(schema) as avsc.Schema).fromBuffer(
        rawValue!.subarray(5),
      ) as Row
      return `${row.sensor} ${row.window_start} ${row.rows} ${row.total}`
    }),
  )
  expect(sent.toSorted()).toEqual(expectedResults().toSorted())
})

interface Row {
  readonly sensor: string
  readonly window_start: number
  readonly rows: number
  readonly total: number
}

interface Worker {
  readonly child: ChildProcess
  /** Resolves with its code when it has ended. */
  readonly ended: Promise<number | null>
  readonly log: string
}

function startWorker(env: Readonly<Record<string, string>>, number: number): Worker {
  const log = join(scratch, `worker-${number}.log`)
  const out = openSync(log, 'w')
  const script = fileURLToPath(new URL('./to-kafka-worker.ts', import.meta.url))
  const child = spawn(process.execPath, [script], {
    stdio: ['ignore', out, out],
    env: { ...process.env, ...env },
  })
  closeSync(out)
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const worker = { child, ended, log }
  workers.push(worker)
  return worker
}

/** Until it is so; the process had better not end, nor take for ever. */
async function until(what: string, { child, log }: Worker, isSo: () => Promise<boolean>): Promise<void> {
  const limit = performance.now() + WAIT_MS_MAX
  while (!(await isSo())) {
    const isOver = child.exitCode !== null || performance.now() > limit
    if (isOver)
      throw new Error(`waited in vain for ${what}
${readFileSync(log, 'utf8').slice(-10_000)}`)
    await pause(20)
  }
}

/** Of all tasks. */
async function chainRecords(): Promise<number> {
  const names = await readdir(join(lakeFolder, '_millrace'), { recursive: true }).catch(() => [])
  return names.filter((name) => /\/\d{12}\.json$/.test(name)).length
}

async function rowsOf(path: string): Promise<number> {
  const table = await readTable(directory(lakeFolder).store, path)
  return [...(table?.files.values() ?? [])].reduce((sum, { rows }) => sum + rows, 0)
}

/** Puts the records in their order, a part for each life, and at last one into each shard that closes all windows. */
async function writerTo(
  stream: string,
): Promise<{ part(life: number): Promise<void>; close(): Promise<void> }> {
  const schemaText = JSON.stringify(Reading.avro)
  const schemaId = await writableDirectoryRegistry(schemas).register('readings-value', schemaText)
  const encoder = frameEncoder(schemaText, 'readings', schemaId)
  const put = async (entries: readonly PutEntry[]): Promise<void> => {
    const outcomes = await api.putRecords(stream, entries)
    expect(outcomes.map(({ kind }) => kind)).not.toContain('refused')
  }
  const entryOf = (n: number): PutEntry => {
    if (isBroken(n)) return { partitionKey: `broken-${n}`, data: Buffer.from(`broken ${n}`) }
    const sensor = `s${n % SENSORS}`
    return { partitionKey: sensor, data: encoder.encode({ sensor, at: n, value: n }) }
  }
  const inPart = RECORDS / LIVES
  return {
    async part(life) {
      for (let from = life * inPart; from < (life + 1) * inPart; from += PUT_RECORDS) {
        await put(Array.from({ length: PUT_RECORDS }, (_, index) => entryOf(from + index)))
        await pause(200)
      }
    },
    async close() {
      const data = encoder.encode({ sensor: 'end', at: 1_000_000, value: 0 })
      const ends = ['0', `${2n ** 128n - 1n}`]
      await put(ends.map((explicitHashKey) => ({ partitionKey: 'end', data, explicitHashKey })))
    },
  }
}

function expectedResults(): readonly string[] {
  const totals = new Map<string, { rows: number; total: number }>()
  for (let n = 0; n < RECORDS; n++) {
    if (isBroken(n)) continue
    const key = `s${n % SENSORS} ${n - (n % WINDOW_MS)}`
    const { rows, total } = totals.get(key) ?? { rows: 0, total: 0 }
    totals.set(key, { rows: rows + 1, total: total + n })
  }
  return [...totals].map(([key, { rows, total }]) => `${key} ${rows} ${total}`)
}
