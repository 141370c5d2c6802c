import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RecordingFile } from '../../consumers/recording/container.ts'
import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import { recordingInfo } from '../../consumers/recording/recording-info.ts'
import { createRecordingWriter } from '../../consumers/recording/recording-writer.ts'
import { recordsByBlock } from '../../consumers/recording/scan.ts'
import { KinesisClientApi } from '../../src/kinesis/client.ts'
import { systemClock } from '../../src/runtime/system.ts'
import { findKinesisPackages, type Kinesis, startKinesis } from '../parts/kinesis.ts'
import { SILENT } from '../support/world.ts'
import { type CliOptions, folderWith, runCli } from './run-cli.ts'

const packages = await findKinesisPackages()
const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }
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
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
    const world = { clock: systemClock, log: SILENT }
    api = new KinesisClientApi({ endpoint: kinesis.endpoint, region: 'eu-west-1', credentials }, world)
  })

  afterAll(async () => {
    api.close()
    await kinesis.stop()
  })

  const run = (args: readonly string[], options: CliOptions = {}) =>
    runCli(args, {
      ...options,
      env: { ...CREDENTIALS, MILLRACE_KINESIS_ENDPOINT: kinesis.endpoint, ...options.env },
    })

  const newName = () => `orders-${randomUUID()}`

  it('a recording that goes to a stream and comes back has the same keys and bytes, in the order of each key', async () => {
    const folder = projectWith(sampleRecords())
    const stream = newName()
    const sent = await run(
      ['produce', '--recording', 'orders.avro', '--stream', stream, '--create-stream', '--shards', '3'],
      { cwd: folder },
    )
    expect(sent).toMatchObject({ code: 0, err: '' })
    expect(sent.out).toContain(
      `made the stream ${stream} with 3 shards\n300 records of orders.avro to the stream`,
    )
    const back = await run(['record', '--stream', stream, '--out', 'back.avro', '--until-end'], {
      cwd: folder,
    })
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
})
