import {
  Compression,
  EnabledStatistics,
  Table,
  WriterPropertiesBuilder,
  WriterVersion,
  writeParquet,
} from 'parquet-wasm'
import { arrowSchemaOf } from '../sinks/parquet/arrow-schema.ts'
import { ArrowStreamWriter } from '../sinks/parquet/arrow-stream.ts'
import { parquetEncoder } from '../sinks/parquet/parquet-encoder.ts'
import type { Field } from '../src/columns/column-type.ts'
import { compileAppender } from '../src/columns/append.ts'
import { createBatch } from '../src/columns/column.ts'
import type { TableShape } from '../src/ports.ts'

/**
 * Question: what does a row cost from columns to Parquet, for the 16-field trip of PERFORMANCE.md, and which of the writer's
 * options pay? `npx node bench/encode.ts`. The least CPU time of the rounds is the figure: the first ones are the JIT's.
 */

const ROWS = 100_000
const ROUNDS = 12

let seed = 42
/** An integer in [0, below), from a linear congruential generator: every run encodes the same rows. */
function random(below: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return Math.floor((seed / 4294967296) * below)
}

const hex = () => random(0x1_0000_0000).toString(16).padStart(8, '0')

function trip(index: number): object {
  const pickupAt = 1_700_000_000_000 + index * 37 - random(20_000)
  const [fare, tip, tolls] = [random(9000) / 100, random(1500) / 100, random(10) === 0 ? 6.55 : 0]
  return {
    tripId: `${hex()}-${hex().slice(4)}-${hex().slice(4)}-${hex().slice(4)}-${hex()}${hex().slice(4)}`,
    vendor: ['acme', 'bolt-cabs', 'citywide', 'downtown'][random(4)],
    pickupAt,
    dropoffAt: pickupAt + random(3_600_000),
    distance: random(3000) / 100,
    fare,
    tip,
    tolls,
    total: fare + tip + tolls,
    passengerCount: 1 + random(6),
    zone: 1 + random(265),
    promo: random(5) === 0 ? `PROMO${random(100)}` : null,
    surcharge: random(3) === 0 ? random(500) / 100 : null,
    paymentType: SYMBOLS[random(6)],
    stored: random(20) === 0,
    pickup: { lat: 40.5 + random(4000) / 10_000, lon: -74.2 + random(5000) / 10_000 },
  }
}

const SYMBOLS = ['CREDIT_CARD', 'CASH', 'NO_CHARGE', 'DISPUTE', 'UNKNOWN', 'VOIDED']
const field = (name: string, type: Field['type'], nullable = false): Field => ({ name, type, nullable })
const TIMESTAMP = { kind: 'timestamp', unit: 'millis', local: false } as const
const FLOAT64 = { kind: 'float64' } as const
const STRING = { kind: 'string' } as const
const TRIP: readonly Field[] = [
  field('tripId', STRING),
  field('vendor', STRING),
  field('pickupAt', TIMESTAMP),
  field('dropoffAt', TIMESTAMP),
  ...['distance', 'fare', 'tip', 'tolls', 'total'].map((name) => field(name, FLOAT64)),
  field('passengerCount', { kind: 'int32' }),
  field('zone', { kind: 'int32' }),
  field('promo', STRING, true),
  field('surcharge', FLOAT64, true),
  field('paymentType', { kind: 'enum', symbols: SYMBOLS }),
  field('stored', { kind: 'boolean' }),
  field('pickup', { kind: 'struct', fields: [field('lat', FLOAT64), field('lon', FLOAT64)] }),
]

const batch = createBatch(TRIP)
const append = compileAppender(TRIP)
for (let index = 0; index < ROWS; index++) append(trip(index), batch.columns)
batch.length = ROWS
const selection = Int32Array.from({ length: ROWS }, (_, row) => row).filter((row) => row % 20 !== 0)

const shape = (
  partitionBy: TableShape['partitionBy'],
  compression: 'snappy' | 'zstd' | 'none',
): TableShape => ({
  path: 'bronze/trips',
  fields: TRIP,
  partitionBy,
  options: { compression, rowGroupRows: 250_000, fileRowsMax: 250_000, dictionary: ['vendor'] },
})

interface Case {
  readonly name: string
  readonly rows: number
  /** Returns the bytes written. */
  run(): number
}

const encoder = parquetEncoder()
function encoding(name: string, table: TableShape, chosen: Int32Array | null = null): Case {
  const rows = chosen?.length ?? ROWS
  const run = () =>
    encoder.encode(table, batch, chosen, rows).reduce((bytes, file) => bytes + file.body.length, 0)
  return { name, rows, run }
}

const arrow = new ArrowStreamWriter()
const schema = arrowSchemaOf(TRIP)
const stream = () => arrow.write(schema, batch.columns, { kind: 'range', start: 0, count: ROWS })

function plainOptions(): WriterPropertiesBuilder {
  return new WriterPropertiesBuilder()
    .setCompression(Compression.SNAPPY)
    .setDictionaryEnabled(false)
    .setStatisticsEnabled(EnabledStatistics.Chunk)
}

/** One option changed, against snappy without dictionaries and with statistics per column chunk. */
function writing(name: string, change: (options: WriterPropertiesBuilder) => WriterPropertiesBuilder): Case {
  const run = () => writeParquet(Table.fromIPCStream(stream()), change(plainOptions()).build()).length
  return { name: `  ${name}`, rows: ROWS, run }
}

const cases: readonly Case[] = [
  encoding('encode, snappy', shape([], 'snappy')),
  encoding('encode, zstd', shape([], 'zstd')),
  encoding('encode, not compressed', shape([], 'none')),
  encoding('encode, 95 of 100 rows selected', shape([], 'snappy'), selection),
  encoding(
    'encode, 2 partitions (day of pickupAt)',
    shape([{ kind: 'day', field: 'pickupAt', name: 'day' }], 'snappy'),
  ),
  encoding('encode, 4 partitions (vendor)', shape([{ kind: 'value', field: 'vendor' }], 'snappy')),
  { name: 'only the Arrow stream', rows: ROWS, run: () => stream().length },
  writing('snappy, no dictionaries, statistics per chunk', (options) => options),
  writing('dictionary: paymentType', (options) => options.setColumnDictionaryEnabled('paymentType', true)),
  writing('dictionary: vendor', (options) => options.setColumnDictionaryEnabled('vendor', true)),
  writing('dictionary: promo', (options) => options.setColumnDictionaryEnabled('promo', true)),
  writing('dictionary: zone', (options) => options.setColumnDictionaryEnabled('zone', true)),
  writing('dictionary: fare', (options) => options.setColumnDictionaryEnabled('fare', true)),
  writing('dictionary: tripId', (options) => options.setColumnDictionaryEnabled('tripId', true)),
  writing('dictionaries: all', (options) => options.setDictionaryEnabled(true)),
  writing('statistics: none', (options) => options.setStatisticsEnabled(EnabledStatistics.None)),
  writing('statistics: per page', (options) => options.setStatisticsEnabled(EnabledStatistics.Page)),
  writing('writer version 2', (options) => options.setWriterVersion(WriterVersion.V2)),
  writing('pages of 128 KB', (options) => options.setDataPageSizeLimit(131_072)),
  writing('pages of 8 MB', (options) => options.setDataPageSizeLimit(8_388_608)),
  writing('lz4', (options) => options.setCompression(Compression.LZ4_RAW)),
  writing('tripId not compressed', (options) =>
    options.setColumnCompression('tripId', Compression.UNCOMPRESSED),
  ),
]

const least = new Map<Case, number>()
const bytes = new Map<Case, number>()
for (let round = 0; round < ROUNDS; round++) {
  for (const one of cases) {
    const before = process.cpuUsage()
    bytes.set(one, one.run())
    const { user, system } = process.cpuUsage(before)
    least.set(one, Math.min(least.get(one) ?? Infinity, user + system))
  }
}
console.log(`${''.padEnd(48)}  ns/row  MB per million rows`)
for (const one of cases) {
  const nsPerRow = (least.get(one)! * 1_000) / one.rows
  const megabytes = bytes.get(one)! / one.rows
  console.log(
    `${one.name.padEnd(48)}  ${nsPerRow.toFixed(0).padStart(6)}  ${megabytes.toFixed(1).padStart(6)}`,
  )
}
