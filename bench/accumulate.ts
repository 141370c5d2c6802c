/**
 * What does a row cost each aggregate? Prints nanoseconds a row: the best of seven passes over two million rows
 * that fall into panes in turns, as keys do in a stream.
 *
 * Run: npx node bench/accumulate.ts
 */
import { createColumn, setValid } from '../src/columns/column.ts'
import type { Column } from '../src/columns/column.ts'
import type { ColumnType, Field } from '../src/columns/column-type.ts'
import { createAccumulator } from '../src/engine/accumulate/accumulator.ts'
import type { AggregateSpec } from '../src/topology/node.ts'

const BATCH_ROWS = 50_000
const BATCHES = 40
const PASSES = 7

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
  readonly kind: 'count' | 'sum' | 'avg' | 'min' | 'max'
  readonly type: ColumnType
  readonly label: string
  readonly value: () => number
  readonly nullable: boolean
}

const DOUBLE: ColumnType = { kind: 'float64' }
const LONG: ColumnType = { kind: 'int64' }
const DECIMAL: ColumnType = { kind: 'decimal', precision: 12, scale: 2 }
const CASES: readonly Case[] = [
  { kind: 'count', type: DOUBLE, label: 'present doubles', value: fare, nullable: true },
  { kind: 'sum', type: DOUBLE, label: 'double, fares', value: fare, nullable: false },
  { kind: 'sum', type: { kind: 'float32' }, label: 'float, fares', value: fare, nullable: false },
  { kind: 'sum', type: DOUBLE, label: 'nullable double, fares', value: fare, nullable: true },
  { kind: 'sum', type: DOUBLE, label: 'double, 400 binary orders', value: wide, nullable: false },
  { kind: 'max', type: DOUBLE, label: 'double', value: fare, nullable: false },
  { kind: 'sum', type: { kind: 'int32' }, label: 'int', value: whole, nullable: false },
  { kind: 'sum', type: LONG, label: 'long', value: whole, nullable: false },
  { kind: 'max', type: LONG, label: 'long', value: whole, nullable: false },
  { kind: 'sum', type: DECIMAL, label: 'decimal', value: whole, nullable: false },
  { kind: 'max', type: DECIMAL, label: 'decimal', value: whole, nullable: false },
  { kind: 'min', type: { kind: 'string' }, label: 'string of 8', value: whole, nullable: false },
]

console.log(`node ${process.version}, ${BATCHES * BATCH_ROWS} rows; ns per row for 100 and 60,000 panes`)
for (const one of CASES) {
  const [few, many] = [100, 60_000].map((panes) => nanosecondsPerRow(one, panes).toFixed(1).padStart(7))
  console.log(`${one.kind.padEnd(6)} ${one.label.padEnd(26)} ${few} ${many}`)
}

function nanosecondsPerRow({ kind, type, value, nullable }: Case, paneCount: number): number {
  const field: Field = { name: 'x', type, nullable }
  const column = filledColumn(field, value)
  const rows = Int32Array.from({ length: BATCH_ROWS }, (_, row) => row)
  const panes = rows.map(() => Math.floor(uniform() * paneCount))
  const zeros = new Float64Array(BATCH_ROWS)
  const about = { by: null, columns: [column], timesMs: zeros, offsets: zeros, base: 0, task: 'task' }
  const times: number[] = []
  for (let pass = 0; pass < PASSES; pass++) {
    const accumulator = createAccumulator(
      { name: 'x', spec: { kind, field: 'x' } },
      { input: field, by: null, row: [] },
    )
    accumulator.reserve(paneCount)
    const startMs = performance.now()
    for (let batch = 0; batch < BATCHES; batch++) accumulator.addRows(column, rows, panes, BATCH_ROWS, about)
    times.push(((performance.now() - startMs) * 1e6) / (BATCHES * BATCH_ROWS))
  }
  return Math.min(...times)
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

/** Sketches and collections hold an object a pane, and take longer: fewer rows, in windows of 3,000 and of 30 rows. */
const LARGE_BATCHES = 6
const STRING: ColumnType = { kind: 'string' }
const few = (): number => Math.floor(uniform() * 300)
interface LargeCase {
  readonly spec: AggregateSpec
  readonly type: ColumnType
  readonly label: string
  readonly value: () => number
}
const LARGE_CASES: readonly LargeCase[] = [
  {
    spec: { kind: 'count-distinct', field: 'x', exactMax: 1000 },
    type: STRING,
    label: '300 strings',
    value: few,
  },
  {
    spec: { kind: 'count-distinct', field: 'x', exactMax: 100 },
    type: STRING,
    label: '10^6 strings',
    value: whole,
  },
  {
    spec: { kind: 'count-distinct', field: 'x', exactMax: 1000 },
    type: LONG,
    label: '300 longs',
    value: few,
  },
  {
    spec: { kind: 'quantile', field: 'x', q: 0.5, accuracy: 0.01 },
    type: DOUBLE,
    label: 'double, fares',
    value: fare,
  },
  { spec: { kind: 'top-k', field: 'x', by: 'by', k: 10 }, type: STRING, label: '10 strings', value: whole },
  {
    spec: { kind: 'most-frequent', field: 'x', k: 5, distinctMax: 1000 },
    type: STRING,
    label: '300 strings',
    value: few,
  },
  { spec: { kind: 'collect', field: 'x', max: 100 }, type: DOUBLE, label: '100 doubles', value: fare },
  {
    spec: {
      kind: 'custom',
      field: null,
      type: 'double',
      init: () => 0,
      add: (state: number, row: { readonly x: number }) => state + row.x ** 2,
      merge: (left: number, right: number) => left + right,
      result: (state) => state,
    },
    type: DOUBLE,
    label: 'sum of squares',
    value: fare,
  },
]

console.log(`${LARGE_BATCHES * BATCH_ROWS} rows; ns per row for 100 and 10,000 panes`)
for (const one of LARGE_CASES) {
  const [less, more] = [100, 10_000].map((panes) => largeNanosecondsPerRow(one, panes).toFixed(0).padStart(7))
  console.log(`${one.spec.kind.padEnd(14)} ${one.label.padEnd(18)} ${less} ${more}`)
}

function largeNanosecondsPerRow({ spec, type, value }: LargeCase, paneCount: number): number {
  const input: Field = { name: 'x', type, nullable: false }
  const by: Field = { name: 'by', type: DOUBLE, nullable: false }
  const columns = [filledColumn(input, value), filledColumn(by, fare)]
  const rows = Int32Array.from({ length: BATCH_ROWS }, (_, row) => row)
  const panes = rows.map(() => Math.floor(uniform() * paneCount))
  const timesMs = Float64Array.from(rows, (row) => row + whole() / 1000)
  const about = { by: columns[1]!, columns, timesMs, offsets: Float64Array.from(rows), base: 0, task: 'task' }
  const column = spec.field === null ? null : columns[0]!
  const times: number[] = []
  for (let pass = 0; pass < PASSES; pass++) {
    const accumulator = createAccumulator({ name: 'x', spec }, { input, by, row: [input, by] })
    accumulator.reserve(paneCount)
    const startMs = performance.now()
    for (let batch = 0; batch < LARGE_BATCHES; batch++) {
      accumulator.prepare?.(rows, BATCH_ROWS, about, () => {})
      accumulator.addRows(column, rows, panes, BATCH_ROWS, about)
    }
    times.push(((performance.now() - startMs) * 1e6) / (LARGE_BATCHES * BATCH_ROWS))
  }
  return Math.min(...times)
}
