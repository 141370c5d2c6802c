import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { recordingHead } from '../../../consumers/recording/recording-head.ts'
import { recordingInfo } from '../../../consumers/recording/recording-info.ts'
import { directoryRegistry } from '../../../consumers/registry/directory.ts'
import { avscFileOf, avscValueOf, record, recordingOf, temporaryFolder } from './sample-recordings.ts'

function framed(id: number): Uint8Array {
  return Uint8Array.of(0, 0, 0, id >> 8, id & 255, 9)
}

const UUID = '0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b'

function inGlueFrame(body: Uint8Array, compression: number, uuid = UUID): Uint8Array {
  return Uint8Array.of(3, compression, ...Buffer.from(uuid.replaceAll('-', ''), 'hex'), ...body)
}

describe('what a recording holds', () => {
  const records = [
    record(1, 0, { arrivalMs: 50, value: framed(7) }),
    record(0, 3, { arrivalMs: 20, value: framed(300) }),
    record(1, 4, { arrivalMs: 40, value: null }),
  ]
  const summary = {
    records: 3,
    schemaIds: [7, 300],
    partitions: [
      {
        topic: 'trips',
        partition: 0,
        records: 1,
        firstOffset: 3,
        nextOffset: 4,
        firstArrivalMs: 20,
        lastArrivalMs: 20,
      },
      {
        topic: 'trips',
        partition: 1,
        records: 2,
        firstOffset: 0,
        nextOffset: 5,
        firstArrivalMs: 40,
        lastArrivalMs: 50,
      },
    ],
    problem: null,
  }

  test('is in its metadata, or counted', async () => {
    expect(await recordingInfo(recordingOf(records))).toMatchObject({ ...summary, codec: 'deflate' })
    expect(await recordingInfo(await avscFileOf(records.map(avscValueOf)))).toMatchObject({
      ...summary,
      codec: 'null',
    })
  })

  test('of one that is cut is what can be read, and where it is cut', async () => {
    const path = recordingOf(records, { blockBytes: 1 })
    writeFileSync(path, readFileSync(path).subarray(0, -5))
    expect(await recordingInfo(path)).toMatchObject({
      records: 2,
      problem: { message: expect.stringContaining('is cut at byte'), advice: expect.any(String) },
    })
  })

  test('is shown as it is where it cannot be decoded', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, '7.avsc'), '"string"')
    const path = recordingOf([
      record(0, 0, {
        value: Uint8Array.of(0, 0, 0, 0, 7, 2, 0x41),
        key: Uint8Array.of(0xff),
        headers: [{ key: 'h', value: null }],
      }),
      record(0, 1, { value: framed(7) }),
      record(0, 2, { value: framed(8) }),
      record(0, 3, { value: new TextEncoder().encode('x'.repeat(100)) }),
      record(0, 4, { value: null }),
    ])
    const shown = await recordingHead(path, 5, directoryRegistry(folder))
    expect(shown.map(({ value }) => value)).toEqual([
      'A',
      '0x000000000709',
      '0x000000000809',
      `0x${'78'.repeat(64)}…`,
      null,
    ])
    expect(shown.map(({ problem }) => problem)).toEqual([
      null,
      expect.stringContaining('schema 7 cannot decode it'),
      `${folder} has no schema 8`,
      'not in the frame of a schema registry',
      null,
    ])
    expect(shown[0]).toMatchObject({ key: '0xff', headers: [{ key: 'h', value: null }] })
    expect(await recordingHead(path, 2)).toHaveLength(2)
    expect(await recordingHead(path, 0)).toEqual([])
  })

  test('in frames of AWS Glue is noted by schema version, and shown with the schema in a file of that name', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, `${UUID}-word.avsc`), '"string"')
    const body = Uint8Array.of(2, 0x41)
    const other = UUID.replace('0', 'a')
    const records = [
      record(0, 0, { value: inGlueFrame(body, 0) }),
      record(0, 1, { value: inGlueFrame(deflateSync(body), 5) }),
      record(0, 2, { value: inGlueFrame(body, 5) }),
      record(0, 3, { value: inGlueFrame(body, 0, other) }),
      record(0, 4, { value: inGlueFrame(body, 1) }),
      record(0, 5, { value: framed(7) }),
    ]
    const path = recordingOf(records)
    const noted = { schemaIds: [7], schemaVersions: [UUID, other] }
    expect(await recordingInfo(path)).toMatchObject(noted)
    expect(await recordingInfo(await avscFileOf(records.map(avscValueOf)))).toMatchObject(noted)
    const shown = await recordingHead(path, 5, directoryRegistry(folder))
    expect(shown.map(({ value, schemaVersion, problem }) => [value, schemaVersion, problem])).toEqual([
      ['A', UUID, null],
      ['A', UUID, null],
      [expect.any(String), UUID, expect.stringContaining('cannot decode it: incorrect header check')],
      [expect.any(String), other, `${folder} has no schema version ${other}`],
      [expect.any(String), null, 'not in the frame of a schema registry'],
    ])
  })
})
