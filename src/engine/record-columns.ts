import type { BinaryColumn, Column } from '../columns/column.ts'
import { setValid } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import {
  appendBytes,
  appendNull,
  appendText,
  binaryColumn,
  int32Column,
  int64Column,
  listColumn,
  setInt64,
} from '../columns/write.ts'
import { GLUE_UUID_AT, glueUuidAt } from '../columns/glue-frame.ts'
import { decodeUtf8, encodeUtf8 } from '../columns/utf8.ts'
import { writeUuid } from '../avro/wire.ts'
import { assert } from '../errors.ts'
import type { Header, RecordBatch } from '../ports.ts'
import { isVersion } from './writer-schemas.ts'

/** Where bronze and the dead letters have the UUID of the schema version with which a record was written, as text. */
const SCHEMA_VERSION_HEADER = 'glue.schema_version_id'
const SCHEMA_VERSION_KEY = encodeUtf8(SCHEMA_VERSION_HEADER)

/** What bronze and the dead letters say of the record that a row came from. */
export function recordFields(topics: readonly string[]): readonly Field[] {
  return [
    { name: '_topic', type: { kind: 'enum', symbols: topics }, nullable: false },
    { name: '_partition', type: { kind: 'int32' }, nullable: false },
    { name: '_offset', type: { kind: 'int64' }, nullable: false },
    { name: '_timestamp', type: { kind: 'timestamp', unit: 'millis', local: false }, nullable: false },
    { name: '_key', type: { kind: 'bytes' }, nullable: true },
    { name: '_schema_id', type: { kind: 'int32' }, nullable: true },
    { name: '_headers', type: HEADERS, nullable: true },
    { name: '_ingested_at', type: { kind: 'timestamp', unit: 'millis', local: false }, nullable: false },
  ]
}

/** Kafka's headers repeat and have an order, so they are a list, not a map. */
const HEADERS: Field['type'] = {
  kind: 'list',
  element: {
    name: 'element',
    nullable: false,
    type: {
      kind: 'struct',
      fields: [
        { name: 'key', type: { kind: 'string' }, nullable: false },
        { name: 'value', type: { kind: 'bytes' }, nullable: true },
      ],
    },
  },
}

/** Which source partition the records are of. */
export interface RecordOrigin {
  /** In the topics given to `recordFields`. */
  readonly topicIndex: number
  readonly partition: number
}

export const RECORD_COLUMN_COUNT = 8

/**
 * Appends the record columns for many rows: row i is of record records[i] of the batch, i < count. `schemaIds` are the numbers of the
 * records' frames, by record.
 */
export function appendRecordColumns(
  columns: readonly Column[],
  batch: RecordBatch,
  origin: RecordOrigin,
  records: Int32Array,
  schemaIds: Int32Array,
  count: number,
): void {
  const first = columns[0]!.length
  for (const column of columns) column.reserve(first + count)
  const topic = int32Column(columns[0]!)
  topic.values.fill(origin.topicIndex, first, first + count)
  topic.length += count
  const partitions = int32Column(columns[1]!)
  partitions.values.fill(origin.partition, first, first + count)
  partitions.length += count
  fillInt64(columns[2]!, batch.offsets, records, count)
  fillInt64(columns[3]!, batch.timestampsMs, records, count)
  appendKeys(columns[4]!, batch, records, count)
  appendSchemaIds(columns[5]!, records, schemaIds, count)
  appendHeaders(columns[6]!, batch, records, schemaIds, count)
  fillInt64(columns[7]!, batch.arrivalsMs, records, count)
}

function fillInt64(column: Column, values: Float64Array, records: Int32Array, count: number): void {
  const target = int64Column(column)
  const first = target.length
  for (let i = 0; i < count; i++) setInt64(target, first + i, values[records[i]!]!)
  target.length += count
}

function appendKeys(column: Column, batch: RecordBatch, records: Int32Array, count: number): void {
  const target = binaryColumn(column)
  for (let i = 0; i < count; i++) {
    const record = records[i]!
    const end = batch.keyEnd[record]!
    if (end < 0) appendNull(target)
    else {
      appendBytes(target, batch.arena, batch.keyStart[record]!, end)
      setValid(target, target.length - 1, true)
    }
  }
}

/** An id below zero is none. */
function appendSchemaIds(column: Column, records: Int32Array, schemaIds: Int32Array, count: number): void {
  const target = int32Column(column)
  const first = target.length
  for (let i = 0; i < count; i++) {
    const id = schemaIds[records[i]!]!
    target.values[first + i] = id
    setValid(target, first + i, id >= 0)
  }
  target.length += count
}

function appendHeaders(
  column: Column,
  batch: RecordBatch,
  records: Int32Array,
  schemaIds: Int32Array,
  count: number,
): void {
  const target = listColumn(column)
  const struct = target.element
  assert(struct.storage === 'struct', 'headers are a list of records')
  const keys = binaryColumn(struct.children[0]!)
  const values = binaryColumn(struct.children[1]!)
  for (let i = 0; i < count; i++) {
    const record = records[i]!
    const headers = batch.headers === null ? null : batch.headers[record]!
    const hasVersion = isVersion(schemaIds[record]!)
    for (const header of headers ?? []) {
      struct.reserve(struct.length + 1)
      appendText(keys, header.key)
      if (header.value === null) appendNull(values)
      else {
        appendBytes(values, header.value, 0, header.value.length)
        setValid(values, values.length - 1, true)
      }
      struct.length++
    }
    if (hasVersion && !saysVersion(headers, batch, record)) {
      struct.reserve(struct.length + 1)
      appendBytes(keys, SCHEMA_VERSION_KEY, 0, SCHEMA_VERSION_KEY.length)
      appendVersion(values, batch, record)
      struct.length++
    }
    const row = target.length++
    target.offsets[row + 1] = struct.length
    setValid(target, row, headers !== null || hasVersion)
  }
}

/** A dead letter that is read again has the header from the first time. */
function saysVersion(headers: readonly Header[] | null, batch: RecordBatch, record: number): boolean {
  const header = headers?.findLast(({ key }) => key === SCHEMA_VERSION_HEADER)
  if (header === undefined || header.value === null) return false
  return decodeUtf8(header.value) === glueUuidAt(batch.arena, batch.valueStart[record]!)
}

const UUID_CHARACTERS = 36

function appendVersion(column: BinaryColumn, { arena, valueStart }: RecordBatch, record: number): void {
  column.reserve(column.length + 1)
  const at = column.offsets[column.length]!
  column.reserveData(at + UUID_CHARACTERS)
  writeUuid(arena, valueStart[record]! + GLUE_UUID_AT, column.data, at)
  column.offsets[++column.length] = at + UUID_CHARACTERS
  setValid(column, column.length - 1, true)
}
