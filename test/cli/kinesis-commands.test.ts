import type { ChildProcess } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RecordingFile } from '../../consumers/recording/container.ts'
import { frameEncoder } from '../../consumers/recording/make-recording.ts'
import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import { recordingInfo } from '../../consumers/recording/recording-info.ts'
import { createRecordingWriter } from '../../consumers/recording/recording-writer.ts'
import { recordsByBlock } from '../../consumers/recording/scan.ts'
import { KinesisClientApi } from '../../src/kinesis/client.ts'
import { systemClock } from '../../src/runtime/system.ts'
import { aggregateOfTexts } from '../consumers/kinesis/kpl-kit.ts'
import { resharder } from '../kinesis/client-kit.ts'
import { mustBeReady } from '../parts/cache.ts'
import { findKinesisPackages, type Kinesis, KINESIS_CREDENTIALS, startKinesis } from '../parts/kinesis.ts'
import { findGlue, registerInGlue } from '../parts/moto.ts'
import { SILENT } from '../support/world.ts'
import { type CliOptions, folderWith, runCli } from './run-cli.ts'

const packages = mustBeReady(await findKinesisPackages())
const glue = await findGlue()
const AWS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }
const text = (value: string) => new TextEncoder().encode(value)
const hex = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('hex'))

/** Two partitions, with what a stream can hold. */
function sampleRecords(): readonly RawRecord[] {
  return Array.from({ length: 300 }, (_, index): RawRecord => {
    const timestampMs = 1_700_000_000_000 + index * 10
    return {
      topic: 'orders',
      partition: index % 3 === 0 ? 1 : 0,
      offset: index,
      timestampMs,
      arrivalMs: timestampMs,
      key: text(`k${index % 20}`),
      value: index === 6 ? new Uint8Array(0) : text(`value ${index}`),
      headers: [],
    }
  })
}

function projectWith(records: readonly RawRecord[]): string {
  const folder = folderWith({})
  const writer = createRecordingWriter(join(folder, 'orders.avro'))
  for (const record of records) writer.append(record)
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

/** By key, the values in their order. */
function byKey(records: readonly RawRecord[]): Readonly<Record<string, readonly (string | null)[]>> {
  const values: Record<string, (string | null)[]> = {}
  for (const { key, value } of records) (values[hex(key) ?? ''] ??= []).push(hex(value))
  return values
}

describe.skipIf(packages.kind === 'missing')('the commands on a Kinesis stream', () => {
  let kinesis: Kinesis
  let api: KinesisClientApi

  beforeAll(async () => {
    kinesis = await startKinesis()
    const place = { endpoint: kinesis.endpoint, region: 'us-east-1', credentials: KINESIS_CREDENTIALS }
    api = new KinesisClientApi(place, { clock: systemClock, log: SILENT })
  })

  afterAll(async () => {
    api.close()
    await kinesis.stop()
  })

  const run = (args: readonly string[], options: CliOptions = {}) =>
    runCli(args, {
      ...options,
      env: { ...AWS, MILLRACE_KINESIS_ENDPOINT: kinesis.endpoint, ...options.env },
    })

  const newName = () => `orders-${randomUUID()}`

  /** Of a stream whose shards stay. */
  const record = (stream: string, folder: string, ...options: readonly string[]) =>
    run(['record', '--stream', stream, '--out', 'back.avro', '--until-end', ...options], { cwd: folder })

  const produce = (stream: string, folder: string, ...options: readonly string[]) =>
    run(['produce', '--recording', 'orders.avro', '--stream', stream, ...options], { cwd: folder })

  describe('a recording that goes to a stream and comes back', () => {
    it('has the same keys and bytes, in the order of each key', async () => {
      const folder = projectWith(sampleRecords())
      const stream = newName()
      const sent = await produce(stream, folder, '--create-stream', '--shards', '3')
      expect(sent.code, sent.err).toBe(0)
      expect(sent.err).toMatch(/^(! \d+ records? came behind others .* --aggregate keeps .*\n)?$/)
      expect(sent.out).toContain(
        `made the stream ${stream} with 3 shards\n300 records of orders.avro to the stream`,
      )
      const back = await record(stream, folder)
      expect(back, back.err).toMatchObject({
        code: 0,
        out: expect.stringContaining('300 records in 3 partitions') as string,
      })
      const records = await readRecording(join(folder, 'back.avro'))
      expect(byKey(records)).toEqual(byKey(sampleRecords()))
      const arrivals = records.map(({ arrivalMs }) => arrivalMs)
      expect(arrivals).toEqual([...arrivals].sort((a, b) => a - b))
      expect(records[0]!.headers.map(({ key }) => key)).toEqual(['kinesis.sequence_number'])
    })

    it('may keep its partitions, and loses what a stream cannot hold, which is said', async () => {
      const odd: readonly Partial<RawRecord>[] = [
        { headers: [{ key: 'trace', value: text('1') }] },
        { key: null },
        { value: null },
        { key: Uint8Array.of(0xff, 0xfe) },
      ]
      const folder = projectWith(sampleRecords().map((sample, index) => ({ ...sample, ...odd[index] })))
      const stream = newName()
      const sent = await produce(stream, folder, '--create-stream', '--partitions', 'keep')
      expect(sent.code, sent.err).toBe(0)
      expect(sent.out).toContain('with 2 shards')
      expect(sent.err.split('\n').filter((line) => !line.includes('came behind others'))).toEqual([
        '! 1 record had headers, which Kinesis has no place for.',
        '! 1 record had no key: each got one of its own.',
        '! 1 tombstone became records of no bytes.',
        '! 1 record had a key that is no text: it is in base64.',
        '',
      ])
      expect((await record(stream, folder)).code).toBe(0)
      const records = await readRecording(join(folder, 'back.avro'))
      const partitionsOf = (all: readonly RawRecord[]) =>
        new Map(all.map(({ value, partition }) => [hex(value) ?? '', partition]))
      expect(partitionsOf(records)).toEqual(
        partitionsOf(sampleRecords().map((sample, index) => ({ ...sample, ...odd[index] }))),
      )
      expect(records.map(({ key }) => new TextDecoder().decode(key ?? undefined))).toContain('//4=')
    })

    it.each([
      ['keep', ['--partitions', 'keep']],
      ['hash', []],
    ])('may be aggregated: few records, and each shard in its whole order (%s)', async (how, options) => {
      const folder = projectWith(sampleRecords())
      const stream = newName()
      const sent = await produce(stream, folder, '--create-stream', '--aggregate', ...options)
      expect(sent, sent.err).toMatchObject({ code: 0, err: '' })
      const entries = Number(/they are in (\d+) records? of the stream/.exec(sent.out)?.[1])
      expect(entries).toBeLessThan(60)
      expect((await record(stream, folder)).code).toBe(0)
      const records = await readRecording(join(folder, 'back.avro'))
      expect(records).toHaveLength(300)
      if (how === 'hash') expect(byKey(records)).toEqual(byKey(sampleRecords()))
      for (const partition of [0, 1]) {
        const numbers = records
          .filter((each) => each.partition === partition && each.value !== null && each.value.length > 0)
          .map(({ value }) => Number(new TextDecoder().decode(value ?? undefined).split(' ')[1]))
        expect(numbers.length).toBeGreaterThan(0)
        expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
        if (how === 'keep') expect(numbers.every((n) => (n % 3 === 0 ? 1 : 0) === partition)).toBe(true)
      }
    })

    it('has aggregates taken apart, and each shard after those that it was made of', async () => {
      const stream = newName()
      const folder = folderWith({})
      await api.createStream(stream, 1)
      const put = (texts: readonly string[]) =>
        api.putRecords(stream, [{ partitionKey: 'key', data: aggregateOfTexts(texts) }])
      await put(['0', '1', '2'])
      const shards = resharder(kinesis.endpoint, 'us-east-1')
      await shards.split(stream, 'shardId-000000000000')
      shards.close()
      await put(['3', '4'])
      const back = await record(stream, folder)
      expect(back, back.err).toMatchObject({
        code: 0,
        out: expect.stringContaining('5 records in 2 partitions') as string,
      })
      const records = await readRecording(join(folder, 'back.avro'))
      expect(records.map(({ value }) => new TextDecoder().decode(value ?? undefined))).toEqual(
        '01234'.split(''),
      )
      const partitions = records.map(({ partition }) => partition)
      expect(partitions.slice(0, 3)).toEqual([0, 0, 0])
      expect(partitions[3]).toBeGreaterThan(0)
      expect(records[1]!.headers.map(({ key }) => key)).toContain('kinesis.sub_sequence_number')
    })

    it('can be begun at a time, and ended after so many', async () => {
      const folder = projectWith(sampleRecords())
      const stream = newName()
      expect((await produce(stream, folder, '--create-stream', '--shards', '1')).code).toBe(0)
      const some = await record(stream, folder, '--max-records', '7')
      expect(some.out).toContain('7 records in 1 partition')
      const none = await record(stream, folder, '--from', 'latest', '--overwrite')
      expect(none, none.err).toMatchObject({ code: 0, out: expect.stringContaining('0 records') as string })
      const recent = new Date(Date.now() - 3_600_000).toISOString()
      const all = await record(stream, folder, '--from', recent, '--overwrite')
      expect(all.out).toContain('300 records')
    })
  })

  describe('Ctrl-C', () => {
    it('ends record with a whole file, and produce when what was sent is stored', async () => {
      // Large ones, so that the first block of the file is soon full.
      const folder = projectWith(sampleRecords().map((sample) => ({ ...sample, value: randomBytes(20_000) })))
      const stream = newName()
      await api.createStream(stream, 2)
      let recorder: ChildProcess | undefined
      let producer: ChildProcess | undefined
      const recording = run(['record', '--stream', stream, '--out', 'live.avro'], {
        cwd: folder,
        started: (child) => (recorder = child),
      })
      while (!existsSync(join(folder, 'live.avro.tmp'))) await sleep(50)
      const sending = run(
        ['produce', '--recording', 'orders.avro', '--stream', stream, '--rate', '100', '--loop'],
        { cwd: folder, started: (child) => (producer = child) },
      )
      // Once something has been written, after a while.
      while (statSync(join(folder, 'live.avro.tmp')).size < 20_000 && recorder!.exitCode === null)
        await sleep(50)
      producer!.kill('SIGINT')
      const sent = await sending
      expect(sent.code, sent.err).toBe(130)
      expect(sent.out).toMatch(/^[\d,]+ records of orders\.avro/)
      recorder!.kill('SIGTERM')
      const recorded = await recording
      expect(recorded.code, recorded.err).toBe(143)
      const info = await recordingInfo(join(folder, 'live.avro'))
      expect(info.problem).toBeNull()
      expect(recorded.out).toContain(`live.avro: ${info.records.toLocaleString('en-US')} record`)
      expect(existsSync(join(folder, 'live.avro.tmp'))).toBe(false)
    })
  })

  it.skipIf(glue.kind === 'missing')('schemas come from the AWS Glue Schema Registry, too', async () => {
    if (glue.kind === 'missing') return
    const schema = JSON.stringify({
      type: 'record',
      name: 'ShopOrder',
      fields: [{ name: 'orderId', type: 'string' }],
    })
    const stream = newName()
    const folder = folderWith({})
    const [uuid] = await registerInGlue({ ...glue, region: 'us-east-1' }, stream, [schema])
    const frame = Buffer.from(`0300${uuid!.replaceAll('-', '')}`, 'hex')
    await api.createStream(stream, 1)
    const body = frameEncoder(schema, 'order', 1).encode({ orderId: 'A-1' }).subarray(5)
    await api.putRecords(stream, [{ partitionKey: 'k', data: Buffer.concat([frame, body]) }])
    const place = ['--glue-registry', glue.endpoint]
    const back = await record(stream, folder, ...place)
    expect(back, back.err).toMatchObject({
      code: 0,
      out: expect.stringContaining(`schema version ${uuid}: ${uuid}-shop-order.avsc`) as string,
    })
    const head = await run(['recording', 'head', 'back.avro'], { cwd: folder })
    expect(head.out).toContain('"orderId": "A-1"')
    const orders = new URL('../../examples/starter/', import.meta.url).pathname
    const checked = await run(['check', 'orders.ts', '--stream', stream, ...place], { cwd: orders })
    // It has one field of those that the program wants.
    expect(checked).toMatchObject({ code: 2 })
    expect(checked.out).toMatch(new RegExp(`!!  schema version ${uuid}: .*incompatible-schema.*: 1 record`))
  })

  it('check looks at what the records of a stream name', async () => {
    const orders = new URL('../../examples/starter/', import.meta.url).pathname
    const stream = newName()
    const file = `${orders}recordings/orders.avro`
    const sent = await run(['produce', '--recording', file, '--stream', stream, '--create-stream'])
    expect(sent.code, sent.err).toBe(0)
    const registry = ['--registry', `${orders}recordings/registry`]
    const check = ['check', 'orders.ts', '--stream', stream]
    const good = await run([...check, ...registry], { cwd: orders })
    expect(good.out).toContain(`ok  stream ${stream}: 163 records looked at\nok  schema 1 can be read: `)
    expect(good.code).toBe(0)
    await api.putRecords(stream, [{ partitionKey: 'k', data: text('{"no": "frame"}') }])
    const bad = await run([...check, ...registry], { cwd: orders })
    expect(bad).toMatchObject({ code: 2, out: expect.stringContaining('!!  1 record in no frame') as string })
    expect(await run(check, { cwd: orders })).toMatchObject({
      code: 2,
      err: expect.stringContaining('no registry is named') as string,
    })
  })

  it('what cannot be is said: no such stream, nobody there, no credentials, records that are too large', async () => {
    const large = { ...sampleRecords()[0]!, value: new Uint8Array(1_100_000) }
    const folder = projectWith([large])
    const stream = newName()
    const missing = await record(stream, folder)
    expect(missing).toMatchObject({
      code: 1,
      err: expect.stringContaining('error STREAM_NOT_FOUND') as string,
    })
    const absent = await produce(stream, folder)
    expect(absent).toMatchObject({
      code: 1,
      err: expect.stringMatching(/error STREAM_NOT_FOUND[^]*--create-stream/) as string,
    })
    const nobody = await record(stream, folder, '--endpoint', 'http://127.0.0.1:1')
    expect(nobody).toMatchObject({
      code: 1,
      err: expect.stringContaining('error KINESIS_UNAVAILABLE') as string,
    })
    const env = {
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
      AWS_EC2_METADATA_DISABLED: 'true',
      HOME: folder,
    }
    const nameless = await run(['record', '--stream', stream, '--out', 'x.avro'], { cwd: folder, env })
    expect(nameless).toMatchObject({
      code: 1,
      err: expect.stringContaining('error KINESIS_CREDENTIALS') as string,
    })
    const nowhere = await run(['record', '--stream', stream, '--out', 'x.avro'], {
      cwd: folder,
      env: { MILLRACE_KINESIS_ENDPOINT: '', HOME: folder },
    })
    expect(nowhere).toMatchObject({ code: 1, err: expect.stringContaining('error REGION_MISSING') as string })
    await api.createStream(stream, 1)
    const tooLarge = await produce(stream, folder)
    expect(tooLarge).toMatchObject({
      code: 1,
      err: expect.stringContaining('error RECORD_TOO_LARGE: record orders/1/0 has 1,100,002 bytes') as string,
    })
    expect(existsSync(join(folder, 'back.avro')) || existsSync(join(folder, 'back.avro.tmp'))).toBe(false)
  })
})

describe('what is asked for wrongly', () => {
  it.each([
    [['produce', '--recording', 'x.avro'], 'neither a topic nor a stream is named'],
    [
      ['produce', '--recording', 'x.avro', '--topic', 'a', '--stream', 'b'],
      'both --topic and --stream are given',
    ],
    [['record', '--out', 'x.avro', '--stream', 'b', '--brokers', 'c'], '--brokers does not go with --stream'],
    [['record', '--out', 'x.avro', '--topic', 'b', '--region', 'c'], '--region does not go with --topic'],
    [
      ['produce', '--recording', 'x.avro', '--stream', 'b', '--timestamps', 'now'],
      '--timestamps does not go',
    ],
    [['produce', '--recording', 'x.avro', '--stream', 'b', '--shards', '2'], '--shards is given without'],
    [['record', '--out', 'x.avro', '--stream', 'arn:aws:kinesis:x'], 'is no name of a stream'],
    [['record', '--out', 'x.avro', '--stream', 'b', '--endpoint', 'localhost'], 'which is no URL'],
    [
      ['record', '--out', 'x.avro', '--stream', 'b', '--glue-registry', 'Ireland'],
      'is neither a region nor a URL',
    ],
    [['check', 'x.ts', '--glue'], '--glue is given without --stream'],
  ])('%j', async (args, message) => {
    const result = await runCli(args, { cwd: folderWith({}) })
    expect(result).toMatchObject({ code: 2, err: expect.stringContaining(message) as string })
    expect(result.err).toMatch(/^error USAGE: /)
  })
})
