import type {
  BinaryColumn,
  Column,
  FixedColumn,
  Int32Column,
  Int64Column,
  ListColumn,
  MapColumn,
  StructColumn,
} from '../../src/columns/column.ts'
import { assert, unreachable } from '../../src/errors.ts'
import { copyBits, countZeros } from './arrow-bits.ts'
import { BODY_ALIGNMENT } from './arrow-message.ts'
import type { BodyBuffer, FieldNode, RecordBatchLayout } from './arrow-message.ts'
import { copyFixed, copyRanges, copyWords, fillWordsAsMicros, fillWordsFromInt32 } from './arrow-values.ts'
import { copySymbols, fillSymbolOffsets, symbolTable } from './arrow-symbols.ts'
import { childRows } from './row-choice.ts'
import type { RowChoice } from './row-choice.ts'
import type { StreamBuffer } from './stream-buffer.ts'

/** How many nodes and buffers a column has in a record batch, its children included. */
export function layoutCounts(columns: readonly Column[]): { nodes: number; buffers: number } {
  let nodes = 0
  let buffers = 0
  for (const column of columns) {
    const children = layoutCounts(childrenOf(column))
    nodes += 1 + children.nodes
    buffers += ownBuffers(column) + children.buffers
    // The struct of a map's entries has a node and a validity buffer of its own.
    if (column.storage === 'map') [nodes, buffers] = [nodes + 1, buffers + 1]
  }
  return { nodes, buffers }
}

function childrenOf(column: Column): readonly Column[] {
  if (column.storage === 'struct') return column.children
  if (column.storage === 'list') return [column.element]
  return column.storage === 'map' ? [column.keys, column.values] : []
}

function ownBuffers(column: Column): number {
  if (column.storage === 'struct') return 1
  const kind = column.field.type.kind
  return column.storage === 'binary' || kind === 'fixed' || kind === 'enum' ? 3 : 2
}

/** The body of one record batch: columns, parents first, each as its validity, its offsets, its values. */
export class ArrowBody {
  readonly #buffer: StreamBuffer
  readonly #start: number
  readonly #nodes: FieldNode[] = []
  readonly #buffers: BodyBuffer[] = []

  /** The body starts where the buffer ends, which must be a multiple of 8. */
  constructor(buffer: StreamBuffer) {
    assert(buffer.length % 8 === 0, 'an Arrow body starts at a multiple of 8')
    this.#buffer = buffer
    this.#start = buffer.length
  }

  layout(rows: number): RecordBatchLayout {
    return { rows, nodes: this.#nodes, buffers: this.#buffers, bodyBytes: this.#buffer.length - this.#start }
  }

  /** `parents` are the structs around the column: where one of them is null, the column holds garbage. */
  writeColumn(column: Column, rows: RowChoice, parents: readonly StructColumn[] = []): void {
    this.#writeValidity(column, rows)
    switch (column.storage) {
      case 'int32':
        return this.#writeInt32(column, rows)
      case 'int64':
        return this.#writeInt64(column, rows, parents)
      case 'float32':
        return this.#writeWords(wordsOf(column.values), 1, rows)
      case 'float64':
        return this.#writeWords(wordsOf(column.values), 2, rows)
      case 'boolean':
        return this.#writeBytes((rows.count + 7) >> 3, (to) => copyBits(column.bits, rows, to))
      case 'binary':
        return this.#writeBinary(column, rows)
      case 'fixed':
        return this.#writeFixed(column, rows)
      case 'list':
        return this.#writeList(column, rows)
      case 'map':
        return this.#writeMap(column, rows)
      case 'struct':
        for (const child of column.children) this.writeColumn(child, rows, [...parents, column])
        return
      default:
        unreachable(column)
    }
  }

  /** Without nulls there is no buffer, whatever the field says. */
  #writeValidity(column: Column, rows: RowChoice): void {
    const start = this.#buffer.length
    const { validity } = column
    let nullCount = 0
    if (validity !== null) {
      const byteCount = (rows.count + 7) >> 3
      this.#append(byteCount)
      const to = this.#buffer.bytes.subarray(start, start + byteCount)
      copyBits(validity, rows, to)
      nullCount = countZeros(to, rows.count)
    }
    if (nullCount === 0) this.#buffer.length = start
    this.#nodes.push({ length: rows.count, nullCount })
    const byteCount = nullCount === 0 ? 0 : (rows.count + 7) >> 3
    this.#buffers.push({ offset: start - this.#start, length: byteCount })
  }

  #writeInt32(column: Int32Column, rows: RowChoice): void {
    const type = column.field.type
    if (type.kind === 'time') {
      this.#writeInts(rows.count * 2, (to) => fillWordsFromInt32(column.values, rows, to))
      return
    }
    if (type.kind === 'enum') this.#writeSymbols(column.values, rows, type.symbols)
    else this.#writeWords(column.values, 1, rows)
  }

  /** As strings: a dictionary in Arrow trips readers up where all its rows are null, and saves nothing in Parquet. */
  #writeSymbols(indices: Int32Array, rows: RowChoice, symbols: readonly string[]): void {
    const table = symbolTable(symbols)
    let dataBytes = 0
    this.#writeInts(rows.count + 1, (to) => {
      dataBytes = fillSymbolOffsets(indices, rows, table, to)
    })
    this.#writeBytes(dataBytes, (to) => copySymbols(indices, rows, table, to))
  }

  #writeInt64(column: Int64Column, rows: RowChoice, parents: readonly StructColumn[]): void {
    const type = column.field.type
    if (type.kind === 'timestamp' && type.unit === 'millis') {
      this.#writeInts(rows.count * 2, (to) => fillWordsAsMicros(column, rows, parents, to))
    } else this.#writeWords(column.words, 2, rows)
  }

  #writeWords(words: Int32Array, width: number, rows: RowChoice): void {
    this.#writeInts(rows.count * width, (to) => copyWords(words, width, rows, to))
  }

  #writeBinary(column: BinaryColumn, rows: RowChoice): void {
    const dataBytes = this.#writeOffsets(column.offsets, rows)
    this.#writeBytes(dataBytes, (to) => copyRanges(column.data, column.offsets, rows, to))
  }

  /** A decimal is 16 bytes; a fixed becomes a binary whose values all have the same length. */
  #writeFixed(column: FixedColumn, rows: RowChoice): void {
    const { width, data, field } = column
    if (field.type.kind === 'fixed') {
      this.#writeInts(rows.count + 1, (to) => {
        for (let row = 0; row <= rows.count; row++) to[row] = row * width
      })
    }
    this.#writeBytes(rows.count * width, (to) => copyFixed(data, width, rows, to))
  }

  #writeList(column: ListColumn, rows: RowChoice): void {
    this.#writeOffsets(column.offsets, rows)
    this.writeColumn(column.element, childRows(rows, column.offsets))
  }

  #writeMap(column: MapColumn, rows: RowChoice): void {
    const entryCount = this.#writeOffsets(column.offsets, rows)
    this.#nodes.push({ length: entryCount, nullCount: 0 })
    this.#buffers.push({ offset: this.#buffer.length - this.#start, length: 0 })
    const entries = childRows(rows, column.offsets)
    this.writeColumn(column.keys, entries)
    this.writeColumn(column.values, entries)
  }

  /** Offsets from 0 on; returns the last one. */
  #writeOffsets(offsets: Int32Array, rows: RowChoice): number {
    let end = 0
    this.#writeInts(rows.count + 1, (to) => {
      to[0] = 0
      if (rows.kind === 'range') {
        const base = offsets[rows.start]!
        for (let row = 1; row <= rows.count; row++) to[row] = offsets[rows.start + row]! - base
        end = to[rows.count]!
      } else {
        for (let row = 0; row < rows.count; row++) {
          const index = rows.indices[rows.start + row]!
          end += offsets[index + 1]! - offsets[index]!
          to[row + 1] = end
        }
      }
    })
    return end
  }

  #writeInts(count: number, fill: (to: Int32Array) => void): void {
    const start = this.#append(count * 4)
    fill(this.#buffer.int32At(start, count))
    this.#buffers.push({ offset: start - this.#start, length: count * 4 })
  }

  #writeBytes(byteCount: number, fill: (to: Uint8Array) => void): void {
    const start = this.#append(byteCount)
    fill(this.#buffer.bytes.subarray(start, start + byteCount))
    this.#buffers.push({ offset: start - this.#start, length: byteCount })
  }

  /** Keeps every buffer, and so the end of the body, at a multiple of BODY_ALIGNMENT from the body's start. */
  #append(byteCount: number): number {
    return this.#buffer.append(Math.ceil(byteCount / BODY_ALIGNMENT) * BODY_ALIGNMENT)
  }
}

function wordsOf(values: Float32Array | Float64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.byteLength / 4)
}
