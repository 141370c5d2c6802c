import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import avsc from 'avsc'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RECORDING_SCHEMA } from '../../../consumers/recording/recording-schema.ts'
import type { RawRecord } from '../../../consumers/recording/raw-record.ts'
import { createRecordingWriter } from '../../../consumers/recording/recording-writer.ts'
import { recordingSource } from '../../../consumers/recording/source.ts'
import { PipelineError } from '../../../src/errors.ts'
import {
  avscFileOf,
  avscValueOf,
  readAll,
  record,
  recordingOf,
  temporaryFolder,
} from './sample-recordings.ts'

const bytes = fc.option(fc.uint8Array({ maxLength: 200 }), { nil: null })
// avsc without its BigInt longs is wrong beyond 2^52.
const timeMs = fc.oneof(
  fc.integer({ min: -(2 ** 52), max: 2 ** 52 }),
  fc.integer({ min: 1.6e12, max: 1.7e12 }),
  fc.constant(0),
)
const rawRecord = fc.record({
  timestampMs: timeMs,
  arrivalMs: timeMs,
  key: bytes,
  value: bytes,
  headers: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(fc.record({ key: fc.string(), value: bytes }), { maxLength: 4 }) },
  ),
  gap: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 2 ** 40 })),
})
/** Records of one partition with ascending offsets, sometimes beyond 2^32. */
const rawRecords = fc.array(rawRecord, { maxLength: 60 }).map((drafts) => {
  let offset = -1
  return drafts.map(({ gap, ...fields }): RawRecord => {
    offset += gap
    return { topic: 'trips', partition: 7, offset, ...fields }
  })
})

async function readRecording(path: string, recordsMax?: number) {
  const source = recordingSource({ path })
  const partitions = await source.partitions()
  const [partition] = partitions
  const outcome =
    partition === undefined
      ? { records: [], last: 'end' as const }
      : await readAll(await source.open(partition, null), recordsMax)
  await source.close()
  return { partitions, records: outcome.records.map((one) => ({ ...one, partition: 7 })), last: outcome.last }
}

function blockStarts(whole: Buffer, headerBytes: number): number[] {
  const sync = whole.subarray(whole.length - 16)
  const starts: number[] = []
  for (let at = headerBytes; at < whole.length; at = whole.indexOf(sync, at) + 16) starts.push(at)
  return starts
}

async function decodeWithAvsc(path: string): Promise<unknown[]> {
  const values: unknown[] = []
  const decoder = avsc.createFileDecoder(path)
  await new Promise<void>((resolve, reject) => {
    decoder.on('data', (value: unknown) => values.push(value))
    decoder.on('end', () => resolve())
    decoder.on('error', reject)
  })
  return values.map((value) => structuredClone(JSON.parse(JSON.stringify(value))))
}

describe('a recording and avsc', () => {
  test.each(['null', 'deflate'] as const)('avsc reads what we write, codec %s', async (codec) => {
    await fc.assert(
      fc.asyncProperty(rawRecords, fc.integer({ min: 1, max: 500 }), async (records, blockBytes) => {
        const path = recordingOf(records, { codec, blockBytes })
        const expected = records.map((one) => JSON.parse(JSON.stringify(avscValueOf(one))))
        expect(await decodeWithAvsc(path)).toEqual(expected)
      }),
      { numRuns: 60 },
    )
  })

  test.each(['null', 'deflate'])('we read what avsc writes, codec %s', async (codec) => {
    await fc.assert(
      fc.asyncProperty(rawRecords, fc.integer({ min: 1, max: 500 }), async (records, blockSize) => {
        const path = await avscFileOf(records.map(avscValueOf), { codec, blockSize })
        const found = await readRecording(path)
        expect(found.records).toEqual(records)
        expect(found.last).toBe('end')
      }),
      { numRuns: 60 },
    )
  })

  test('the ends of the ranges', async () => {
    const ends = [
      record(7, 0, { timestampMs: -8.64e15, arrivalMs: 8.64e15 }),
      record(7, Number.MAX_SAFE_INTEGER - 1, { timestampMs: -1, arrivalMs: -(2 ** 52) - 1 }),
    ]
    expect((await readRecording(recordingOf(ends))).records).toEqual(ends)
  })

  test('zstandard round trip, whatever the size of blocks and reads', async () => {
    await fc.assert(
      fc.asyncProperty(
        rawRecords,
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 9 }),
        async (records, blockBytes, recordsMax) => {
          const path = recordingOf(records, { codec: 'zstandard', blockBytes })
          expect((await readRecording(path, recordsMax)).records).toEqual(records)
        },
      ),
      { numRuns: 40 },
    )
  })
})

test('the same records make the same bytes', () => {
  const records = Array.from({ length: 500 }, (_, offset) => record(0, offset))
  expect(readFileSync(recordingOf(records))).toEqual(readFileSync(recordingOf(records)))
})

test('a file that is being written has another name, and an aborted one leaves nothing', () => {
  const path = join(temporaryFolder(), 'recording.avro')
  writeFileSync(path, 'the old file')
  const writer = createRecordingWriter(path)
  writer.append(record(0, 0))
  expect(readFileSync(path, 'utf8')).toBe('the old file')
  writer.abort()
  expect(readFileSync(path, 'utf8')).toBe('the old file')
  expect(() => readFileSync(`${path}.tmp`)).toThrow('ENOENT')
})

test('a recording that cannot be written says so', () => {
  expect(() => createRecordingWriter(join(temporaryFolder(), 'missing', 'recording.avro'))).toThrow(
    expect.objectContaining({ code: 'RECORDING_UNWRITABLE' }),
  )
})

describe('a recording that is cut', () => {
  const records = Array.from({ length: 12 }, (_, offset) => record(7, offset))
  const options = { blockBytes: 80, codec: 'null' } as const

  /** Each cut gives the records of the whole blocks before it, in order, and then RECORDING_CUT. */
  async function expectCuts(path: string, firstBlockAt: number, step: number) {
    const whole = readFileSync(path)
    const cut = join(temporaryFolder(), 'cut.avro')
    let most = 0
    const ends: number[] = []
    for (
      let size = 4;
      size < whole.length;
      size = size < firstBlockAt ? Math.min(size + step, firstBlockAt) : size + 1
    ) {
      writeFileSync(cut, whole.subarray(0, size))
      const outcome = await readRecording(cut).catch((error: unknown) => ({ records: [], last: error }))
      const error = outcome.last
      if (error === 'end') ends.push(size)
      else {
        expect(error, `cut at ${size}`).toBeInstanceOf(PipelineError)
        const { code, message } = error as PipelineError
        expect(code, message).toBe('RECORDING_CUT')
        expect(message).toMatch(/cut at byte \d+ of \d+/)
      }
      expect(outcome.records.map(({ offset }) => offset)).toEqual(
        records.slice(0, outcome.records.length).map(({ offset }) => offset),
      )
      expect(outcome.records.length).toBeGreaterThanOrEqual(most)
      most = outcome.records.length
    }
    expect(most).toBeGreaterThan(7)
    return ends
  }

  test('ours, at every byte', async () => {
    const path = recordingOf(records, options)
    const cut = join(temporaryFolder(), 'boundary.avro')
    // Also between two blocks, where only the metadata tells.
    const whole = readFileSync(path)
    const sync = whole.subarray(whole.length - 16)
    const boundary = whole.lastIndexOf(sync, whole.length - 17) + 16
    writeFileSync(cut, whole.subarray(0, boundary))
    const outcome = await readRecording(cut)
    expect(outcome.last).toMatchObject({
      code: 'RECORDING_CUT',
      message: `${cut}: the recording is cut at byte ${boundary} of ${boundary}: it had ${whole.length} bytes when it was written`,
    })
    expect(outcome.records.length).toBeGreaterThan(7)
    const headerBytes = whole.indexOf(sync) + 16
    expect(await expectCuts(path, headerBytes, 1009)).toEqual([])
  })

  test('those of avsc, at every byte', async () => {
    const path = await avscFileOf(records.map(avscValueOf), { blockSize: 80 })
    const whole = readFileSync(path)
    const headerBytes = whole.indexOf(whole.subarray(whole.length - 16)) + 16
    // Without our metadata nothing tells that there was more behind a whole block.
    expect(await expectCuts(path, headerBytes, 7)).toEqual(blockStarts(whole, headerBytes))
  })

  test('a wrong sync marker is a cut before its block', async () => {
    const path = recordingOf(records, options)
    const whole = readFileSync(path)
    whole[whole.length - 3]! ^= 0xff
    writeFileSync(path, whole)
    const { records: found, last } = await readRecording(path)
    expect(last).toMatchObject({ code: 'RECORDING_CUT', message: expect.stringContaining('sync marker') })
    expect(found.length).toBeGreaterThan(7)
    expect(found).toEqual(records.slice(0, found.length))
  })

  test('any other byte of a block changed: an error or other values, never a hang or a crash', async () => {
    const path = recordingOf(records, options)
    const whole = readFileSync(path)
    const headerBytes = whole.indexOf(whole.subarray(whole.length - 16)) + 16
    const damaged = join(temporaryFolder(), 'damaged.avro')
    for (let at = headerBytes; at < whole.length; at += 1) {
      const copy = Buffer.from(whole)
      copy[at]! ^= 0x81
      writeFileSync(damaged, copy)
      const { last } = await readRecording(damaged)
      if (last !== 'end') {
        expect((last as PipelineError).code).toMatch(/^RECORDING_(CUT|INVALID)$/)
      }
    }
  })
})

async function errorOf(path: string): Promise<PipelineError> {
  const source = recordingSource({ path })
  const error: unknown = await source.partitions().catch((caught: unknown) => caught)
  await source.close()
  expect(error).toBeInstanceOf(PipelineError)
  return error as PipelineError
}

describe('a file that is not a recording', () => {
  test.each([
    ['nothing', '', 'RECORDING_INVALID', 'the file is empty'],
    ['text', '{"a":1}\n', 'RECORDING_INVALID', 'not an Avro object container file'],
    ['three bytes', 'Obj', 'RECORDING_INVALID', 'not an Avro object container file'],
    ['a header without an end', 'Obj\u0001\u0002', 'RECORDING_CUT', 'the file ends within its header'],
  ])('%s', async (_name, content, code, message) => {
    const path = join(temporaryFolder(), 'other.avro')
    writeFileSync(path, content)
    expect(await errorOf(path)).toMatchObject({ code, message: expect.stringContaining(message) })
  })

  test('no file, and a folder', async () => {
    const folder = temporaryFolder()
    expect((await errorOf(join(folder, 'none.avro'))).code).toBe('RECORDING_MISSING')
    expect((await errorOf(folder)).code).toBe('RECORDING_UNREADABLE')
  })

  test('Avro of another schema says what is expected', async () => {
    const schemaJson = JSON.stringify({
      type: 'record',
      name: 'Trip',
      fields: [{ name: 'zone', type: 'int' }],
    })
    const error = await errorOf(await avscFileOf([{ zone: 1 }], { schemaJson }))
    expect(error.code).toBe('RECORDING_INVALID')
    expect(error.message).toContain('field 1 is zone instead of topic')
    expect(error.advice).toContain('topic string, partition int, offset long')
    expect(error.advice).toContain('millrace recording make')
  })

  test.each([
    [
      'a field of another type',
      (fields: Field[]) => (fields[2] = { name: 'offset', type: 'int' }),
      'field offset is int',
    ],
    ['a field too few', (fields: Field[]) => fields.pop(), 'field headers is missing'],
    [
      'a field too many',
      (fields: Field[]) => fields.push({ name: 'x', type: 'int' }),
      'field x is not expected',
    ],
    [
      'a value that is never null',
      (fields: Field[]) => (fields[6] = { name: 'value', type: 'bytes' }),
      'field value is bytes',
    ],
  ])('%s', async (_name, change, message) => {
    const schema = structuredClone(RECORDING_SCHEMA) as unknown as { fields: Field[] }
    change(schema.fields)
    const error = await errorOf(await avscFileOf([], { schemaJson: JSON.stringify(schema) }))
    expect(error.message).toContain(message)
  })

  test('names, docs and logical types may differ', async () => {
    const schema = structuredClone(RECORDING_SCHEMA) as unknown as { name: string; fields: Field[] }
    schema.name = 'Message'
    schema.fields[3] = { name: 'timestamp', type: 'long' }
    schema.fields[4] = { name: 'arrival', type: { type: 'long' } }
    const path = await avscFileOf([avscValueOf(record(7, 3))], { schemaJson: JSON.stringify(schema) })
    expect((await readRecording(path)).records).toEqual([record(7, 3)])
  })

  test('a codec that we do not have', async () => {
    const path = recordingOf([record(0, 0)])
    const whole = readFileSync(path)
    whole.write('snappy!', whole.indexOf('deflate'), 'latin1')
    writeFileSync(path, whole)
    const error = await errorOf(path)
    expect(error.message).toContain('the codec snappy! is not supported')
    expect(error.advice).toContain('null, deflate, zstandard')
  })
})

interface Field {
  name: string
  type: unknown
}
