import { mkdtempSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import avro from 'avsc'
import fc from 'fast-check'
import { boundedOutOfOrderness, bronze, millis, pipeline, stream } from 'millrace'
import { replay } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { createRecordingWriter } from '../../consumers/recording/recording-writer.ts'
import { glueRegistry, registries } from '../../consumers/registry/index.ts'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { readTable } from '../../sinks/delta/read-table.ts'
import { parquetDecoder } from '../../sinks/parquet/parquet-decoder.ts'
import { parquetEncoder } from '../../sinks/parquet/parquet-encoder.ts'
import { readRows } from '../../sinks/parquet/parquet-reader.ts'
import type { ObjectStore, SchemaRegistry, TableFormat } from '../../src/ports.ts'
import { INFLATED_BYTES_MAX } from '../../src/runtime/inflate.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowsSource, type TestRecord } from '../../src/testing/rows-source.ts'
import { findGlue, registerInGlue } from '../parts/moto.ts'
import { glueFrame } from '../support/glue-frame.ts'
import { Reading, reading } from '../support/reading.ts'
import { rowsIn, start, type StartOptions, WORLD } from '../support/world.ts'

const readings = stream('readings', Reading, {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(millis(5)),
})
const program = pipeline({
  name: 'mixed',
  tables: [bronze('readings', readings)],
  circuitBreaker: false,
})

/** The program's own schema, and an earlier one of the writers: without `sensor`, with other types. */
const NEW = JSON.stringify(Reading.avro)
const OLD = JSON.stringify({
  type: 'record',
  name: 'Reading',
  fields: [
    { name: 'value', type: 'float' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
  ],
})
const newType = avro.Type.forSchema(JSON.parse(NEW) as avro.Schema, { wrapUnions: false })
const oldType = avro.Type.forSchema(JSON.parse(OLD) as avro.Schema)
const [NEW_UUID, OLD_UUID, NOBODYS] = [
  'b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63',
  'b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c64',
  '00000000-0000-4000-8000-00000000abcd',
] as const

const newBody = (at: number): Uint8Array => newType.toBuffer({ sensor: 'a', at, value: 1 })
const oldBody = (at: number): Uint8Array => oldType.toBuffer({ at, value: 0.5 })

/** Ids as the source of the test has them, and these schema versions. */
function knowing(versions: Readonly<Record<string, string>>): SchemaRegistry {
  return registries(rowsSource(program, []).registry, {
    description: 'Glue',
    schemaById: async () => null,
    schemaByUuid: async (uuid) => versions[uuid] ?? null,
  })
}

const known = knowing({ [NEW_UUID]: NEW, [OLD_UUID]: OLD })

async function tables(records: readonly TestRecord[], options: Partial<StartOptions> = {}) {
  const lake = memoryStore()
  await start(program, { lake, records, registry: known, ...options })
  return { bronze: await rowsIn(lake, 'bronze/readings'), letters: await rowsIn(lake, 'dead_letters') }
}

const header = (uuid: string) => ({
  key: 'glue.schema_version_id',
  value: Buffer.from(uuid).toString('hex'),
})

/** Every kind of record that there is. */
function recordsWith(newUuid: string, oldUuid: string): readonly TestRecord[] {
  return [
    reading(1),
    { value: glueFrame(newUuid, newBody(2)) },
    { value: glueFrame(newUuid, newBody(3), true) },
    { value: glueFrame(oldUuid, oldBody(4), true) },
    { value: glueFrame(oldUuid, oldBody(5)) },
    reading(6),
    { value: glueFrame(newUuid, newBody(7)) },
    { value: glueFrame(NOBODYS, newBody(8)) },
    { value: Uint8Array.of(3, 9, ...glueFrame(newUuid, newBody(9)).subarray(2)) },
    { value: Uint8Array.of(3, 5, ...glueFrame(newUuid, newBody(10)).subarray(2)) },
    { value: glueFrame(newUuid, Uint8Array.of(99)) },
    { value: glueFrame(newUuid, Uint8Array.of(...newBody(11), 0), true) },
    { value: glueFrame(newUuid, newBody(12)).subarray(0, 17) },
    { value: glueFrame(newUuid, newBody(13), true).subarray(0, -1) },
    reading(14),
  ]
}

const records = recordsWith(NEW_UUID, OLD_UUID)

function expectAll(
  { bronze, letters }: Awaited<ReturnType<typeof tables>>,
  newUuid: string,
  oldUuid: string,
): void {
  const row = (offset: number, uuid: string | null) => {
    const isOld = uuid === oldUuid
    return {
      _offset: offset,
      at: new Date(offset + 1).toISOString(),
      sensor: isOld ? null : 'a',
      value: isOld ? 0.5 : 1,
      _schema_id: uuid === null ? 1 : null,
      _headers: uuid === null ? null : [header(uuid)],
    }
  }
  const sorted = bronze.toSorted((a, b) => Number(a['_offset']) - Number(b['_offset']))
  expect(sorted).toMatchObject([
    row(0, null),
    row(1, newUuid),
    row(2, newUuid),
    row(3, oldUuid),
    row(4, oldUuid),
    row(5, null),
    row(6, newUuid),
    { ...row(13, null), _offset: 14, at: new Date(14).toISOString() },
  ])
  const byOffset = letters.toSorted((a, b) => Number(a['_offset']) - Number(b['_offset']))
  expect(byOffset.map((letter) => [letter['_offset'], letter['reason'], letter['_headers']])).toEqual([
    [7, 'unknown-schema', [header(NOBODYS)]],
    [8, 'undecodable', null],
    [9, 'undecodable', [header(newUuid)]],
    [10, 'undecodable', [header(newUuid)]],
    [11, 'undecodable', [header(newUuid)]],
    [12, 'undecodable', null],
    [13, 'undecodable', [header(newUuid)]],
  ])
  expect(byOffset.map(({ message }) => message)).toEqual([
    `the registry has no schema version ${NOBODYS}`,
    expect.stringContaining('compression in the frame of the AWS Glue Schema Registry is 9'),
    expect.stringContaining('the compressed body is damaged'),
    expect.stringContaining('field sensor'),
    expect.stringContaining('1 byte'),
    expect.stringContaining('the value has 17 bytes'),
    expect.stringContaining('the compressed body is damaged'),
  ])
  for (const letter of byOffset) {
    const { value } = recordsWith(newUuid, oldUuid)[Number(letter['_offset'])]!
    // What zlib makes of a body differs by its version: the bytes are those that were sent.
    expect(letter['_value']).toBe(Buffer.from(value!).toString('hex'))
    expect(letter['_schema_id']).toBeNull()
  }
}

describe('records in frames of AWS Glue', () => {
  it('stand beside those of Confluent, each read with its own schema, plain and compressed', async () => {
    expectAll(await tables(records), NEW_UUID, OLD_UUID)
  })

  it('give the same rows whatever the batches and the epochs', async () => {
    const expected = await tables(records)
    for (const [epochRows, batchRecords, epochBytes] of [
      [1, 1, 1e8],
      [3, 2, 1e8],
      [100, 100, 1],
      [100, 4, 60],
    ] as const) {
      const found = await tables(records, { epochRows, batchRecords, epochBytes })
      expect(found).toEqual(expected)
    }
  })

  it('are dead letters that say what is missing where no registry of Glue is named', async () => {
    const { bronze, letters } = await tables(records, { registry: rowsSource(program, []).registry })
    expect(bronze.map(({ _schema_id }) => _schema_id)).toEqual([1, 1, 1])
    const first = letters.find(({ _offset }) => _offset === 1)
    expect(first).toMatchObject({ reason: 'unknown-schema', _headers: [header(NEW_UUID)] })
    expect(first?.['message']).toContain('no such registry is named: registries(…, glueRegistry({ region }))')
  })

  it('with compressed bodies count with what they come to', async () => {
    const long = newType.toBuffer({ sensor: 'x'.repeat(100_000), at: 1, value: 1 })
    const lake = memoryStore()
    const frames = Array.from({ length: 6 }, () => ({ value: glueFrame(NEW_UUID, long, true) }))
    const summary = await start(program, { lake, records: frames, registry: known, epochBytes: 150_000 })
    expect(await rowsIn(lake, 'bronze/readings')).toHaveLength(6)
    expect(summary.epochs).toBeGreaterThanOrEqual(3)
  })

  it('that come to more than memory is good for are dead letters', async () => {
    const bomb = glueFrame(NEW_UUID, new Uint8Array(INFLATED_BYTES_MAX + 1), true)
    const { letters } = await tables([{ value: bomb }, reading(1)])
    expect(letters).toMatchObject([{ reason: 'undecodable', _offset: 0 }])
    expect(letters[0]!['message']).toContain(`more than ${INFLATED_BYTES_MAX} bytes`)
  })

  it('of any bytes never end a run, and lose none of the records around them', async () => {
    const junk = fc.uint8Array({ maxLength: 40 })
    const value = fc.oneof(
      junk.map((bytes) => Uint8Array.of(3, ...bytes)),
      fc
        .tuple(fc.constantFrom(0, 5), junk)
        .map(([compression, bytes]) => Uint8Array.of(3, compression, ...bytes)),
      fc.tuple(fc.boolean(), junk).map(([isCompressed, bytes]) => glueFrame(NEW_UUID, bytes, isCompressed)),
      fc
        .tuple(fc.boolean(), fc.nat(1e6))
        .map(([isCompressed, at]) => glueFrame(NEW_UUID, newBody(at), isCompressed)),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(value, { maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        async (values, rows) => {
          const mixed = values.flatMap((bytes, i) => [{ value: bytes }, reading(i)])
          const { bronze, letters } = await tables(mixed, { epochRows: rows })
          const offsets = [...bronze, ...letters].map(({ _offset }) => Number(_offset)).sort((a, b) => a - b)
          expect(offsets).toEqual(mixed.map((_, i) => i))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('that became dead letters are read again once their schema is known, and have one header', async () => {
    const filled = parquetLake()
    const learning = knowing({ [OLD_UUID]: OLD })
    await start(program, { ...filled, records, registry: learning })
    expect(await rowsOfParquet(filled.lake, 'bronze/readings')).toHaveLength(5)
    await start(program, { ...filled, records, registry: known, fresh: true, backfill: true })
    const undisturbed = parquetLake()
    await start(program, { ...undisturbed, records, registry: known })
    for (const path of ['bronze/readings', 'dead_letters']) {
      const rows = await rowsOfParquet(filled.lake, path)
      expect(rows).toEqual(await rowsOfParquet(undisturbed.lake, path))
      expect(rows.length).toBeGreaterThan(6)
    }
  })

  it('are known by what the lake remembers where Glue has lost a schema', async () => {
    const lake = memoryStore()
    const source = (readFirst: number) => rowsSource(program, records, readFirst).open(WORLD)
    await start(program, { lake, registry: known, source: source(6) })
    const kept = await lake.list('_millrace/mixed/000001/_schemas/')
    expect(kept.map(({ key }) => key.split('/').at(-1))).toEqual([
      '1.json',
      `${NEW_UUID}.json`,
      `${OLD_UUID}.json`,
    ])
    await start(program, { lake, registry: knowing({}), source: source(records.length) })
    const found = {
      bronze: await rowsIn(lake, 'bronze/readings'),
      letters: await rowsIn(lake, 'dead_letters'),
    }
    expectAll(found, NEW_UUID, OLD_UUID)
  })
})

/** A lake that can be read again: history needs files that have a reader. */
function parquetLake(): { readonly lake: ObjectStore; readonly format: TableFormat } {
  const lake = memoryStore()
  return { lake, format: deltaFormat(lake, parquetEncoder(), { decoder: parquetDecoder() }) }
}

/** In an order that only depends on them, without what a run or an incarnation adds. */
async function rowsOfParquet(lake: ObjectStore, path: string): Promise<readonly string[]> {
  const table = await readTable(lake, path)
  const columns = (table?.fields ?? []).map(({ name }) => name)
  const lines: string[] = []
  for (const file of table?.files.values() ?? []) {
    const body = await lake.get(`${path}/${decodeURIComponent(file.path)}`)
    for (const row of await readRows(body!, columns)) {
      const shown = { ...row, _processed_at: undefined, incarnation: undefined }
      lines.push(
        JSON.stringify(shown, (_, cell: unknown) =>
          typeof cell === 'bigint' ? String(cell) : cell instanceof Uint8Array ? [...cell].join() : cell,
        ),
      )
    }
  }
  return lines.sort()
}

describe('a recording with frames of AWS Glue', () => {
  it('is replayed with the schemas beside it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-glue-'))
    mkdirSync(join(folder, 'registry'))
    writeFileSync(join(folder, 'registry', `${NEW_UUID}-reading.avsc`), NEW)
    writeFileSync(join(folder, 'registry', `${OLD_UUID}.avsc`), OLD)
    const writer = createRecordingWriter(join(folder, 'readings.avro'))
    const values = [
      glueFrame(NEW_UUID, newBody(1)),
      glueFrame(OLD_UUID, oldBody(2), true),
      glueFrame(NOBODYS, newBody(3)),
    ]
    for (const [offset, value] of values.entries()) {
      const times = { timestampMs: offset, arrivalMs: offset }
      const headers = [{ key: 'trace', value: Uint8Array.of(1) }]
      writer.append({ topic: 'readings', partition: 0, offset, ...times, key: null, value, headers })
    }
    expect(writer.close().schemaVersions).toEqual([NOBODYS, NEW_UUID, OLD_UUID])
    const result = await replay(program, { recording: join(folder, 'readings.avro') })
    const own = { key: 'trace', value: '01' }
    expect(result.rows('bronze/readings').map(({ value, _headers }) => [value, _headers])).toEqual([
      [1, [own, header(NEW_UUID)]],
      [0.5, [own, header(OLD_UUID)]],
    ])
    expect(result.rows('dead_letters')).toMatchObject([{ reason: 'unknown-schema', _offset: 2 }])
  })
})

const glue = await findGlue()

describe.skipIf(glue.kind === 'missing')('a stream with schemas in Glue', () => {
  if (glue.kind === 'missing') return
  it('gives the rows that its records have', async () => {
    const [oldUuid, newUuid] = await registerInGlue(glue, 'mixed', [OLD, NEW])
    const registry = registries(
      rowsSource(program, []).registry,
      glueRegistry({ ...glue, unknownAfterMs: 0 }),
    )
    const sent = recordsWith(newUuid!, oldUuid!)
    const lake = memoryStore()
    await start(program, { lake, records: sent, registry })
    const found = {
      bronze: await rowsIn(lake, 'bronze/readings'),
      letters: await rowsIn(lake, 'dead_letters'),
    }
    expectAll(found, newUuid!, oldUuid!)
  })
})
