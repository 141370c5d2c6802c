import { createColumn, isValid, setValid } from '../../../src/columns/column.ts'
import type { Column } from '../../../src/columns/column.ts'
import type { ColumnType, Field } from '../../../src/columns/column-type.ts'
import { unreachable } from '../../../src/errors.ts'
import type { Accumulator, AccumulatorFields, RowsAbout } from '../../../src/engine/accumulate/accumulator.ts'
import { createAccumulator } from '../../../src/engine/accumulate/accumulator.ts'
import type { NamedAggregate } from '../../../src/topology/node.ts'

/** One value of a column: whole numbers of 64 bits and more (unscaled, for a decimal) are bigints. */
export type Cell = number | bigint | string | null

export function fieldOf(type: ColumnType, nullable = true): Field {
  return { name: 'x', type, nullable }
}

/** The aggregates that say nothing beside their field. */
export type PlainKind = 'count' | 'sum' | 'avg' | 'min' | 'max' | 'first' | 'last'

export function aggregateOf(kind: PlainKind, field: string | null = 'x'): NamedAggregate {
  if (kind === 'count') return { name: 'result', spec: { kind, field } }
  return { name: 'result', spec: { kind, field: field ?? 'x' } }
}

/** The fields of an aggregate of one field. */
export function inputOf(input: Field | null): AccumulatorFields {
  return { input, by: null, row: input === null ? [] : [input] }
}

/** Rows of which event times and places in the order do not matter. */
export function unplaced(column: Column | null): RowsAbout {
  const zeros = new Float64Array(column?.length ?? 0)
  return {
    by: null,
    columns: column === null ? [] : [column],
    timesMs: zeros,
    offsets: zeros,
    base: 0,
    task: 'task',
  }
}

export function columnOf(field: Field, cells: readonly Cell[]): Column {
  const column = createColumn(field)
  column.reserve(cells.length)
  for (const [row, cell] of cells.entries()) {
    if (column.storage === 'binary') column.offsets[row + 1] = column.offsets[row]!
    if (cell === null) setValid(column, row, false)
    else {
      if (column.validity !== null) setValid(column, row, true)
      put(column, row, cell)
    }
    column.length = row + 1
  }
  return column
}

export function cellsOf(column: Column): Cell[] {
  return Array.from({ length: column.length }, (_, row) => (isValid(column, row) ? get(column, row) : null))
}

/** An accumulator whose pane 0 has the cells. */
export function accumulated(aggregate: NamedAggregate, field: Field, cells: readonly Cell[]): Accumulator {
  const accumulator = createAccumulator(aggregate, inputOf(field))
  accumulator.reserve(1)
  addAll(accumulator, 0, field, cells)
  return accumulator
}

export function addAll(accumulator: Accumulator, pane: number, field: Field, cells: readonly Cell[]): void {
  const rows = Int32Array.from(cells.keys())
  const panes = new Int32Array(cells.length).fill(pane)
  const column = columnOf(field, cells)
  accumulator.addRows(column, rows, panes, cells.length, unplaced(column))
}

export function resultOf(accumulator: Accumulator, pane = 0): Cell {
  const column = createColumn(accumulator.resultField)
  accumulator.appendResult(pane, column)
  return cellsOf(column)[0]!
}

/** The result for cells in one pane. */
export function aggregated(kind: PlainKind, type: ColumnType, cells: readonly Cell[]): Cell {
  return resultOf(accumulated(aggregateOf(kind), fieldOf(type), cells))
}

/** The 64 bits of a double, so that zeros and NaNs can be told apart. */
export function bitsOf(value: number): string {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  return view.getBigUint64(0).toString(16).padStart(16, '0')
}

export function doubleOf(bits: string): number {
  const view = new DataView(new ArrayBuffer(8))
  view.setBigUint64(0, BigInt(`0x${bits}`))
  return view.getFloat64(0)
}

function put(column: Column, row: number, cell: number | bigint | string): void {
  switch (column.storage) {
    case 'int32':
    case 'float32':
    case 'float64':
      column.values[row] = Number(cell)
      return
    case 'int64':
      new BigInt64Array(column.words.buffer)[row] = BigInt(cell)
      return
    case 'fixed': {
      const words = new BigInt64Array(column.data.buffer)
      words[row * 2] = BigInt.asIntN(64, BigInt(cell))
      words[row * 2 + 1] = BigInt(cell) >> 64n
      return
    }
    case 'binary': {
      const bytes = Buffer.from(String(cell), 'utf8')
      const start = column.offsets[row]!
      column.reserveData(start + bytes.length)
      column.data.set(bytes, start)
      column.offsets[row + 1] = start + bytes.length
      return
    }
    case 'boolean':
    case 'list':
    case 'map':
    case 'struct':
      throw new Error(`no cells for ${column.storage}`)
    default:
      return unreachable(column)
  }
}

function get(column: Column, row: number): number | bigint | string {
  switch (column.storage) {
    case 'int32':
    case 'float32':
    case 'float64':
      return column.values[row]!
    case 'int64':
      return new BigInt64Array(column.words.buffer)[row]!
    case 'fixed': {
      const words = new BigInt64Array(column.data.buffer)
      return (words[row * 2 + 1]! << 64n) | BigInt.asUintN(64, words[row * 2]!)
    }
    case 'binary':
      return Buffer.from(column.data.subarray(column.offsets[row], column.offsets[row + 1])).toString('utf8')
    case 'boolean':
    case 'list':
    case 'map':
    case 'struct':
      throw new Error(`no cells for ${column.storage}`)
    default:
      return unreachable(column)
  }
}
