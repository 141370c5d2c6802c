import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { type MakeRecordingOptions, makeRecording } from '../../../consumers/recording/make-recording.ts'
import { murmur2, partitionOfKey } from '../../../src/kafka/murmur2.ts'
import { recordingHead } from '../../../consumers/recording/recording-head.ts'
import { directoryRegistry } from '../../../consumers/registry/directory.ts'
import type { PipelineError } from '../../../src/errors.ts'
import { temporaryFolder } from './sample-recordings.ts'

const TRIP = {
  type: 'record',
  name: 'Trip',
  namespace: 'taxi',
  fields: [
    { name: 'tripId', type: 'long' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 'zone', type: ['null', 'string'] },
    { name: 'fare', type: { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 } },
    { name: 'pickup', type: { type: 'record', name: 'Place', fields: [{ name: 'lat', type: 'double' }] } },
    { name: 'dropoff', type: ['null', 'Place'], default: null },
    { name: 'paid', type: { type: 'enum', name: 'Paid', symbols: ['CASH', 'CARD'] }, default: 'CARD' },
  ],
}

const LINES = [
  '{"tripId": 9007199254740993, "at": "2024-03-01T12:00:00.000001Z", "zone": "Nord", "fare": "12.50", "pickup": {"lat": 45.5}, "seen": 1709294400500, "extra": 1}',
  '',
  '{"tripId": 2, "at": 1709294401000000, "zone": null, "fare": -0.05, "pickup": {"lat": 1}, "dropoff": {"lat": 2}, "paid": "CASH", "seen": "2024-03-01T12:00:02Z"}',
]

function folderWith(lines: readonly string[] | Buffer, name = 'trips.jsonl'): MakeRecordingOptions {
  const folder = temporaryFolder()
  writeFileSync(join(folder, name), lines instanceof Buffer ? lines : `${lines.join('\n')}\n`)
  writeFileSync(join(folder, '7-trip.avsc'), JSON.stringify(TRIP))
  return {
    input: join(folder, name),
    schemaPath: join(folder, '7-trip.avsc'),
    schemaId: 7,
    out: join(folder, 'trips.avro'),
    topic: 'trips',
    partitionBy: { field: 'zone' },
    partitions: 5,
    timestampField: 'at',
    arrivalField: 'seen',
    keyField: 'zone',
  }
}

describe('JSON lines become a recording', () => {
  test('that shows as it was', async () => {
    const options = folderWith(LINES)
    await makeRecording(options)
    const shown = await recordingHead(options.out, 10, directoryRegistry(join(options.out, '..')))
    expect(shown).toMatchObject([
      {
        topic: 'trips',
        partition: partitionOfKey(new TextEncoder().encode('Nord'), 5),
        offset: 0,
        timestampMs: Date.parse('2024-03-01T12:00:00Z'),
        arrivalMs: 1709294400500,
        key: 'Nord',
        schemaId: 7,
        problem: null,
        value: {
          tripId: '9007199254740993',
          at: '2024-03-01T12:00:00.000001Z',
          zone: 'Nord',
          fare: '12.50',
          pickup: { lat: 45.5 },
          dropoff: null,
          paid: 'CARD',
        },
      },
      {
        partition: 0,
        offset: 0,
        key: null,
        timestampMs: 1709294401000,
        arrivalMs: Date.parse('2024-03-01T12:00:02Z'),
        value: { tripId: 2, zone: null, fare: '-0.05', dropoff: { lat: 2 }, paid: 'CASH' },
      },
    ])
  })

  test('gzipped or not, always the same bytes', async () => {
    const plain = folderWith(LINES)
    const gzipped = folderWith(gzipSync(LINES.join('\r\n')), 'trips.jsonl.gz')
    await makeRecording(plain)
    await makeRecording(gzipped)
    expect(readFileSync(gzipped.out)).toEqual(readFileSync(plain.out))
  })

  test('a line separator within a string is not the end of the line', async () => {
    const options = folderWith([LINES[0]!.replace('Nord', 'No\u2028rd')])
    expect((await makeRecording(options)).records).toBe(1)
    expect((await recordingHead(options.out, 1))[0]!.key).toBe('No\u2028rd')
  })

  test('without fields for the key, the partition and one of the times', async () => {
    const { input, schemaPath, out } = folderWith(LINES)
    await makeRecording({ input, schemaPath, schemaId: 7, out, topic: 't', arrivalField: 'seen' })
    const shown = await recordingHead(out, 10)
    expect(shown.map(({ partition, offset, key }) => [partition, offset, key])).toEqual([
      [0, 0, null],
      [0, 1, null],
    ])
    expect(shown[0]).toMatchObject({
      timestampMs: 1709294400500,
      arrivalMs: 1709294400500,
      problem: 'no registry',
    })
    await makeRecording({
      input,
      schemaPath,
      schemaId: 7,
      out,
      topic: 't',
      timestampField: 'at',
      partitionBy: { fixed: 3 },
    })
    expect((await recordingHead(out, 1))[0]).toMatchObject({ partition: 3, arrivalMs: 1709294400000 })
  })

  test.each([
    ['{"tripId": 1}', 'field at is missing'],
    ['{"tripId": 1.5}', 'field tripId must be a long, but is 1.5'],
    [LINES[2]!.replace('"lat": 2', '"lat": "x"'), 'field dropoff.lat must be a number, but is "x"'],
    [LINES[2]!.replace('CASH', 'COIN'), 'field paid must be one of CASH, CARD, but is "COIN"'],
    [
      LINES[2]!.replace('-0.05', '0.005'),
      'field fare must be a decimal with at most 2 digits after the point, but is 0.005',
    ],
    [LINES[2]!.replace('2024-03-01T12:00:02Z', 'noon'), 'field seen must be a time'],
    ['[1]', 'the value must be an object, but is [1]'],
    ['{"tripId": 1', 'not JSON'],
  ])('a line that does not fit is named: %s', async (line, message) => {
    const options = folderWith([...LINES, line])
    const error = (await makeRecording(options).catch((caught: unknown) => caught)) as PipelineError
    expect(error).toMatchObject({ code: 'INPUT_INVALID' })
    expect(error.message).toContain(`${options.input}:4: ${message}`)
    expect(() => readFileSync(options.out)).toThrow('ENOENT')
    expect(() => readFileSync(`${options.out}.tmp`)).toThrow('ENOENT')
  })

  test('inputs and options that are wrong are named', async () => {
    const options = folderWith(LINES)
    const wrong = async (change: Partial<MakeRecordingOptions>) =>
      (await makeRecording({ ...options, ...change }).catch((caught: unknown) => caught)) as PipelineError
    expect(await wrong({ input: `${options.input}.none` })).toMatchObject({ code: 'INPUT_UNREADABLE' })
    writeFileSync(`${options.input}.gz`, 'not gzip')
    expect(await wrong({ input: `${options.input}.gz` })).toMatchObject({ code: 'INPUT_UNREADABLE' })
    expect(await wrong({ schemaPath: 'none.avsc' })).toMatchObject({ code: 'SCHEMA_INVALID' })
    writeFileSync(options.schemaPath, '{"type": "recor"}')
    expect(await wrong({})).toMatchObject({ code: 'SCHEMA_INVALID' })
    expect(await wrong({ partitions: 0 })).toMatchObject({ code: 'OPTION_INVALID' })
    expect(await wrong({ schemaId: -1 })).toMatchObject({ code: 'OPTION_INVALID' })
    expect(await wrong({ partitionBy: { fixed: 1.5 } })).toMatchObject({ code: 'OPTION_INVALID' })
  })
})

// Values of the tests of Kafka's own Java client (org.apache.kafka.common.utils.UtilsTest).
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
])('keys are hashed as Kafka does: %s', (key, hash) => {
  const bytes = new TextEncoder().encode(key)
  expect(murmur2(bytes) | 0).toBe(hash)
  expect(partitionOfKey(bytes, 7)).toBe((hash & 0x7fff_ffff) % 7)
})
