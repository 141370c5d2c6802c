/**
 * What each kind of window, and each aggregate, costs per event: a small record (key, time, value) through one partition task and one merge task, partials as JSON for the store in
 * between, with 1, 1,000 and 1,000,000 keys. The same without any window is taken off.
 *
 *   node bench/windows.ts            1 million events each
 *   node bench/windows.ts 200000
 */
import avro from 'avsc'
import { parseAvroSchema } from '../src/avro/schema-model.ts'
import { MergeTask } from '../src/engine/merge-task.ts'
import { PartitionTask } from '../src/engine/partition-task.ts'
import { compilePlan } from '../src/engine/plan.ts'
import { WriterSchemas } from '../src/engine/writer-schemas.ts'
import type { RecordBatch } from '../src/ports.ts'
import { ALL_RULES } from '../src/runtime/rules.ts'
import type {
  AggregateNode,
  AggregateSpec,
  PipelineSpec,
  SourceNode,
  TriggerSpec,
  WindowSpec,
} from '../src/topology/node.ts'

const events = Number(process.argv[2] ?? 1_000_000)
const KEYS = [1, 1_000, 1_000_000]
const SPAN_MS = 3_600_000
const DISORDER_MS = 20_000
const BOUND_MS = 30_000
const BATCH_RECORDS = 8_192
const LIMITS = { rowsMax: 100_000, bytesMax: 256 * 1024 * 1024 }
const SCHEMA_ID = 1
const START_MS = Date.UTC(2026, 0, 1)

const schema = {
  type: 'record',
  name: 'Event',
  fields: [
    { name: 'key', type: 'int' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'value', type: 'double' },
    { name: 'item', type: 'long' },
  ],
}

const source: SourceNode = {
  kind: 'source',
  name: 'events',
  schema: { avro: schema },
  eventTime: 'at',
  watermark: {
    kind: 'bounded-out-of-orderness',
    boundMs: BOUND_MS,
    idleAfterMs: null,
    futureLimitMs: 1e12,
  },
}
const COUNT: AggregateSpec = { kind: 'count', field: null }
const SUM: AggregateSpec = { kind: 'sum', field: 'value' }

function pipelineOf(
  window: WindowSpec,
  aggregates: readonly AggregateSpec[],
  trigger?: TriggerSpec,
): PipelineSpec {
  const node: AggregateNode = {
    kind: 'aggregate',
    name: 'result',
    input: source,
    keyBy: ['key'],
    window,
    allowedLatenessMs: 0,
    late: 'dead-letter',
    aggregates: aggregates.map((spec, i) => ({ name: `a${i}`, spec })),
    ...(trigger === undefined ? {} : { trigger }),
  }
  return {
    name: 'bench',
    source,
    circuitBreaker: null,
    tables: [
      {
        layer: 'gold',
        name: 'result',
        input: node,
        partitionBy: [],
        options: { compression: 'snappy', rowGroupRows: 250_000, fileRowsMax: 250_000, dictionary: null },
      },
    ],
    limits: { panesMax: 1e9, keysMax: 1e9 },
  }
}

const schemas = new WriterSchemas(parseAvroSchema(schema))
schemas.learn(SCHEMA_ID, JSON.stringify(schema))

function eventBatches(keys: number): readonly RecordBatch[] {
  const type = avro.Type.forSchema(schema as avro.Schema)
  let state = 42
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return Math.floor(((state >>> 0) / 4_294_967_296) * below)
  }
  const batches: RecordBatch[] = []
  for (let first = 0; first < events; first += BATCH_RECORDS) {
    const count = Math.min(BATCH_RECORDS, events - first)
    const values = Array.from({ length: count }, (_, i) =>
      type.toBuffer({
        key: random(keys),
        at: START_MS + Math.floor(((first + i) / events) * SPAN_MS) - random(DISORDER_MS),
        value: random(100_000) / 100,
        item: random(10_000),
      }),
    )
    batches.push(batchOf(values, first))
  }
  return batches
}

function batchOf(values: readonly Buffer[], firstOffset: number): RecordBatch {
  const count = values.length
  const arena = new Uint8Array(values.reduce((sum, value) => sum + value.length + 5, 0))
  const valueStart = new Int32Array(count)
  const valueEnd = new Int32Array(count)
  let at = 0
  for (const [i, value] of values.entries()) {
    valueStart[i] = at
    arena[at + 4] = SCHEMA_ID
    arena.set(value, at + 5)
    at += value.length + 5
    valueEnd[i] = at
  }
  const times = new Float64Array(count).fill(START_MS + 2 * SPAN_MS)
  return {
    count,
    arena,
    keyStart: new Int32Array(count),
    keyEnd: new Int32Array(count).fill(-1),
    valueStart,
    valueEnd,
    offsets: Float64Array.from({ length: count }, (_, i) => firstOffset + i),
    timestampsMs: times,
    arrivalsMs: times,
    headers: null,
    positionAfter: (index) => String(firstOffset + index + 1),
  }
}

interface Cost {
  readonly partitionNs: number
  readonly mergeNs: number
  readonly rows: number
  readonly late: number
  /** Of partials, in characters. */
  readonly staged: number
}

function run(spec: PipelineSpec, batches: readonly RecordBatch[]): Cost {
  const plan = compilePlan(spec, ['events'])
  const origin = {
    topics: ['events'],
    topicIndex: 0,
    partition: 0,
    pipeline: 'bench',
    incarnation: 1,
    task: 'events-0',
  }
  const task = new PartitionTask(plan, origin, schemas, null)
  const merge =
    plan.stages === 0
      ? null
      : new MergeTask(plan, { stage: 0, slice: 0, tasks: ['events-0'], state: null, rules: ALL_RULES })
  let epoch = 0
  let rows = 0
  let mergeNs = 0
  let staged = 0
  const started = process.hrtime.bigint()
  const cut = (): void => {
    const { state, partials } = task.cut(0)
    for (const partial of partials) staged += JSON.stringify(partial).length
    task.clear()
    if (merge === null) return
    const before = process.hrtime.bigint()
    const { watermarkMs, idle, ended, lastArrivalMs } = state
    const about = { task: 'events-0', epoch, watermarkMs, idle, ended, lastArrivalMs }
    merge.fold({ ...about, partials: partials[0] ?? null })
    for (const { count } of merge.cut({ epoch: epoch++, nowMs: START_MS + epoch * 1_000 }).tables)
      rows += count
    merge.clear()
    mergeNs += Number(process.hrtime.bigint() - before)
  }
  for (const batch of batches) {
    let next = 0
    while (next < batch.count) {
      next = task.add(batch, next, LIMITS)
      if (task.isFull(LIMITS)) cut()
    }
  }
  task.end()
  cut()
  const totalNs = Number(process.hrtime.bigint() - started)
  const late = Object.values(task.totals.late).reduce((sum, count) => sum + count, 0)
  return { partitionNs: (totalNs - mergeNs) / events, mergeNs: mergeNs / events, rows, late, staged }
}

const MINUTE: WindowSpec = { kind: 'tumbling', sizeMs: 60_000, offsetMs: 0 }
const WINDOWS: readonly (readonly [string, WindowSpec, TriggerSpec?])[] = [
  ['tumbling 1 min', MINUTE],
  ['tumbling, early every 10 s', MINUTE, { earlyEveryMs: 10_000 }],
  ['calendar day', { kind: 'calendar', unit: 'day', timeZone: 'Europe/Berlin', weekStart: 1 }],
  ['hopping 10 min every 1 min', { kind: 'hopping', sizeMs: 600_000, hopMs: 60_000, offsetMs: 0 }],
  ['session 30 s', { kind: 'session', gapMs: 30_000, gapField: null }],
  ['sliding 1 min', { kind: 'sliding', sizeMs: 60_000 }],
  ['count 100', { kind: 'count', rows: 100 }],
  ['global', { kind: 'global' }],
]
const AGGREGATES: readonly AggregateSpec[] = [
  COUNT,
  SUM,
  { kind: 'avg', field: 'value' },
  { kind: 'max', field: 'value' },
  { kind: 'count-if', field: null, predicate: (row: { value: number }) => row.value > 500 },
  { kind: 'variance', field: 'value', of: 'sample' },
  { kind: 'last', field: 'value' },
  { kind: 'max-by', field: 'item', by: 'value' },
  { kind: 'count-distinct', field: 'item', exactMax: 1_000 },
  { kind: 'quantile', field: 'value', q: 0.95, accuracy: 0.01 },
  { kind: 'top-k', field: 'item', by: 'value', k: 10 },
  { kind: 'most-frequent', field: 'item', k: 10, distinctMax: 10_000 },
  { kind: 'collect', field: 'item', max: 10 },
]
const NOTHING: PipelineSpec = {
  name: 'bench',
  source,
  circuitBreaker: null,
  tables: [
    {
      layer: 'silver',
      name: 'none',
      input: { kind: 'filter', name: 'none', input: source, predicate: () => false },
      partitionBy: [],
      options: { compression: 'snappy', rowGroupRows: 250_000, fileRowsMax: 250_000, dictionary: null },
    },
  ],
}

const only = process.argv[3]
for (const keys of KEYS) {
  const batches = eventBatches(keys)
  for (let i = 0; i < 3; i++) run(NOTHING, batches)
  const baseNs = run(NOTHING, batches).partitionNs
  console.log(
    `\n${keys.toLocaleString('en')} keys, ns per event (decoding and event time, ${Math.round(baseNs)} ns, taken off)`,
  )
  console.log(
    `${'window: count, sum'.padEnd(32)}${'partition'.padStart(10)}${'merge'.padStart(8)}${'rows'.padStart(12)}`,
  )
  const show = (name: string, spec: PipelineSpec): void => {
    if (only !== undefined && !name.includes(only)) return
    if (keys === KEYS[0]) run(spec, batches.slice(0, 12))
    const { partitionNs, mergeNs, rows, late } = run(spec, batches)
    const cells = [partitionNs - baseNs, mergeNs].map((ns, i) =>
      Math.round(ns)
        .toLocaleString('en')
        .padStart(i === 0 ? 10 : 8),
    )
    console.log(
      `${name.padEnd(32)}${cells.join('')}${rows.toLocaleString('en').padStart(12)}${late === 0 ? '' : `  ${late} late`}`,
    )
  }
  for (const [name, window, trigger] of WINDOWS) {
    // A window for each event and key holds all that came before: of one key that is a window of everything.
    show(name, pipelineOf(window, [COUNT, SUM], trigger))
  }
  console.log('aggregate, in windows of 1 min')
  for (const spec of AGGREGATES) show(spec.kind, pipelineOf(MINUTE, [spec]))
}
