import type { Column, ColumnBatch, Int64Column } from '../../columns/column.ts'
import type { ColumnType } from '../../columns/column-type.ts'
import { unreachable } from '../../errors.ts'
import type { EncodedFile, PartitionColumn, TableEncoder, TableShape } from '../../ports.ts'

/**
 * A cheap stand-in for Parquet: one JSON object a row, every value as a text that says exactly which value it is
 * (see `cellOf`). It reads the columns in its own slow way, so a mistake in the fast accessors shows.
 */
export const jsonlEncoder: TableEncoder = {
  extension: 'jsonl',
  encode(shape, batch, selection, count) {
    const groups = new Map<string, { values: Record<string, string | null>; lines: string[] }>()
    const partitionColumns = shape.partitionBy.map((partition) => ({
      partition,
      name: partition.kind === 'value' ? partition.field : partition.name,
      column: batch.columns.find((column) => column.field.name === partition.field)!,
    }))
    for (let i = 0; i < count; i++) {
      const row = selection === null ? i : selection[i]!
      const values = Object.fromEntries(
        partitionColumns.map(({ partition, name, column }) => [name, partitionValue(partition, column, row)]),
      )
      const directory = directoryOf(values)
      let group = groups.get(directory)
      if (group === undefined) groups.set(directory, (group = { values, lines: [] }))
      group.lines.push(lineOf(shape, batch, row))
    }
    return [...groups].flatMap(([directory, group]) => filesOf(shape, directory, group.values, group.lines))
  },
}

/** A value as JSON: null, a boolean, or a text that only this value has. */
export type Cell = null | boolean | string | readonly Cell[] | { readonly [name: string]: Cell }

/** Row `row` of a column. Timestamps are given in micros, times in their unit, decimals as `unscaled e-scale`. */
export function cellOf(column: Column, row: number): Cell {
  const { validity } = column
  if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) return null
  switch (column.storage) {
    case 'int32': {
      const type = column.field.type
      return type.kind === 'enum' ? type.symbols[column.values[row]!]! : String(column.values[row]!)
    }
    case 'int64': {
      const value = int64Of(column, row)
      const type = column.field.type
      return String(type.kind === 'timestamp' && type.unit === 'millis' ? value * 1000n : value)
    }
    case 'float32':
    case 'float64':
      return floatText(column.values[row]!)
    case 'boolean':
      return ((column.bits[row >> 3]! >> (row & 7)) & 1) === 1
    case 'binary': {
      const bytes = column.data.subarray(column.offsets[row], column.offsets[row + 1])
      return column.field.type.kind === 'string' ? utf8.decode(bytes) : hexOf(bytes)
    }
    case 'fixed': {
      const bytes = column.data.subarray(row * column.width, (row + 1) * column.width)
      const type = column.field.type
      return type.kind === 'decimal' ? decimalText(bytes, type.scale) : hexOf(bytes)
    }
    case 'list':
      return span(column.offsets, row).map((i) => cellOf(column.element, i))
    case 'map':
      return Object.fromEntries(
        span(column.offsets, row)
          .map((i): [string, Cell] => [cellOf(column.keys, i) as string, cellOf(column.values, i)])
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      )
    case 'struct':
      return Object.fromEntries(column.children.map((child) => [child.field.name, cellOf(child, row)]))
    default:
      return unreachable(column)
  }
}

export function floatText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

export function hexOf(bytes: Uint8Array): string {
  return `x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}

function decimalText(bytes: Uint8Array, scale: number): string {
  let unscaled = 0n
  for (let i = bytes.length - 1; i >= 0; i--) unscaled = (unscaled << 8n) | BigInt(bytes[i]!)
  return `${BigInt.asIntN(128, unscaled)}e-${scale}`
}

function lineOf(shape: TableShape, batch: ColumnBatch, row: number): string {
  const cells: [string, Cell][] = []
  for (const column of batch.columns) {
    if (shape.fields.some((field) => field.name === column.field.name))
      cells.push([column.field.name, cellOf(column, row)])
  }
  return JSON.stringify(Object.fromEntries(cells))
}

function filesOf(
  shape: TableShape,
  directory: string,
  partitionValues: Record<string, string | null>,
  lines: readonly string[],
): EncodedFile[] {
  const files: EncodedFile[] = []
  for (let from = 0; from < lines.length; from += shape.options.fileRowsMax) {
    const part = lines.slice(from, from + shape.options.fileRowsMax)
    files.push({
      body: utf8Encoder.encode(part.join('\n')),
      rows: part.length,
      partitionValues,
      directory,
      stats: JSON.stringify({ numRecords: part.length }),
    })
  }
  return files
}

function partitionValue(partition: PartitionColumn, column: Column, row: number): string | null {
  const cell = cellOf(column, row)
  if (cell === null) return null
  if (partition.kind === 'value') return typeof cell === 'string' ? cell : JSON.stringify(cell)
  const time = new Date(millisOf(column.field.type, BigInt(cell as string))).toISOString()
  return time.slice(0, { month: 7, day: 10, hour: 13 }[partition.kind]).replace('T', '-')
}

/** Of a date's days or a timestamp's micros. */
function millisOf(type: ColumnType, value: bigint): number {
  if (type.kind === 'date') return Number(value) * 86_400_000
  return Number((value - (((value % 1000n) + 1000n) % 1000n)) / 1000n)
}

function int64Of(column: Int64Column, row: number): bigint {
  return (BigInt(column.words[row * 2 + 1]!) << 32n) | BigInt(column.words[row * 2]! >>> 0)
}

function directoryOf(values: Record<string, string | null>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${encodeURIComponent(value ?? '__HIVE_DEFAULT_PARTITION__')}`)
    .join('/')
}

function span(offsets: Int32Array, row: number): number[] {
  return Array.from({ length: offsets[row + 1]! - offsets[row]! }, (_, i) => offsets[row]! + i)
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
const utf8Encoder = new TextEncoder()
