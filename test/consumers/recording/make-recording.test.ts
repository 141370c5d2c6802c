import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { avroCodec } from '../../../consumers/recording/avsc.ts'
import { MisfitError, parseJsonLine, toAvro, toJson } from '../../../consumers/recording/json-value.ts'
import { type MakeRecordingOptions, makeRecording } from '../../../consumers/recording/make-recording.ts'
import { murmur2, partitionOfKey } from '../../../consumers/recording/murmur2.ts'
import { recordingHead } from '../../../consumers/recording/recording-head.ts'
import { recordingInfo } from '../../../consumers/recording/recording-info.ts'
import { shapeOf } from '../../../consumers/recording/value-shape.ts'
import { directoryRegistry } from '../../../consumers/registry/directory.ts'
import type { PipelineError } from '../../../src/errors.ts'
import { avscFileOf, avscValueOf, record, recordingOf, temporaryFolder } from './sample-recordings.ts'

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

const latin1 = (length: number) =>
  fc
    .uint8Array({ minLength: length, maxLength: length })
    .map((bytes) => Buffer.from(bytes).toString('latin1'))

describe('JSON and Avro values', () => {
  const schema = {
    type: 'record',
    name: 'All',
    namespace: 'n',
    fields: [
      { name: 'null', type: 'null' },
      { name: 'boolean', type: 'boolean' },
      { name: 'int', type: 'int' },
      { name: 'long', type: 'long' },
      { name: 'float', type: 'float' },
      { name: 'double', type: 'double' },
      { name: 'string', type: 'string' },
      { name: 'bytes', type: 'bytes' },
      { name: 'fixed', type: { type: 'fixed', name: 'F', size: 3 } },
      {
        name: 'decimal',
        type: { type: 'fixed', name: 'D', size: 8, logicalType: 'decimal', precision: 18, scale: 4 },
      },
      { name: 'date', type: { type: 'int', logicalType: 'date' } },
      { name: 'millis', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'micros', type: { type: 'long', logicalType: 'timestamp-micros' } },
      { name: 'local', type: { type: 'long', logicalType: 'local-timestamp-micros' } },
      { name: 'list', type: { type: 'array', items: ['null', 'int'] } },
      { name: 'map', type: { type: 'map', values: 'F' } },
      { name: 'union', type: ['null', 'int', 'string', { type: 'array', items: 'string' }, 'D'] },
      {
        name: 'tree',
        type: ['null', { type: 'record', name: 'T', fields: [{ name: 'child', type: ['null', 'T'] }] }],
      },
    ],
  }
  const json = JSON.stringify(schema)
  const codec = avroCodec(json, 'All')
  const shape = shapeOf(json, 'All')

  const decimal = fc
    .bigInt({ min: -(10n ** 17n), max: 10n ** 17n })
    .map((unscaled) => toJson({ kind: 'bytes', decimal: { scale: 4 } }, bigEndian(unscaled)))
  const values = fc.record({
    null: fc.constant(null),
    boolean: fc.boolean(),
    int: fc.integer(),
    long: fc.oneof(fc.maxSafeInteger(), fc.constantFrom('9223372036854775807', '-9223372036854775808')),
    float: fc.float({ noNaN: true, noDefaultInfinity: true }),
    double: fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom('NaN', 'Infinity', '-Infinity'),
    ),
    string: fc.string({ unit: 'grapheme' }),
    bytes: latin1(9),
    fixed: latin1(3),
    decimal,
    date: fc.constantFrom('1969-12-31', '2024-02-29', '0001-01-01', '9999-12-31'),
    millis: fc.constantFrom('1969-12-31T23:59:59.999Z', '2024-02-29T00:00:00.000Z', 8.64e15),
    micros: fc.constantFrom('1969-12-31T23:59:59.999999Z', '2024-02-29T00:00:00.000001Z'),
    local: fc.constantFrom('1969-12-31T23:59:59.999999', '2024-02-29T00:00:00.000001'),
    list: fc.array(fc.option(fc.integer())),
    map: fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      latin1(3),
    ),
    union: fc.oneof(
      fc.constant(null),
      fc.record({ int: fc.integer() }),
      fc.record({ string: fc.string() }),
      fc.record({ array: fc.array(fc.string()) }),
      fc.record({ 'n.D': decimal }),
    ),
    tree: fc.constantFrom(null, { child: null }, { child: { child: null } }),
  })

  test('go there and back, over the wire', () => {
    fc.assert(
      fc.property(values, (value) => {
        const encoded = codec.encode(toAvro(shape, value))
        expect(toJson(shape, codec.decode(encoded))).toEqual(value)
      }),
      { numRuns: 200 },
    )
  })

  test('a union takes a value without the name of its branch', () => {
    const union = shapeOf(JSON.stringify(['null', 'int', 'string', { type: 'map', values: 'int' }]), 'U')
    expect(toAvro(union, 1)).toEqual({ int: 1 })
    expect(toAvro(union, 'x')).toEqual({ string: 'x' })
    expect(toAvro(union, { string: 'x' })).toEqual({ string: 'x' })
    // A map with one key that is the name of a branch.
    expect(toAvro(union, { int: 5 })).toEqual({ int: 5 })
    expect(toAvro(union, { string: 5 })).toEqual({ map: { string: 5 } })
    expect(() => toAvro(union, true)).toThrow(MisfitError)
  })

  test.each([
    ['int', 2 ** 31],
    ['long', '9223372036854775808'],
    ['bytes', 'Ā'],
    ['fixed', 'ab'],
    ['decimal', 1e21],
    ['date', '2024-13-01'],
    ['millis', '2024-01-01T00:00:00'],
    ['local', '2024-01-01T00:00:00Z'],
    ['micros', 'yesterday'],
    ['list', [1, 'x']],
    ['map', { a: 1 }],
    ['boolean', 'true'],
  ])('%s does not take %j', (name, value) => {
    const field = shape.kind === 'record' ? shape.fields.find((field) => field.name === name) : undefined
    expect(() => toAvro(field!.shape, value, name)).toThrow(MisfitError)
  })

  test('integers beyond 2^53 keep their digits', () => {
    expect(
      parseJsonLine('{"a": 9223372036854775807, "b": "9223372036854775807", "c": 1e20, "d": 1}'),
    ).toEqual({
      a: 9223372036854775807n,
      b: '9223372036854775807',
      c: 1e20,
      d: 1,
    })
  })
})

function bigEndian(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}

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

function framed(id: number): Uint8Array {
  return Uint8Array.of(0, 0, 0, id >> 8, id & 255, 9)
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
      'not a Confluent frame',
      null,
    ])
    expect(shown[0]).toMatchObject({ key: '0xff', headers: [{ key: 'h', value: null }] })
    expect(await recordingHead(path, 2)).toHaveLength(2)
    expect(await recordingHead(path, 0)).toEqual([])
  })
})
