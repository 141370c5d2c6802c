/**
 * The whole job on one core: wire bytes in memory → bronze + silver + tumbling windows by zone, Parquet bytes out. Events per CPU-second
 * (user and system time of the process, so helpers of V8 and WASM count), and the cost of each stage in ns per row.
 *
 *   npm run bench            1 million records after a warm-up of 250,000
 *   npm run bench -- 3000000
 */
import { parquetEncoder } from '../sinks/parquet/parquet-encoder.ts'
import { parseAvroSchema } from '../src/avro/schema-model.ts'
import { compilePlan } from '../src/engine/plan.ts'
import { MergeTask } from '../src/engine/merge-task.ts'
import { PartitionTask } from '../src/engine/partition-task.ts'
import { WriterSchemas } from '../src/engine/writer-schemas.ts'
import type { RecordBatch } from '../src/ports.ts'
import { ALL_RULES } from '../src/runtime/rules.ts'
import type { PipelineSpec, RowNode, SourceNode, TableNode, TableOptionsSpec } from '../src/topology/node.ts'
import { runBaseline } from './baseline.ts'
import { TRIP_SCHEMA_ID, tripBatches, tripSchema } from './trips.ts'

const records = Number(process.argv[2] ?? 1_000_000)
const WARM_UP_RECORDS = 250_000
const MINUTES_PER_MILLION = 230
const LIMITS = { rowsMax: 250_000, bytesMax: 256 * 1024 * 1024 }

const OPTIONS: TableOptionsSpec = {
  compression: 'snappy',
  rowGroupRows: 250_000,
  fileRowsMax: 250_000,
  dictionary: null,
}
const source: SourceNode = {
  kind: 'source',
  name: 'trips',
  schema: { avro: tripSchema },
  eventTime: 'pickupAt',
  watermark: {
    kind: 'bounded-out-of-orderness',
    boundMs: 30_000,
    idleAfterMs: null,
    futureLimitMs: 86_400_000,
  },
}
const paid: RowNode = {
  kind: 'filter',
  name: 'paid',
  input: source,
  predicate: (row: { fare: number }) => row.fare > 0,
}
const table = (layer: TableNode['layer'], name: string, input: TableNode['input']): TableNode => ({
  layer,
  name,
  input,
  partitionBy: [],
  options: OPTIONS,
})
const spec: PipelineSpec = {
  name: 'bench',
  source,
  circuitBreaker: { maxShare: 0.5, sample: 1_000 },
  tables: [
    table('bronze', 'trips', source),
    table('silver', 'trips', paid),
    table('gold', 'zone_minutes', {
      kind: 'aggregate',
      name: 'zone_minutes',
      input: paid,
      keyBy: ['zone'],
      window: { kind: 'tumbling', sizeMs: 60_000, offsetMs: 0 },
      allowedLatenessMs: 0,
      late: 'dead-letter',
      aggregates: [
        { name: 'trips', spec: { kind: 'count', field: null } },
        { name: 'revenue', spec: { kind: 'sum', field: 'total' } },
        { name: 'longest', spec: { kind: 'max', field: 'distance' } },
      ],
    }),
  ],
}

const plan = compilePlan(spec, ['trips'])
const schemas = new WriterSchemas(parseAvroSchema(tripSchema))
schemas.learn(TRIP_SCHEMA_ID, JSON.stringify(tripSchema))
const encoder = parquetEncoder()
const stages = new Map<string, number>()

/** CPU of one synchronous stage, by the wall clock: nothing else runs in this thread meanwhile. */
function timed<T>(stage: string, work: () => T): T {
  const before = process.hrtime.bigint()
  const result = work()
  stages.set(stage, (stages.get(stage) ?? 0) + Number(process.hrtime.bigint() - before))
  return result
}

interface Result {
  readonly fileBytes: number
  readonly goldRows: number
}

function run(batches: readonly RecordBatch[]): Result {
  const origin = {
    topics: ['trips'],
    topicIndex: 0,
    partition: 0,
    pipeline: 'bench',
    incarnation: 1,
    task: 'trips-0',
  }
  const task = new PartitionTask(plan, origin, schemas, null)
  const merge = new MergeTask(plan, { stage: 0, slice: 0, tasks: ['trips-0'], state: null, rules: ALL_RULES })
  let epoch = 0
  let fileBytes = 0
  let goldRows = 0
  const cut = (): void => {
    const output = timed('cut: partials', () => task.cut(0))
    for (const { shape, batch, selection, count } of output.tables) {
      const files = timed(`encode ${shape.path}`, () => encoder.encode(shape, batch, selection, count))
      for (const file of files) fileBytes += file.body.length
    }
    const body = timed('partials to JSON', () => JSON.stringify(output.partials))
    fileBytes += body.length
    const { watermarkMs, idle, ended, lastArrivalMs } = output.state
    const about = { task: 'trips-0', epoch, watermarkMs, idle, ended, lastArrivalMs }
    timed('merge', () => merge.fold({ ...about, partials: output.partials[0] ?? null }))
    for (const { shape, batch, count } of timed('merge', () => merge.cut({ epoch: epoch++, nowMs: 0 }))
      .tables) {
      goldRows += count
      for (const file of timed(`encode ${shape.path}`, () => encoder.encode(shape, batch, null, count))) {
        fileBytes += file.body.length
      }
    }
    merge.clear()
    task.clear()
  }
  for (const batch of batches) {
    let next = 0
    while (next < batch.count) {
      next = timed('decode, filter, windows', () => task.add(batch, next, LIMITS))
      if (task.isFull(LIMITS)) cut()
    }
  }
  task.end()
  cut()
  return { fileBytes, goldRows }
}

const spanOf = (count: number): number => (count / 1_000_000) * MINUTES_PER_MILLION * 60_000
run(tripBatches({ records: WARM_UP_RECORDS, spanMs: spanOf(WARM_UP_RECORDS) }))
const batches = tripBatches({ records, spanMs: spanOf(records) })
stages.clear()
const cpuBefore = process.cpuUsage()
const result = run(batches)
const cpu = process.cpuUsage(cpuBefore)
const cpuSeconds = (cpu.user + cpu.system) / 1e6

console.log(
  `${records} records, ${cpuSeconds.toFixed(2)} CPU-seconds, ${(result.fileBytes / 1e6).toFixed(0)} MB written, ${result.goldRows} gold rows`,
)
console.log(
  `${Math.round(records / cpuSeconds).toLocaleString('en')} records per CPU-second, ${Math.round((cpuSeconds * 1e9) / records)} ns a record`,
)
for (const [stage, ns] of stages) console.log(`${String(Math.round(ns / records)).padStart(6)} ns  ${stage}`)
console.log(
  `${Math.round(process.memoryUsage().rss / 1e6)} MB resident, of which the input is ${Math.round(batches.reduce((sum, batch) => sum + batch.arena.length, 0) / 1e6)} MB`,
)

const BASELINE_RECORDS = 20_000
const baselineSeconds = await runBaseline(
  tripBatches({ records: BASELINE_RECORDS, spanMs: spanOf(BASELINE_RECORDS) }),
)
const baselineRate = BASELINE_RECORDS / baselineSeconds
console.log(
  `${Math.round(baselineRate).toLocaleString('en')} records per CPU-second by avsc + parquetjs-lite + Map: Millrace is ${(records / cpuSeconds / baselineRate).toFixed(0)} times as fast`,
)
