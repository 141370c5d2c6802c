import { parquetReadObjects } from 'hyparquet'
import { describe, expect, test } from 'vitest'
import { parquetEncoder } from '../../sinks/parquet/parquet-encoder.ts'
import type { ColumnType } from '../../src/columns/column-type.ts'
import type { EncodedFile } from '../../src/ports.ts'
import { batchOf, DOUBLE, field, INT, MICROS, MILLIS, shapeOf, STRING } from './table-kit.ts'

const encoder = parquetEncoder()
const fields = [field('id', INT), field('zone', STRING, true), field('at', MILLIS, true)]
const rows = [
  { id: 0, zone: 'b', at: Date.UTC(2024, 1, 29, 23, 59, 59, 999) },
  { id: 1, zone: 'a/ü', at: Date.UTC(2024, 2, 1) },
  { id: 2, zone: null, at: null },
  { id: 3, zone: 'b', at: Date.UTC(1969, 11, 31, 23) },
  { id: 4, zone: '', at: Date.UTC(2024, 2, 1, 5) },
  { id: 5, zone: 'b', at: Date.UTC(2024, 1, 29) },
]

function directories(kind: 'day' | 'hour', type: ColumnType): readonly string[] {
  const some = [field('id', INT), field('at', type)]
  const values = rows.flatMap(({ id, at }) =>
    at === null ? [] : [{ id, at: type === MILLIS ? at : BigInt(at) * 1000n }],
  )
  const shape = shapeOf('t', some, [{ kind, field: 'at', name: 'p' }])
  return encoder.encode(shape, batchOf(some, values), null, values.length).map((file) => file.directory)
}

function by(type: ColumnType, kind: 'value' | 'day', value: unknown): () => readonly EncodedFile[] {
  const some = [field('id', INT), field('p', type)]
  const partition = kind === 'value' ? { kind, field: 'p' } : { kind, field: 'p', name: 'd' }
  return () => encoder.encode(shapeOf('t', some, [partition]), batchOf(some, [{ id: 1, p: value }]), null, 1)
}

describe('partitions', () => {
  test('are directories with the rows of one value each, in order', async () => {
    const shape = shapeOf('t', fields, [
      { kind: 'value', field: 'zone' },
      { kind: 'month', field: 'at', name: 'at_month' },
    ])
    const files = encoder.encode(shape, batchOf(fields, rows), null, rows.length)
    const seen = await Promise.all(
      files.map(async ({ directory, partitionValues, body }) => {
        const objects = await parquetReadObjects({ file: body.slice().buffer })
        expect(Object.keys(objects[0]!)).toEqual(['id', 'at'])
        return [directory, partitionValues, objects.map((row) => row['id'])]
      }),
    )
    expect(seen).toEqual([
      ['zone=__HIVE_DEFAULT_PARTITION__/at_month=2024-03', { zone: null, at_month: '2024-03' }, [4]],
      [
        'zone=__HIVE_DEFAULT_PARTITION__/at_month=__HIVE_DEFAULT_PARTITION__',
        { zone: null, at_month: null },
        [2],
      ],
      ['zone=a%2F%C3%BC/at_month=2024-03', { zone: 'a/ü', at_month: '2024-03' }, [1]],
      ['zone=b/at_month=1969-12', { zone: 'b', at_month: '1969-12' }, [3]],
      ['zone=b/at_month=2024-02', { zone: 'b', at_month: '2024-02' }, [0, 5]],
    ])
  })

  test('by day and hour are in UTC, before 1970 too', () => {
    for (const type of [MILLIS, MICROS]) {
      expect(directories('day', type)).toEqual(['p=1969-12-31', 'p=2024-02-29', 'p=2024-03-01'])
      expect(directories('hour', type)).toEqual([
        'p=1969-12-31-23',
        'p=2024-02-29-00',
        'p=2024-02-29-23',
        'p=2024-03-01-00',
        'p=2024-03-01-05',
      ])
    }
  })

  test('of a selection have only its rows', () => {
    const shape = shapeOf('t', fields, [{ kind: 'value', field: 'zone' }])
    const files = encoder.encode(shape, batchOf(fields, rows), Int32Array.of(0, 3, 4), 3)
    expect(files.map(({ directory, rows: count }) => [directory, count])).toEqual([
      ['zone=__HIVE_DEFAULT_PARTITION__', 1],
      ['zone=b', 2],
    ])
  })

  test('are refused for a type that cannot name one, and where there are too many', () => {
    expect(by(DOUBLE, 'value', 1)).toThrow(expect.objectContaining({ code: 'PARTITION_BAD_TYPE' }))
    expect(by(MILLIS, 'value', 1)).toThrow(expect.objectContaining({ code: 'PARTITION_BAD_TYPE' }))
    expect(by(STRING, 'day', 'x')).toThrow(expect.objectContaining({ code: 'PARTITION_BAD_TYPE' }))
    expect(by({ kind: 'date' }, 'value', 2_932_897)).toThrow(
      expect.objectContaining({ code: 'PARTITION_BAD_VALUE' }),
    )
    const many = Array.from({ length: 2_001 }, (_, id) => ({ id, zone: `z${id}`, at: null }))
    const shape = shapeOf('t', fields, [{ kind: 'value', field: 'zone' }])
    expect(() => encoder.encode(shape, batchOf(fields, many), null, many.length)).toThrow(
      expect.objectContaining({ code: 'TOO_MANY_PARTITIONS' }),
    )
    const all = shapeOf('t', [fields[1]!], [{ kind: 'value', field: 'zone' }])
    expect(() => encoder.encode(all, batchOf([fields[1]!], [{ zone: 'a' }]), null, 1)).toThrow(
      expect.objectContaining({ code: 'PARTITION_BAD_COLUMN' }),
    )
  })
})
