import { describe, expect, test } from 'vitest'
import { readTable } from '../../sinks/delta/read-table.ts'
import type { ColumnType, Field } from '../../src/columns/column-type.ts'
import { PipelineError } from '../../src/errors.ts'
import { FIELDS, evolve, failure, file, logKey, open, store, textOf } from './delta-kit.ts'
import { commit, DOUBLE, field, INT, LONG, shapeOf, STRING } from './table-kit.ts'

function struct(...fields: Field[]): ColumnType {
  return { kind: 'struct', fields }
}

function list(element: Field): ColumnType {
  return { kind: 'list', element }
}

function map(value: Field): ColumnType {
  return { kind: 'map', value }
}

function opening(...fields: Field[]): () => unknown {
  return () => open(shapeOf('t', fields))
}

describe('the schema of a table', () => {
  const id = field('id', INT)
  test.each<[string, Field[], Field[], Field[]]>([
    ['a new nullable column', [id], [field('x', DOUBLE, true), id], [id, field('x', DOUBLE, true)]],
    [
      'a column that becomes nullable',
      [id, field('x', LONG)],
      [id, field('x', LONG, true)],
      [id, field('x', LONG, true)],
    ],
    [
      'a column that is never null any more',
      [field('x', LONG, true)],
      [field('x', LONG)],
      [field('x', LONG, true)],
    ],
    ['another order', [id, field('x', LONG)], [field('x', LONG), id], [id, field('x', LONG)]],
    [
      'an enum for a string',
      [field('x', STRING)],
      [field('x', { kind: 'enum', symbols: ['A'] })],
      [field('x', STRING)],
    ],
    [
      'a new nullable field in a record',
      [field('s', struct(id))],
      [field('s', struct(id, field('x', LONG, true)))],
      [field('s', struct(id, field('x', LONG, true)))],
    ],
    [
      'elements that become nullable',
      [field('l', list(field('element', LONG)))],
      [field('l', list(field('i', LONG, true)))],
      [field('l', list(field('element', LONG, true)))],
    ],
    [
      'values that become nullable',
      [field('m', map(field('value', LONG)))],
      [field('m', map(field('v', LONG, true)))],
      [field('m', map(field('value', LONG, true)))],
    ],
  ])('takes %s', async (_, before, after, expected) => {
    expect(await evolve(before, after)).toEqual(expected)
  })

  test.each<[string, Field[], Field[], RegExp]>([
    [
      'a new column that is not nullable',
      [id],
      [id, field('x', DOUBLE)],
      /does not have the column x \(double\)/,
    ],
    [
      'a dropped column',
      [id, field('x', LONG, true)],
      [id],
      /has the column x, which the program no longer has/,
    ],
    [
      'another type',
      [id, field('x', INT)],
      [id, field('x', STRING)],
      /column x is integer, in the program it is string/,
    ],
    ['a wider type', [field('x', INT)], [field('x', LONG)], /column x is integer, in the program it is long/],
    [
      'another scale',
      [field('x', { kind: 'decimal', precision: 9, scale: 2 })],
      [field('x', { kind: 'decimal', precision: 9, scale: 3 })],
      /decimal\(9,2\).*decimal\(9,3\)/,
    ],
    [
      'another type inside',
      [field('s', struct(field('l', list(id))))],
      [field('s', struct(field('l', list(field('id', LONG)))))],
      /s\.l\.element is integer/,
    ],
    [
      'a record for a string',
      [field('s', STRING)],
      [field('s', struct(id))],
      /is string, in the program it is struct<id: integer>/,
    ],
  ])('refuses %s, before anything is written', async (_, before, after, message) => {
    await expect(evolve(before, after)).rejects.toThrow(failure('TABLE_SCHEMA_MISMATCH', message))
    expect((await store.list('gold/t/')).map(({ key }) => key)).toEqual([logKey(0)])
  })

  test('grows to protocol 3/7 with the first local timestamp, and keeps what version 2 implies', async () => {
    await evolve([id], [id, field('at', { kind: 'timestamp', unit: 'micros', local: true }, true)])
    expect(await textOf(logKey(1))).toContain(
      '{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["timestampNtz"],"writerFeatures":["appendOnly","invariants","timestampNtz"]}}',
    )
  })

  test('cannot change its partition columns', async () => {
    await commit(open(), [file('a')])
    const log = open(shapeOf('gold/t', FIELDS, [{ kind: 'value', field: 'zone' }]))
    await expect(commit(log, [])).rejects.toThrow(
      failure('TABLE_SCHEMA_MISMATCH', /partitioned by nothing, the program wants zone/),
    )
  })

  test('may change freely in a commit that removes every file', async () => {
    await commit(open(), [file('a'), file('b')])
    const { id: tableId } = (
      JSON.parse((await textOf(logKey(0))).split('\n')[2]!) as { metaData: { id: string } }
    ).metaData
    const fields = [field('other', DOUBLE), field('zone', LONG)]
    const log = open(shapeOf('gold/t', fields, [{ kind: 'value', field: 'zone' }]))
    await expect(commit(log, [file('c')], { remove: [file('a')] })).rejects.toThrow(PipelineError)
    await commit(log, [file('c')], { remove: [file('a'), file('b')] })
    expect(await readTable(store, 'gold/t')).toMatchObject({
      fields,
      partitionColumns: ['zone'],
      metadata: { id: tableId },
    })
  })

  test('has no two names that differ only in case', () => {
    expect(() => open(shapeOf('t', [field('a', INT), field('A', INT)]))).toThrow(
      failure('TABLE_BAD_SCHEMA', /a and A differ only in case/),
    )
    const day = { kind: 'day', field: 'at', name: 'Id' } as const
    const at = field('at', { kind: 'timestamp', unit: 'millis', local: false })
    expect(() => open(shapeOf('t', [id, at], [day]))).toThrow(failure('TABLE_BAD_SCHEMA', /id and Id/))
    expect(() => open(shapeOf('t', [id], [day]))).toThrow(
      failure('TABLE_BAD_SCHEMA', /partitioned by at, which it does not have/),
    )
  })

  test('has no record without fields, no two fields of a record that differ only in case, and some column for its files', () => {
    expect(opening()).toThrow(failure('TABLE_BAD_SCHEMA', /no columns/))
    expect(opening(id, field('l', list(field('e', struct()))))).toThrow(
      failure('TABLE_BAD_SCHEMA', /record l has no fields/),
    )
    expect(opening(field('s', struct(id, field('ID', INT))))).toThrow(
      failure('TABLE_BAD_SCHEMA', /id and ID differ only in case in s/),
    )
    const all = shapeOf('t', [id], [{ kind: 'value', field: 'id' }])
    expect(() => open(all)).toThrow(failure('TABLE_BAD_SCHEMA', /all its columns are partition columns/))
  })
})
