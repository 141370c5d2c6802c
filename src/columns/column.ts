import { assert, unreachable } from '../errors.ts'
import type { ColumnType, Field } from './column-type.ts'

/**
 * A column that grows, in the Arrow layout. The generated decoders write to the public arrays directly,
 * so every field here is part of their contract:
 *
 * - `length` rows are valid; everything at or above it is garbage and is overwritten.
 * - `validity` is null for a column that is not nullable, else one bit a row, least significant first,
 *   1 = present. A writer sets or clears the bit of each row it appends: stale bits are never zeroed.
 * - a null row still takes its slot: a fixed-width value (any bits), an empty range in `offsets`, or a null
 *   row in every child of a struct.
 * - `reserve(rows)` makes room for that many rows in total; a decoder calls it before it appends.
 *   The arrays are replaced when they grow, so do not keep them across a `reserve`.
 * - `truncate(length)` forgets rows at the end: it is how a record that fails is rolled back.
 */
interface ColumnBase {
  readonly field: Field
  length: number
  validity: Uint8Array | null
  reserve(rows: number): void
  truncate(length: number): void
}

/** int32, date, time-millis and enum (the index of the symbol). */
export interface Int32Column extends ColumnBase {
  readonly storage: 'int32'
  values: Int32Array
}

/**
 * int64, timestamps and time-micros: two 32-bit words a row, low word first, because a BigInt for each
 * value would cost more than the rest of the decoding.
 */
export interface Int64Column extends ColumnBase {
  readonly storage: 'int64'
  words: Int32Array
}

export interface Float32Column extends ColumnBase {
  readonly storage: 'float32'
  values: Float32Array
}

export interface Float64Column extends ColumnBase {
  readonly storage: 'float64'
  values: Float64Array
}

/** One bit a row, like `validity`. */
export interface BooleanColumn extends ColumnBase {
  readonly storage: 'boolean'
  bits: Uint8Array
}

/** string (valid UTF-8) and bytes. Row i is `data[offsets[i] .. offsets[i + 1])`. */
export interface BinaryColumn extends ColumnBase {
  readonly storage: 'binary'
  offsets: Int32Array
  data: Uint8Array
  /** Makes room for `bytes` bytes of data in total. */
  reserveData(bytes: number): void
}

/** fixed and decimal (16 bytes). Row i is `data[i * width .. (i + 1) * width)`. */
export interface FixedColumn extends ColumnBase {
  readonly storage: 'fixed'
  readonly width: number
  data: Uint8Array
}

/** Row i has the elements `offsets[i] .. offsets[i + 1]` of the child column. */
export interface ListColumn extends ColumnBase {
  readonly storage: 'list'
  offsets: Int32Array
  readonly element: Column
}

export interface MapColumn extends ColumnBase {
  readonly storage: 'map'
  offsets: Int32Array
  readonly keys: BinaryColumn
  readonly values: Column
}

export interface StructColumn extends ColumnBase {
  readonly storage: 'struct'
  readonly children: readonly Column[]
}

export type Column =
  | Int32Column
  | Int64Column
  | Float32Column
  | Float64Column
  | BooleanColumn
  | BinaryColumn
  | FixedColumn
  | ListColumn
  | MapColumn
  | StructColumn

/** Rows as columns of equal length. */
export interface ColumnBatch {
  length: number
  readonly columns: readonly Column[]
}

const INITIAL_ROWS = 64
/** Arrow's offsets are int32. The decoders stop an epoch long before this. */
const DATA_BYTES_MAX = 0x7fff_fff0

/** An empty column for a field. */
export function createColumn(field: Field): Column {
  const type = field.type
  switch (type.kind) {
    case 'int32':
    case 'date':
    case 'enum':
      return new Int32Storage(field)
    case 'time':
      return type.unit === 'millis' ? new Int32Storage(field) : new Int64Storage(field)
    case 'int64':
    case 'timestamp':
      return new Int64Storage(field)
    case 'float32':
      return new Float32Storage(field)
    case 'float64':
      return new Float64Storage(field)
    case 'boolean':
      return new BooleanStorage(field)
    case 'string':
    case 'bytes':
      return new BinaryStorage(field)
    case 'fixed':
      return new FixedStorage(field, type.size)
    case 'decimal':
      return new FixedStorage(field, 16)
    case 'list':
      return new ListStorage(field, createColumn(type.element))
    case 'map':
      return new MapStorage(
        field,
        new BinaryStorage({ name: 'key', type: STRING, nullable: false }),
        createColumn(type.value),
      )
    case 'struct':
      return new StructStorage(field, type.fields.map(createColumn))
    default:
      return unreachable(type)
  }
}

/** An empty batch for the fields of a row. */
export function createBatch(fields: readonly Field[]): ColumnBatch {
  return { length: 0, columns: fields.map(createColumn) }
}

/** Forgets the rows at and above `length`. `truncateBatch(batch, 0)` empties it and keeps its memory. */
export function truncateBatch(batch: ColumnBatch, length: number): void {
  for (const column of batch.columns) column.truncate(length)
  batch.length = length
}

/** True where the row is present. */
export function isValid(column: Column, row: number): boolean {
  const validity = column.validity
  return validity === null || ((validity[row >> 3]! >> (row & 7)) & 1) === 1
}

/** Sets the validity bit of a row. The column must be nullable. */
export function setValid(column: Column, row: number, present: boolean): void {
  const validity = column.validity
  assert(validity !== null, `column ${column.field.name} is not nullable`)
  if (present) validity[row >> 3]! |= 1 << (row & 7)
  else validity[row >> 3]! &= ~(1 << (row & 7))
}

const STRING: ColumnType = { kind: 'string' }

function grown(capacity: number, rows: number): number {
  return Math.max(rows, capacity * 2, INITIAL_ROWS)
}

/** Growth shared by all kinds: capacity in rows and the validity bits. */
class Storage {
  readonly field: Field
  length = 0
  validity: Uint8Array | null
  protected capacity = 0

  constructor(field: Field) {
    this.field = field
    this.validity = field.nullable ? new Uint8Array(0) : null
  }

  reserve(rows: number): void {
    if (rows <= this.capacity) return
    const capacity = grown(this.capacity, rows)
    this.grow(capacity)
    if (this.validity !== null) this.validity = copyBytes(this.validity, (capacity + 7) >> 3)
    this.capacity = capacity
  }

  truncate(length: number): void {
    assert(length <= this.length, `cannot truncate ${this.length} rows to ${length}`)
    this.length = length
  }

  protected grow(_capacity: number): void {}
}

class Int32Storage extends Storage implements Int32Column {
  readonly storage = 'int32'
  values = new Int32Array(0)

  protected override grow(capacity: number): void {
    const values = new Int32Array(capacity)
    values.set(this.values.subarray(0, this.length))
    this.values = values
  }
}

class Int64Storage extends Storage implements Int64Column {
  readonly storage = 'int64'
  words = new Int32Array(0)

  protected override grow(capacity: number): void {
    const words = new Int32Array(capacity * 2)
    words.set(this.words.subarray(0, this.length * 2))
    this.words = words
  }
}

class Float32Storage extends Storage implements Float32Column {
  readonly storage = 'float32'
  values = new Float32Array(0)

  protected override grow(capacity: number): void {
    const values = new Float32Array(capacity)
    values.set(this.values.subarray(0, this.length))
    this.values = values
  }
}

class Float64Storage extends Storage implements Float64Column {
  readonly storage = 'float64'
  values = new Float64Array(0)

  protected override grow(capacity: number): void {
    const values = new Float64Array(capacity)
    values.set(this.values.subarray(0, this.length))
    this.values = values
  }
}

class BooleanStorage extends Storage implements BooleanColumn {
  readonly storage = 'boolean'
  bits = new Uint8Array(0)

  protected override grow(capacity: number): void {
    this.bits = copyBytes(this.bits, (capacity + 7) >> 3)
  }
}

class BinaryStorage extends Storage implements BinaryColumn {
  readonly storage = 'binary'
  offsets = new Int32Array(1)
  data = new Uint8Array(0)

  protected override grow(capacity: number): void {
    this.offsets = copyOffsets(this.offsets, this.length, capacity)
  }

  reserveData(bytes: number): void {
    if (bytes <= this.data.length) return
    assert(bytes <= DATA_BYTES_MAX, `column ${this.field.name} is larger than 2 GiB in one epoch`)
    this.data = copyBytes(this.data, Math.min(Math.max(bytes, this.data.length * 2, 1024), DATA_BYTES_MAX))
  }
}

class FixedStorage extends Storage implements FixedColumn {
  readonly storage = 'fixed'
  readonly width: number
  data = new Uint8Array(0)

  constructor(field: Field, width: number) {
    super(field)
    this.width = width
  }

  protected override grow(capacity: number): void {
    this.data = copyBytes(this.data, capacity * this.width)
  }
}

class ListStorage extends Storage implements ListColumn {
  readonly storage = 'list'
  offsets = new Int32Array(1)
  readonly element: Column

  constructor(field: Field, element: Column) {
    super(field)
    this.element = element
  }

  protected override grow(capacity: number): void {
    this.offsets = copyOffsets(this.offsets, this.length, capacity)
  }

  override truncate(length: number): void {
    super.truncate(length)
    this.element.truncate(this.offsets[length]!)
  }
}

class MapStorage extends Storage implements MapColumn {
  readonly storage = 'map'
  offsets = new Int32Array(1)
  readonly keys: BinaryColumn
  readonly values: Column

  constructor(field: Field, keys: BinaryColumn, values: Column) {
    super(field)
    this.keys = keys
    this.values = values
  }

  protected override grow(capacity: number): void {
    this.offsets = copyOffsets(this.offsets, this.length, capacity)
  }

  override truncate(length: number): void {
    super.truncate(length)
    this.keys.truncate(this.offsets[length]!)
    this.values.truncate(this.offsets[length]!)
  }
}

class StructStorage extends Storage implements StructColumn {
  readonly storage = 'struct'
  readonly children: readonly Column[]

  constructor(field: Field, children: readonly Column[]) {
    super(field)
    this.children = children
  }

  override reserve(rows: number): void {
    super.reserve(rows)
    for (const child of this.children) child.reserve(rows)
  }

  override truncate(length: number): void {
    super.truncate(length)
    for (const child of this.children) child.truncate(length)
  }
}

function copyBytes(from: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const to = new Uint8Array(length)
  to.set(from.length <= length ? from : from.subarray(0, length))
  return to
}

function copyOffsets(from: Int32Array, length: number, capacity: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(capacity + 1)
  to.set(from.subarray(0, length + 1))
  return to
}
