import type { ColumnType, Field } from '../../src/columns/column-type.ts'

const STRING: ColumnType = { kind: 'string' }
const LONG: ColumnType = { kind: 'int64' }
const INTEGER: ColumnType = { kind: 'int32' }
const BOOLEAN: ColumnType = { kind: 'boolean' }

const field = (name: string, type: ColumnType): Field => ({ name, type, nullable: true })
const struct = (name: string, fields: readonly Field[]): Field => field(name, { kind: 'struct', fields })
const strings = (name: string): Field =>
  field(name, { kind: 'list', element: { name: 'element', type: STRING, nullable: false } })
const map = (name: string): Field => field(name, { kind: 'map', value: field('value', STRING) })

/**
 * The columns of a log checkpoint: one struct per kind of action, of which each row has one.
 * https://github.com/delta-io/delta/blob/master/PROTOCOL.md#checkpoint-schema
 */
export const CHECKPOINT_FIELDS: readonly Field[] = [
  struct('txn', [field('appId', STRING), field('version', LONG)]),
  struct('add', [
    field('path', STRING),
    map('partitionValues'),
    field('size', LONG),
    field('modificationTime', LONG),
    field('dataChange', BOOLEAN),
    field('stats', STRING),
    map('tags'),
  ]),
  struct('remove', [
    field('path', STRING),
    field('deletionTimestamp', LONG),
    field('dataChange', BOOLEAN),
    field('extendedFileMetadata', BOOLEAN),
    map('partitionValues'),
    field('size', LONG),
  ]),
  struct('metaData', [
    field('id', STRING),
    field('name', STRING),
    field('description', STRING),
    struct('format', [field('provider', STRING), map('options')]),
    field('schemaString', STRING),
    strings('partitionColumns'),
    map('configuration'),
    field('createdTime', LONG),
  ]),
  struct('protocol', [
    field('minReaderVersion', INTEGER),
    field('minWriterVersion', INTEGER),
    strings('readerFeatures'),
    strings('writerFeatures'),
  ]),
]
