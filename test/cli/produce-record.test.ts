import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { RecordingFile } from '../../consumers/recording/container.ts'
import { frameEncoder } from '../../consumers/recording/make-recording.ts'
import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import { recordingInfo } from '../../consumers/recording/recording-info.ts'
import { createRecordingWriter } from '../../consumers/recording/recording-writer.ts'
import { recordsByBlock } from '../../consumers/recording/scan.ts'
import { confluentRegistry } from '../../consumers/registry/index.ts'
import { readTopic } from '../kafka/read-topic.ts'
import { createTopic, findKafka } from '../parts/kafka.ts'
import { findRegistry } from '../parts/registry.ts'
import { folderWith, runCli } from './run-cli.ts'

const kafka = await findKafka()
const found = await findRegistry()
const isMissing = kafka.kind === 'missing' || found.kind === 'missing'
const brokers = kafka.kind === 'ready' ? kafka.brokers : ''
const url = found.kind === 'ready' ? found.url : ''

const ORDER = JSON.stringify({
  type: 'record',
  name: 'Order',
  namespace: 'shop',
  fields: [{ name: 'id', type: 'long' }],
})
const text = (value: string) => new TextEncoder().encode(value)
const now = Date.now()

/** Two partitions, with everything that a record may have and lack. */
function sampleRecords(schemaId: number): readonly RawRecord[] {
  const order = frameEncoder(ORDER, 'order', schemaId)
  const base = { topic: 'orders', key: null, headers: [] }
  return Array.from({ length: 300 }, (_, index): RawRecord => {
    const timestampMs = now - 60_000 + index * 10
    const at = { partition: index % 3 === 0 ? 1 : 0, offset: index, timestampMs, arrivalMs: timestampMs }
    if (index === 5) return { ...base, ...at, key: text('gone'), value: null }
    if (index === 6) return { ...base, ...at, value: new Uint8Array(0) }
    if (index === 7) return { ...base, ...at, key: new Uint8Array(0), value: Uint8Array.of(0xff, 0, 1) }
    const headers = [
      { key: 'b', value: text('2') },
      { key: '1', value: null },
      { key: 'b', value: new Uint8Array(0) },
    ]
    return {
      ...base,
      ...at,
      key: text(`k${index}`),
      value: order.encode({ id: index }),
      ...(index % 5 === 0 ? { headers } : {}),
    }
  })
}

function projectWith(schemaId: number): string {
  const folder = folderWith({ [`registry/${schemaId}-order.avsc`]: ORDER })
  const writer = createRecordingWriter(join(folder, 'orders.avro'))
  for (const record of sampleRecords(schemaId)) writer.append(record)
  writer.close()
  return folder
}

async function readRecording(path: string): Promise<readonly RawRecord[]> {
  const file = await RecordingFile.open(path)
  const records: RawRecord[] = []
  for await (const block of recordsByBlock(file)) records.push(...block)
  await file.close()
  return records
}

/** What a broker keeps of a record; offsets are its own. */
const kept = (records: readonly RawRecord[]) =>
  [...records]
    .sort((a, b) => a.partition - b.partition || a.offset - b.offset)
    .map(({ partition, key, value, headers, timestampMs, arrivalMs }) => ({
      partition,
      key: key === null ? null : Buffer.from(key).toString('hex'),
      value: value === null ? null : Buffer.from(value).toString('hex'),
      headers: headers.map((header) => [
        header.key,
        header.value === null ? null : Buffer.from(header.value).toString('hex'),
      ]),
      timestampMs,
      arrivalMs,
    }))

async function newTopic(partitions = 2): Promise<string> {
  const topic = `orders-${randomUUID()}`
  await createTopic(brokers, topic, { partitions })
  return topic
}

describe.skipIf(isMissing)('a recording that goes to a topic and comes back', () => {
  it('has the same bytes, in the order in which they arrived', async () => {
    const folder = projectWith(7)
    const topic = await newTopic()
    const sent = await runCli(
      ['produce', '--recording', 'orders.avro', '--topic', topic, '--brokers', brokers],
      { cwd: folder },
    )
    expect(sent).toMatchObject({
      code: 0,
      out: expect.stringContaining('300 records of orders.avro') as string,
    })
    const back = await runCli(
      ['record', '--topic', topic, '--out', 'back.avro', '--until-end', '--brokers', brokers],
      { cwd: folder },
    )
    expect(back).toMatchObject({
      code: 0,
      out: expect.stringContaining('300 records in 2 partitions') as string,
    })
    const records = await readRecording(join(folder, 'back.avro'))
    expect(kept(records)).toEqual(kept(sampleRecords(7)))
    const arrivals = records.map(({ arrivalMs }) => arrivalMs)
    expect(arrivals).toEqual([...arrivals].sort((a, b) => a - b))
  })

  it('may find its topic missing, and has it made', async () => {
    const folder = projectWith(7)
    const topic = `orders-${randomUUID()}`
    const args = ['--recording', 'orders.avro', '--topic', topic, '--brokers', brokers, '--create-topic']
    const first = await runCli(['produce', ...args], { cwd: folder })
    expect(first).toMatchObject({ code: 0, err: '' })
    expect(first.out).toContain(`made the topic ${topic} with 2 partitions and retention.ms=-1`)
    const second = await runCli(['produce', ...args], { cwd: folder })
    expect(second.code).toBe(0)
    expect(second.out).not.toContain('made the topic')
    expect(await readTopic(brokers, topic)).toHaveLength(600)
  })

  it('has the schema ids of the registry, whose schemas lie beside what is recorded', async () => {
    const folder = projectWith(700)
    mkdirSync(join(folder, 'back'))
    const topic = await newTopic()
    const place = ['--topic', topic, '--brokers', brokers, '--registry', url]
    const sent = await runCli(['produce', '--recording', 'orders.avro', ...place], { cwd: folder })
    const id = await confluentRegistry({ url }).register(`${topic}-value`, ORDER)
    expect(sent).toMatchObject({ code: 0, out: expect.stringContaining(`700 → ${id}`) as string })
    const back = await runCli(['record', '--out', 'back/back.avro', '--until-end', ...place], { cwd: folder })
    expect(back).toMatchObject({
      code: 0,
      out: expect.stringContaining(`schema ${id}: ${id}-order.avsc`) as string,
    })
    expect(kept(await readRecording(join(folder, 'back/back.avro')))).toEqual(kept(sampleRecords(id)))
    const written = readFileSync(join(folder, `back/registry/${id}-order.avsc`), 'utf8')
    expect(JSON.parse(written)).toEqual(JSON.parse(ORDER))
  })

  it('may be spread by its keys, at a pace, with the time of sending', async () => {
    const folder = projectWith(7)
    const topic = await newTopic(3)
    const startMs = Date.now()
    const sent = await runCli(
      [
        'produce',
        '--recording',
        'orders.avro',
        '--topic',
        topic,
        '--brokers',
        brokers,
        '--partitions',
        'hash',
        '--timestamps',
        'now',
        '--rate',
        '600',
      ],
      { cwd: folder },
    )
    expect(sent.code).toBe(0)
    const records = await readTopic(brokers, topic)
    expect(new Set(records.map(({ partition }) => partition))).toEqual(new Set([0, 1, 2]))
    const times = records.map(({ timestampMs }) => timestampMs)
    expect(Math.min(...times)).toBeGreaterThanOrEqual(startMs)
    // 300 records at 600 a second, less what a slow machine makes up for.
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(300)
  })
})

describe.skipIf(isMissing)('Ctrl-C', () => {
  it('ends produce when what was sent is acknowledged, and counts it', async () => {
    const folder = projectWith(7)
    const topic = await newTopic()
    let child: ChildProcess | undefined
    const sending = runCli(
      [
        'produce',
        '--recording',
        'orders.avro',
        '--topic',
        topic,
        '--brokers',
        brokers,
        '--rate',
        '2000',
        '--loop',
      ],
      { cwd: folder, started: (started) => (child = started) },
    )
    // Beyond the end of the recording: it has begun again.
    while ((await readTopic(brokers, topic)).length < 400) await sleep(50)
    child!.kill('SIGINT')
    const { code, out } = await sending
    expect(code).toBe(130)
    const sent = Number(/^([\d,]+) records of/m.exec(out)![1]!.replaceAll(',', ''))
    expect((await readTopic(brokers, topic)).length).toBe(sent)
  })

  it('ends record with a whole file', async () => {
    const folder = projectWith(7)
    const topic = await newTopic()
    await runCli(['produce', '--recording', 'orders.avro', '--topic', topic, '--brokers', brokers], {
      cwd: folder,
    })
    let child: ChildProcess | undefined
    const recording = runCli(['record', '--topic', topic, '--out', 'live.avro', '--brokers', brokers], {
      cwd: folder,
      started: (started) => (child = started),
    })
    while (!existsSync(join(folder, 'live.avro.tmp'))) await sleep(50)
    child!.kill('SIGTERM')
    const { code, out } = await recording
    expect(code).toBe(143)
    const info = await recordingInfo(join(folder, 'live.avro'))
    expect(info.problem).toBeNull()
    expect(out).toContain(`live.avro: ${info.records} record`)
    expect(existsSync(join(folder, 'live.avro.tmp'))).toBe(false)
  })
})

describe.skipIf(isMissing)('what cannot be', () => {
  it('is said: partitions that the topic lacks, a topic that is not there, a file that is', async () => {
    const folder = projectWith(7)
    const topic = await newTopic(1)
    const produce = ['produce', '--recording', 'orders.avro', '--brokers', brokers, '--topic']
    expect(await runCli([...produce, topic], { cwd: folder })).toMatchObject({
      code: 2,
      err: expect.stringContaining('orders.avro has a partition 1, and') as string,
    })
    expect(await runCli([...produce, `none-${topic}`], { cwd: folder })).toMatchObject({
      code: 1,
      err: expect.stringMatching(/error TOPIC_NOT_FOUND[^]*--create-topic/) as string,
    })
    expect(
      await runCli(['record', '--topic', topic, '--out', 'orders.avro', '--brokers', brokers], {
        cwd: folder,
      }),
    ).toMatchObject({ code: 2, err: expect.stringContaining('--overwrite') as string })
    expect(
      await runCli(['record', '--topic', `none-${topic}`, '--out', 'x.avro', '--brokers', brokers], {
        cwd: folder,
      }),
    ).toMatchObject({ code: 1, err: expect.stringContaining('error TOPIC_NOT_FOUND') as string })
    expect(existsSync(join(folder, 'x.avro')) || existsSync(join(folder, 'x.avro.tmp'))).toBe(false)
  })
})
