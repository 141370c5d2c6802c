import { setValid } from '../../src/columns/column.ts'
import type {
  BinaryColumn,
  Column,
  FixedColumn,
  Int32Column,
  Int64Column,
  StructColumn,
} from '../../src/columns/column.ts'
import { unreachable } from '../../src/errors.ts'
import { type Data, Type } from './arrow-js.ts'

/** Throws: a column of a file has what the program's cannot hold. */
export type Misfit = (column: string, why: string) => never

/**
 * Appends the values of an Arrow array to a column: the way back of arrow-body.ts. Buffers are copied, so that longs, decimals and times come
 * through bit by bit. `parents` are the structs around the array: below a null of theirs anything may be.
 */
export function appendArrow(column: Column, data: Data, refuse: Misfit, parents: readonly Data[] = []): void {
  const first = column.length
  column.reserve(first + data.length)
  appendValidity(column, data, refuse, parents)
  switch (column.storage) {
    case 'int32':
      appendInt32(column, data, refuse)
      break
    case 'int64':
      appendInt64(column, data, refuse)
      break
    case 'float32':
      column.values.set(valuesOf(column, data, Type.Float, Float32Array, refuse), first)
      break
    case 'float64':
      column.values.set(valuesOf(column, data, Type.Float, Float64Array, refuse), first)
      break
    case 'boolean': {
      const bits = valuesOf(column, data, Type.Bool, Uint8Array, refuse)
      for (let i = 0; i < data.length; i++) {
        const row = first + i
        if (bitAt(bits, data.offset + i)) column.bits[row >> 3]! |= 1 << (row & 7)
        else column.bits[row >> 3]! &= ~(1 << (row & 7))
      }
      break
    }
    case 'binary':
      appendBinary(column, data, refuse)
      return
    case 'fixed':
      appendFixed(column, data, refuse, parents)
      break
    case 'list':
      if (data.typeId !== Type.List) throw refuse(column.field.name, misread(data))
      appendOffsets(column, data, column.element.length)
      appendArrow(column.element, itemsOf(data), refuse)
      break
    case 'map': {
      if (data.typeId !== Type.Map) throw refuse(column.field.name, misread(data))
      appendOffsets(column, data, column.keys.length)
      const entries = itemsOf(data)
      appendArrow(column.keys, entries.children[0]!, refuse)
      appendArrow(column.values, entries.children[1]!, refuse)
      break
    }
    case 'struct':
      appendStruct(column, data, refuse, parents)
      break
    default:
      unreachable(column)
  }
  column.length = first + data.length
}

function appendStruct(column: StructColumn, data: Data, refuse: Misfit, parents: readonly Data[]): void {
  if (data.typeId !== Type.Struct) throw refuse(column.field.name, misread(data))
  const names = (data.type.children ?? []).map(({ name }) => name)
  for (const child of column.children) {
    const place = names.indexOf(child.field.name)
    if (place < 0) throw refuse(`${column.field.name}.${child.field.name}`, 'is missing')
    appendArrow(child, data.children[place]!, refuse, [...parents, data])
  }
}

function appendValidity(column: Column, data: Data, refuse: Misfit, parents: readonly Data[]): void {
  const first = column.length
  const hasNulls = data.nullCount > 0
  if (!hasNulls && column.validity === null) return
  for (let i = 0; i < data.length; i++) {
    const isPresent = !hasNulls || isPresentAt(data, i)
    if (column.validity !== null) setValid(column, first + i, isPresent)
    else if (!isPresent && parents.every((parent) => isPresentAt(parent, i)))
      refuse(column.field.name, 'has a null, which the program does not allow')
  }
}

function appendInt32(column: Int32Column, data: Data, refuse: Misfit): void {
  const { type, name } = column.field
  const first = column.length
  if (type.kind === 'enum') return appendSymbols(column, type.symbols, data, refuse)
  if (type.kind === 'time') {
    const words = wordsOf(column, data, Type.Int, refuse)
    for (let i = 0; i < data.length; i++) column.values[first + i] = words[i * 2]!
    return
  }
  if (data.typeId !== (type.kind === 'date' ? Type.Date : Type.Int)) throw refuse(name, misread(data))
  column.values.set(valuesOf(column, data, data.typeId, Int32Array, refuse), first)
}

/** Enums are strings in a table. The slot of a null gets the first symbol. */
function appendSymbols(column: Int32Column, symbols: readonly string[], data: Data, refuse: Misfit): void {
  const { bytes, offsets } = bytesOf(column, data, refuse)
  const indices = new Map(symbols.map((symbol, index) => [symbol, index]))
  const decoder = new TextDecoder()
  for (let i = 0; i < data.length; i++) {
    const start = Number(offsets[i])
    const end = Number(offsets[i + 1])
    if (start === end && !isPresentAt(data, i)) column.values[column.length + i] = 0
    else {
      const symbol = decoder.decode(bytes.subarray(start, end))
      const index = indices.get(symbol)
      // Below a null of a struct there may be an empty string.
      if (index === undefined && symbol !== '')
        refuse(column.field.name, `has the symbol ${symbol}, which the program does not know`)
      column.values[column.length + i] = index ?? 0
    }
  }
}

function appendInt64(column: Int64Column, data: Data, refuse: Misfit): void {
  const { type } = column.field
  const isTime = type.kind === 'timestamp'
  const words = wordsOf(column, data, isTime ? Type.Timestamp : Type.Int, refuse)
  const first = column.length * 2
  column.words.set(words, first)
  if (!isTime || type.unit === 'micros') return
  // Micros in the table, millis in the program.
  for (let i = 0; i < data.length * 2; i += 2) {
    const micros = (BigInt(words[i + 1]!) << 32n) | BigInt(words[i]! >>> 0)
    const rest = ((micros % 1000n) + 1000n) % 1000n
    const millis = (micros - rest) / 1000n
    column.words[first + i] = Number(BigInt.asIntN(32, millis))
    column.words[first + i + 1] = Number(millis >> 32n)
  }
}

function appendBinary(column: BinaryColumn, data: Data, refuse: Misfit): void {
  const { bytes, offsets } = bytesOf(column, data, refuse)
  const first = column.length
  const start = Number(offsets[0] ?? 0)
  const end = Number(offsets[data.length] ?? 0)
  const at = column.offsets[first]!
  column.reserveData(at + end - start)
  column.data.set(bytes.subarray(start, end), at)
  for (let i = 1; i <= data.length; i++) column.offsets[first + i] = at + Number(offsets[i]) - start
  column.length = first + data.length
}

/** A decimal is 16 bytes, least significant first, in both. A fixed is a binary in the table. */
function appendFixed(column: FixedColumn, data: Data, refuse: Misfit, parents: readonly Data[]): void {
  const { width, field } = column
  const { type } = field
  const first = column.length * width
  if (type.kind === 'decimal') {
    const { precision, scale } = data.type as { precision?: number; scale?: number }
    if (data.typeId !== Type.Decimal || precision !== type.precision || scale !== type.scale)
      throw refuse(field.name, misread(data))
    const words = valuesOf(column, data, Type.Decimal, Uint32Array, refuse)
    column.data.set(new Uint8Array(words.buffer, words.byteOffset, data.length * width), first)
    return
  }
  const { bytes, offsets } = bytesOf(column, data, refuse)
  for (let i = 0; i < data.length; i++) {
    const start = Number(offsets[i])
    const end = Number(offsets[i + 1])
    if (end - start === width) column.data.set(bytes.subarray(start, end), first + i * width)
    else if (isPresentAt(data, i) && parents.every((parent) => isPresentAt(parent, i)))
      refuse(field.name, `has a value of ${end - start} bytes, in the program it has ${width}`)
  }
}

/** Offsets of the items of a list or a map, moved behind the items that the column has. */
function appendOffsets(
  column: { offsets: Int32Array; readonly length: number },
  data: Data,
  items: number,
): void {
  const offsets = data.valueOffsets as Int32Array
  const start = offsets[0] ?? 0
  for (let i = 0; i <= data.length; i++)
    column.offsets[column.length + i] = items + (offsets[i] ?? start) - start
}

/** The items of a list that are within its rows. */
function itemsOf(data: Data): Data {
  const offsets = data.valueOffsets as Int32Array
  const start = offsets[0] ?? 0
  const count = (offsets[data.length] ?? start) - start
  const items = data.children[0]!
  return start === 0 && count === items.length ? items : items.slice(start, count)
}

/** Others than we write them with the wider offsets. */
const TEXTS: ReadonlySet<Type> = new Set([Type.Utf8, Type.Binary, Type.LargeUtf8, Type.LargeBinary])

function bytesOf(
  column: Column,
  data: Data,
  refuse: Misfit,
): { readonly bytes: Uint8Array; readonly offsets: Int32Array | BigInt64Array } {
  if (!TEXTS.has(data.typeId)) throw refuse(column.field.name, misread(data))
  return { bytes: data.values as Uint8Array, offsets: data.valueOffsets }
}

/** Integers of 64 bits as pairs of words, the low one first. */
function wordsOf(column: Column, data: Data, typeId: Type, refuse: Misfit): Int32Array {
  const values = valuesOf(column, data, typeId, BigInt64Array, refuse)
  // Only the unit that the tables of Delta have.
  if (typeId === Type.Timestamp && (data.type as { unit?: number }).unit !== MICROSECOND)
    refuse(column.field.name, misread(data))
  return new Int32Array(values.buffer, values.byteOffset, data.length * 2)
}

/** Of Arrow's TimeUnit. */
const MICROSECOND = 2

function valuesOf<T>(
  column: Column,
  data: Data,
  typeId: Type,
  wanted: new (...args: never[]) => T,
  refuse: Misfit,
): T {
  const values: unknown = data.values
  if (data.typeId !== typeId || !(values instanceof wanted)) throw refuse(column.field.name, misread(data))
  return values
}

function misread(data: Data): string {
  return `is ${(data.type as { toString(): string }).toString()} in the file, and not of the program's type`
}

function isPresentAt(data: Data, row: number): boolean {
  if (data.nullCount === 0) return true
  return bitAt(data.nullBitmap, data.offset + row)
}

function bitAt(bits: Uint8Array, at: number): boolean {
  return ((bits[at >> 3]! >> (at & 7)) & 1) === 1
}
