import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { ParquetReader } from 'parquetjs-lite'
import { wasmMemory } from 'parquet-wasm'
import { describe, expect, test } from 'vitest'
import { parquetEncoder } from '../../sinks/parquet/parquet-encoder.ts'
import { createBatch, truncateBatch } from '../../src/columns/column.ts'
import type { Column } from '../../src/columns/column.ts'
import { compileAppender } from '../../src/columns/append.ts'
import { takeRows } from '../../src/columns/take.ts'
import { everyType } from './every-type.ts'
import { batchOf, DOUBLE, field, INT, LONG, MILLIS, shapeOf, STRING } from './table-kit.ts'

const encoder = parquetEncoder()

async function objectsOf(body: Uint8Array): Promise<Record<string, unknown>[]> {
  return parquetReadObjects({ file: body.slice().buffer })
}

/** The largest high word there is: beyond what microseconds can hold. */
function overflow(column: Column, row: number): void {
  if (column.storage === 'int64') column.words.set([0, 0x7fff_ffff], row * 2)
}

describe('parquetEncoder', () => {
  const { fields, rows } = everyType(70, true)
  const shape = shapeOf('every_type', fields)
  const everyFull = everyType(70, false).rows

  test('a selection gives the very bytes that the gathered rows give', () => {
    const batch = batchOf(fields, rows)
    const selections = fc.uniqueArray(fc.integer({ min: 0, max: rows.length - 1 }), { minLength: 1 })
    fc.assert(
      fc.property(selections, (indices) => {
        const selection = Int32Array.from(indices.sort((a, b) => a - b))
        const gathered = takeRows(batch, selection, selection.length)
        const [ours] = encoder.encode(shape, batch, selection, selection.length)
        const [expected] = encoder.encode(shape, gathered, null, selection.length)
        expect(Buffer.compare(ours!.body, expected!.body)).toBe(0)
        expect(ours!.stats).toBe(expected!.stats)
      }),
      { numRuns: 60 },
    )
  })

  test('what earlier rows left behind in null slots and above the length does not show', () => {
    const append = compileAppender(fields)
    const used = createBatch(fields)
    for (let id = 0; id < 200; id++) append(everyFull[id % everyFull.length], used.columns)
    truncateBatch(used, 0)
    for (const row of rows) expect(append(row, used.columns)).toBeNull()
    used.length = rows.length
    const [fresh] = encoder.encode(shape, batchOf(fields, rows), null, rows.length)
    const [stale] = encoder.encode(shape, used, null, rows.length)
    expect(Buffer.compare(fresh!.body, stale!.body)).toBe(0)
  })

  test('files split at any row have the rows of the whole', async () => {
    const batch = batchOf(fields, rows)
    const [whole] = encoder.encode(shape, batch, null, rows.length)
    const expected = await objectsOf(whole!.body)
    for (const fileRowsMax of [1, 3, 8, 13, 69]) {
      const parts = encoder.encode(shapeOf('parts', fields, [], { fileRowsMax }), batch, null, rows.length)
      expect(Math.max(...parts.map((part) => part.rows))).toBeLessThanOrEqual(fileRowsMax)
      expect(parts).toHaveLength(Math.ceil(rows.length / fileRowsMax))
      expect((await Promise.all(parts.map((part) => objectsOf(part.body)))).flat()).toEqual(expected)
    }
  })

  test('hyparquet reads the same values', async () => {
    const plain = [
      field('id', INT),
      field('long', LONG, true),
      field('text', STRING, true),
      field('at', MILLIS),
    ]
    const some = [
      { id: 1, long: 2n ** 60n, text: 'ü', at: 1_700_000_000_123 },
      { id: 2, long: null, text: null, at: -1 },
    ]
    const [file] = encoder.encode(shapeOf('plain', plain), batchOf(plain, some), null, 2)
    expect(await objectsOf(file!.body)).toEqual([
      { id: 1, long: 2n ** 60n, text: 'ü', at: new Date(1_700_000_000_123) },
      { id: 2, long: null, text: null, at: new Date(-1) },
    ])
  })

  test('parquetjs-lite, which shares no code with the writer, reads a plain table', async () => {
    const plain = [
      field('id', INT),
      field('long', LONG, true),
      field('double', DOUBLE, true),
      field('text', STRING, true),
      field('flag', { kind: 'boolean' }, true),
      field('at', MILLIS),
    ]
    const some = Array.from({ length: 100 }, (_, id) => ({
      id,
      long: id % 3 === 0 ? null : BigInt(id),
      double: id % 4 === 0 ? null : id / 8,
      text: id % 5 === 0 ? null : `text ü ${id}`,
      flag: id % 6 === 0 ? null : id % 2 === 0,
      at: 1_700_000_000_000 + id,
    }))
    const folder = await mkdtemp(join(tmpdir(), 'millrace-parquetjs-'))
    try {
      const [file] = encoder.encode(
        shapeOf('plain', plain, [], { rowGroupRows: 30 }),
        batchOf(plain, some),
        null,
        100,
      )
      await writeFile(join(folder, 'a.parquet'), file!.body)
      const reader = await ParquetReader.openFile(join(folder, 'a.parquet'))
      const cursor = reader.getCursor()
      for (const row of some) {
        const read = await cursor.next()
        const expected = Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))
        const { long, at, ...rest } = read as { long?: bigint | number; at: Date }
        expect({ ...rest, ...(long === undefined ? {} : { long: BigInt(long) }), at: at.getTime() }).toEqual(
          expected,
        )
      }
      expect(await cursor.next()).toBeNull()
      await reader.close()
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('the columns may be overwritten as soon as it returns', () => {
    const batch = batchOf(fields, rows)
    const [first] = encoder.encode(shape, batch, null, rows.length)
    const copy = first!.body.slice()
    truncateBatch(batch, 0)
    encoder.encode(shape, batchOf(fields, rows.toReversed()), null, rows.length)
    expect(Buffer.compare(first!.body, copy)).toBe(0)
  })

  test('no rows are no file', () => {
    expect(encoder.encode(shape, batchOf(fields, []), null, 0)).toEqual([])
    expect(encoder.encode(shape, batchOf(fields, rows), Int32Array.of(1, 2), 0)).toEqual([])
  })

  test('one write never has more than 250,000 rows, whatever the option says', () => {
    const one = [field('id', INT)]
    const many = batchOf(one, [{ id: 1 }])
    const column = many.columns[0]!
    column.reserve(300_001)
    column.length = 300_001
    many.length = 300_001
    const files = encoder.encode(shapeOf('many', one, [], { fileRowsMax: 10_000_000 }), many, null, 300_001)
    expect(files.map((file) => file.rows)).toEqual([150_000, 150_001])
  })

  test('row groups and compression follow the options', () => {
    const one = [field('id', INT), field('text', STRING)]
    const some = Array.from({ length: 100 }, (_, id) => ({ id, text: 'same text' }))
    const columnsOf = (options: object) => {
      const [file] = encoder.encode(shapeOf('t', one, [], options), batchOf(one, some), null, 100)
      return parquetMetadata(file!.body.slice().buffer).row_groups.map(({ num_rows, columns }) => ({
        rows: Number(num_rows),
        codec: columns[1]!.meta_data!.codec,
        encodings: columns[1]!.meta_data!.encodings.includes('RLE_DICTIONARY'),
      }))
    }
    expect(columnsOf({ rowGroupRows: 60 })).toEqual([
      { rows: 60, codec: 'SNAPPY', encodings: false },
      { rows: 40, codec: 'SNAPPY', encodings: false },
    ])
    expect(columnsOf({ compression: 'zstd', dictionary: ['text'] })).toEqual([
      { rows: 100, codec: 'ZSTD', encodings: true },
    ])
    expect(columnsOf({ compression: 'none' })).toEqual([
      { rows: 100, codec: 'UNCOMPRESSED', encodings: false },
    ])
  })

  test('the memory of WASM stops growing', () => {
    const batch = batchOf(fields, rows)
    const encode = () => encoder.encode(shape, batch, null, rows.length)
    for (let round = 0; round < 20; round++) encode()
    const bytes = wasmMemory().buffer.byteLength
    for (let round = 0; round < 200; round++) encode()
    expect(wasmMemory().buffer.byteLength).toBe(bytes)
  })

  test('a timestamp whose microseconds do not fit is an error, unless its row is null', () => {
    const struct = field('s', { kind: 'struct', fields: [field('at', MILLIS)] }, true)
    const some = [field('id', INT), field('at', MILLIS, true), struct]
    const rowsWithNulls = [{ id: 1, at: 5, s: { at: 6 } }, { id: 2 }]
    const batch = batchOf(some, rowsWithNulls)
    const nested = batch.columns[2] as Extract<Column, { storage: 'struct' }>
    overflow(batch.columns[1]!, 1)
    overflow(nested.children[0]!, 1)
    const encode = () => encoder.encode(shapeOf('t', some), batch, null, 2)
    expect(encode()).toHaveLength(1)
    overflow(nested.children[0]!, 0)
    expect(encode).toThrow(expect.objectContaining({ code: 'TIMESTAMP_OUT_OF_RANGE' }))
  })
})
