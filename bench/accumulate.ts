/**
 * What does a row cost each aggregate, and a pane? Prints nanoseconds a row for 1, 1000 and a million panes that rows fall
 * into at random, as keys do in a stream (the best of three passes), then for the million panes bytes a pane, nanoseconds to
 * merge one with another, and nanoseconds for its result.
 *
 * Run: npx node --expose-gc bench/accumulate.ts [part of a name]
 */
import { createColumn, setValid } from '../src/columns/column.ts'
import type { Column } from '../src/columns/column.ts'
import type { ColumnType, Field } from '../src/columns/column-type.ts'
import type { Accumulator, AccumulatorFields, RowsAbout } from '../src/engine/accumulate/accumulator.ts'
import { createAccumulator } from '../src/engine/accumulate/accumulator.ts'
import type { AggregateSpec } from '../src/topology/node.ts'

const BATCH_ROWS = 50_000
const BATCHES = 20
const PASSES = 3
const PANES = [1, 1000, 1_000_000]

/** Deterministic, uniform in [0, 1). */
let seed = 42
function uniform(): number {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) | 0
  return (seed >>> 8) / 2 ** 24
}

const fare = (): number => Math.round(250 + uniform() * 8000) / 100
const wide = (): number => (uniform() - 0.5) * 2 ** Math.floor(uniform() * 400 - 200)
const whole = (): number => Math.floor(uniform() * 1e6)

interface Case {
  readonly spec: AggregateSpec
  readonly type: ColumnType
  readonly label: string
  readonly value: () => number
  readonly nullable?: true
  /** What is large in every pane stays below so many panes. */
  readonly panesMax?: number
}

const DOUBLE: ColumnType = { kind: 'float64' }
const FLOAT: ColumnType = { kind: 'float32' }
const INT: ColumnType = { kind: 'int32' }
const LONG: ColumnType = { kind: 'int64' }
const DECIMAL: ColumnType = { kind: 'decimal', precision: 12, scale: 2 }
const STRING: ColumnType = { kind: 'string' }

const of = (kind: 'count' | 'sum' | 'avg' | 'min' | 'max' | 'first' | 'last'): AggregateSpec => ({
  kind,
  field: 'x',
})
const stddev: AggregateSpec = { kind: 'stddev', field: 'x', of: 'sample' }
const maxBy: AggregateSpec = { kind: 'max-by', field: 'x', by: 'by' }
const CASES: readonly Case[] = [
  { spec: { kind: 'count', field: null }, type: DOUBLE, label: 'rows', value: fare },
  { spec: of('count'), type: DOUBLE, label: 'present doubles', value: fare, nullable: true },
  {
    spec: { kind: 'count-if', field: null, predicate: (row: { readonly x: number }) => row.x > 40 },
    type: DOUBLE,
    label: 'x > 40',
    value: fare,
  },
  { spec: of('sum'), type: DOUBLE, label: 'double, fares', value: fare },
  { spec: of('sum'), type: FLOAT, label: 'float, fares', value: fare },
  { spec: of('sum'), type: DOUBLE, label: 'double, 400 binary orders', value: wide, panesMax: 1000 },
  { spec: of('sum'), type: INT, label: 'int', value: whole },
  { spec: of('sum'), type: LONG, label: 'long', value: whole },
  { spec: of('sum'), type: DECIMAL, label: 'decimal', value: whole },
  { spec: of('avg'), type: DOUBLE, label: 'double, fares', value: fare },
  { spec: of('max'), type: DOUBLE, label: 'double', value: fare },
  { spec: of('max'), type: LONG, label: 'long', value: whole },
  { spec: of('max'), type: DECIMAL, label: 'decimal', value: whole },
  { spec: of('min'), type: STRING, label: 'string of 8', value: whole },
  { spec: stddev, type: DOUBLE, label: 'double, fares', value: fare },
  { spec: stddev, type: DOUBLE, label: 'double, 400 binary orders', value: wide, panesMax: 1000 },
  { spec: stddev, type: LONG, label: 'long', value: whole },
  { spec: stddev, type: DECIMAL, label: 'decimal', value: whole },
  { spec: of('first'), type: DOUBLE, label: 'double', value: fare },
  { spec: of('last'), type: DOUBLE, label: 'double', value: fare },
  { spec: of('last'), type: STRING, label: 'string of 8', value: whole },
  { spec: maxBy, type: DOUBLE, label: 'double by double', value: fare },
  { spec: maxBy, type: STRING, label: 'string by double', value: whole },
  { spec: { kind: 'count-distinct', field: 'x', exactMax: 1000 }, type: LONG, label: 'long', value: whole },
  {
    spec: { kind: 'count-distinct', field: 'x', exactMax: 1000 },
    type: STRING,
    label: 'string',
    value: whole,
  },
  {
    spec: { kind: 'quantile', field: 'x', q: 0.9, accuracy: 0.01 },
    type: DOUBLE,
    label: 'fares',
    value: fare,
  },
  { spec: { kind: 'top-k', field: 'x', by: 'by', k: 10 }, type: LONG, label: 'long, 10', value: whole },
  {
    spec: { kind: 'most-frequent', field: 'x', k: 10, distinctMax: 100_000 },
    type: INT,
    label: 'int, of 1000',
    value: () => whole() % 1000,
  },
  { spec: { kind: 'collect', field: 'x', max: 10 }, type: LONG, label: 'long, 10', value: whole },
  {
    spec: {
      kind: 'custom',
      field: null,
      type: 'double',
      init: () => 0,
      add: (state: number, row: { readonly x: number }) => Math.max(state, row.x),
      merge: (left: number, right: number) => Math.max(left, right),
      result: (state: number) => state,
    },
    type: DOUBLE,
    label: 'max of a double',
    value: fare,
  },
]

const wanted = process.argv[2] ?? ''
console.log(`node ${process.version}, ${BATCHES * BATCH_ROWS} rows a pass`)
console.log(
  `${''.padEnd(42)} ${PANES.map((panes) => `${panes}`.padStart(8)).join(' ')}    bytes    merge   result`,
)
for (const one of CASES) {
  const name = `${one.spec.kind.padEnd(15)} ${one.label.padEnd(26)}`
  if (!name.includes(wanted)) continue
  const rows = PANES.map((panes) =>
    panes <= (one.panesMax ?? Infinity) ? nanosecondsPerRow(one, panes).toFixed(1) : '-',
  )
  const panes = costOfPanes(one, Math.min(one.panesMax ?? Infinity, 200_000))
  console.log(`${name} ${[...rows, ...panes].map((cost) => cost.padStart(8)).join(' ')}`)
}

interface Rows {
  readonly column: Column
  readonly rows: Int32Array
  readonly about: RowsAbout
  readonly fields: AccumulatorFields
}

function nanosecondsPerRow(one: Case, paneCount: number): number {
  const batch = rowsOf(one)
  const panes = Array.from({ length: BATCHES }, () => batch.rows.map(() => Math.floor(uniform() * paneCount)))
  const times: number[] = []
  for (let pass = 0; pass < PASSES; pass++) {
    const accumulator = create(one, batch, paneCount)
    const startMs = performance.now()
    for (const ofRows of panes) add(accumulator, batch, ofRows)
    times.push(((performance.now() - startMs) * 1e6) / (BATCHES * BATCH_ROWS))
  }
  return Math.min(...times)
}

/** Bytes, and nanoseconds of a merge and of a result, of panes with five rows each. */
function costOfPanes(one: Case, paneCount: number): readonly string[] {
  const batch = rowsOf(one)
  const create5 = (): Accumulator => {
    const accumulator = create(one, batch, paneCount)
    for (let first = 0; first < paneCount * 5; first += BATCH_ROWS) {
      const panes = batch.rows.map((_, i) => (first + i) % paneCount)
      add(accumulator, batch, panes)
    }
    return accumulator
  }
  const before = bytesInUse()
  const left = create5()
  const bytes = (bytesInUse() - before) / paneCount
  const right = create5()
  const startMs = performance.now()
  for (let pane = 0; pane < paneCount; pane++) left.mergePane(right, pane, pane)
  const mergedMs = performance.now()
  const results = createColumn(left.resultField)
  for (let pane = 0; pane < paneCount; pane++) left.appendResult(pane, results)
  const doneMs = performance.now()
  return [
    bytes.toFixed(0),
    (((mergedMs - startMs) * 1e6) / paneCount).toFixed(0),
    (((doneMs - mergedMs) * 1e6) / paneCount).toFixed(0),
  ]
}

/** Collects until nothing more goes: buffers are freed by another thread. */
function bytesInUse(): number {
  let least = Infinity
  for (let still = 0; still < 3; still++) {
    globalThis.gc?.()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    if (heapUsed + arrayBuffers < least - 10_000) still = 0
    least = Math.min(least, heapUsed + arrayBuffers)
  }
  return least
}

function create(one: Case, batch: Rows, panes: number): Accumulator {
  const accumulator = createAccumulator({ name: 'x', spec: one.spec }, batch.fields)
  accumulator.reserve(panes)
  return accumulator
}

function add(accumulator: Accumulator, batch: Rows, panes: Int32Array): void {
  const { rows, about } = batch
  accumulator.prepare?.(rows, BATCH_ROWS, about, (_row, error) => {
    throw error
  })
  accumulator.addRows(batch.fields.input === null ? null : batch.column, rows, panes, BATCH_ROWS, about)
}

function rowsOf({ spec, type, value, nullable }: Case): Rows {
  const field: Field = { name: 'x', type, nullable: nullable === true }
  const column = filledColumn(field, value)
  const byField: Field = { name: 'by', type: DOUBLE, nullable: false }
  const by = filledColumn(byField, fare)
  const index = Float64Array.from({ length: BATCH_ROWS }, (_, row) => row)
  return {
    column,
    rows: Int32Array.from(index),
    about: { by, columns: [column, by], timesMs: index, offsets: index, base: 0, task: 'task' },
    fields: {
      input: spec.field === null ? null : field,
      by: 'by' in spec ? byField : null,
      row: [field, byField],
    },
  }
}

function filledColumn(field: Field, value: () => number): Column {
  const column = createColumn(field)
  column.reserve(BATCH_ROWS)
  for (let row = 0; row < BATCH_ROWS; row++) {
    if (field.nullable) setValid(column, row, row % 10 !== 0)
    put(column, row, value())
  }
  column.length = BATCH_ROWS
  return column
}

function put(column: Column, row: number, value: number): void {
  if (column.storage === 'int64') column.words[row * 2] = value
  else if (column.storage === 'fixed') new DataView(column.data.buffer).setInt32(row * 16, value, true)
  else if (column.storage === 'binary') {
    const text = String(value).padStart(8, '0')
    column.reserveData((row + 1) * 8)
    for (let i = 0; i < 8; i++) column.data[row * 8 + i] = text.charCodeAt(i)
    column.offsets[row + 1] = (row + 1) * 8
  } else if ('values' in column && column.storage !== 'map') column.values[row] = value
}
