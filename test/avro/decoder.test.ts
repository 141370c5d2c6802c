import { describe, expect, it } from 'vitest'
import { compileDecoder } from '../../src/avro/decoder.ts'
import { fieldsOf } from '../../src/avro/fields.ts'
import { parseAvroSchema } from '../../src/avro/schema-model.ts'
import { createBatch } from '../../src/columns/column.ts'
import { valueAt } from '../../src/columns/row.ts'
import { decodeOne, recordOf, repeated, text, varint } from './decode-one.ts'

const decodeSame = (type: unknown, bytes: readonly number[]) =>
  decodeOne(recordOf(type), recordOf(type), bytes)
const double = (value: number) => [...new Uint8Array(Float64Array.of(value).buffer)]

const good = (name: string) => [...text(name), 4, 2, ...text(`${name}!`), 0, 0, ...double(1)]

function arenaOf(messages: readonly (readonly number[])[]) {
  const starts: number[] = []
  const ends: number[] = []
  const bytes: number[] = []
  for (const message of messages) {
    starts.push(bytes.length)
    bytes.push(0xaa, ...message)
    ends.push(bytes.length)
  }
  return { arena: Uint8Array.from(bytes), starts: Int32Array.from(starts), ends: Int32Array.from(ends) }
}

describe('a record that is cut', () => {
  it.each([
    ['double', [1, 2, 3], 'field f: 3 bytes left where a double needs 8'],
    ['float', [1], 'field f: 1 byte left where a float needs 4'],
    ['double', [], 'field f: the record ends where a double should be'],
    ['int', [0x80], 'field f: 1 byte left where an int goes on'],
    ['long', [0x80, 0x80], 'field f: 2 bytes left where a long goes on'],
    ['string', [20, 97], 'field f: a string goes on beyond the end of the record'],
    ['boolean', [], 'field f: the record ends where a boolean should be'],
    [{ type: 'fixed', name: 'F', size: 4 }, [1, 2], 'field f: 2 bytes left where a fixed needs 4'],
    [
      { type: 'fixed', name: 'F', size: 16, logicalType: 'uuid' },
      [1],
      'field f: 1 byte left where a uuid needs 16',
    ],
    [
      { type: 'array', items: 'double' },
      [2, 1],
      'field f: an array block with more items than the record has bytes for',
    ],
    [{ type: 'array', items: 'int' }, [4, 2, 2], 'field f: the record ends where an array block should be'],
    [['null', 'string'], [2, 8, 97], 'field f: a string goes on beyond the end of the record'],
  ])('says where: %j %j', (type, bytes, failure) => {
    expect(decodeSame(type, bytes)).toBe(failure)
  })

  it('names the field by its path', () => {
    const inner = {
      type: 'record',
      name: 'I',
      fields: [{ name: 'x', type: { type: 'map', values: 'double' } }],
    }
    expect(decodeSame(inner, [2, ...text('k'), 1, 2, 3, 4, 5, 6, 7])).toBe(
      'field f.x{}: 7 bytes left where a double needs 8',
    )
  })
})

describe('a record that is not what the schema says', () => {
  const decimal = { type: 'bytes', logicalType: 'decimal', precision: 4, scale: 2 }
  it.each([
    ['int', [2, 3], '1 byte left over after the last field'],
    ['boolean', [2], 'field f: a boolean that is neither 0 nor 1'],
    ['int', [0xff, 0xff, 0xff, 0xff, 0x10], 'field f: an int out of range'],
    ['int', [0x80, 0x80, 0x80, 0x80, 0x80, 0], 'field f: an int whose varint does not end'],
    ['long', [...repeated(0xff, 9), 2], 'field f: a long out of range'],
    ['long', [...repeated(0x80, 10), 0], 'field f: a long whose varint does not end'],
    ['string', [1], 'field f: a string with a negative length'],
    ['string', [4, 0xc3, 0x28], 'field f: a string that is not UTF-8'],
    ['string', varint(2n ** 40n), 'field f: a string goes on beyond the end of the record'],
    [{ type: 'map', values: 'int' }, [2, 2, 0xff, 2, 0], 'field f{}: a key that is not UTF-8'],
    [
      { type: 'enum', name: 'E', symbols: ['A'] },
      [2],
      "field f: an enum with an index that the writer's schema does not have",
    ],
    [['null', 'int'], [4], "field f: a union branch with an index that the writer's schema does not have"],
    [['null', 'int'], [1], "field f: a union branch with an index that the writer's schema does not have"],
    [decimal, [0], 'field f: a decimal of 4 digits of no bytes'],
    [decimal, [4, 0x27, 0x10], 'field f: a decimal of 4 digits has more of them'],
    [decimal, [4, 0xd8, 0xf0], 'field f: a decimal of 4 digits has more of them'],
    [
      { type: 'array', items: 'int' },
      [...varint(2n ** 40n)],
      'field f: an array block with more items than the record has bytes for',
    ],
    [
      { type: 'array', items: 'int' },
      [...varint(-(2n ** 63n)), 0, 0],
      'field f: an array block with more items than the record has bytes for',
    ],
    [{ type: 'array', items: 'int' }, [1, 4, 2, 0], 'field f: an array block that is not as long as it says'],
    [
      { type: 'array', items: 'int' },
      [1, 200, 2, 0],
      'field f: an array block that is not as long as it says',
    ],
  ])('is refused: %j %j', (type, bytes, failure) => {
    expect(decodeSame(type, bytes)).toBe(failure)
  })

  it('may have varints longer than they need to be, and sized blocks', () => {
    expect(decodeSame('int', [0x82, 0x80, 0x00])).toEqual({ f: 1 })
    expect(decodeSame('string', [0x82, 0x00, 97])).toEqual({ f: 'a' })
    expect(decodeSame(['null', 'int'], [0x82, 0x00, 4])).toEqual({ f: 2 })
    expect(decodeSame({ type: 'array', items: 'int' }, [3, 4, 2, 4, 2, 6, 0])).toEqual({ f: [1, 2, 3] })
  })

  it('keeps decimals up to their precision, on both sides, from any number of bytes', () => {
    expect(decodeSame(decimal, [4, 0x27, 0x0f])).toEqual({ f: { unscaled: 9999n, scale: 2 } })
    expect(decodeSame(decimal, [4, 0xd8, 0xf1])).toEqual({ f: { unscaled: -9999n, scale: 2 } })
    expect(decodeSame(decimal, [40, ...repeated(0xff, 19), 0xfe])).toEqual({
      f: { unscaled: -2n, scale: 2 },
    })
    const widest = { type: 'bytes', logicalType: 'decimal', precision: 38 }
    const tooWide = [0, ...repeated(0xff, 16)]
    expect(decodeSame(widest, [34, ...tooWide])).toBe('field f: a decimal of 38 digits has more of them')
    expect(decodeSame(widest, [34, 0xff, ...repeated(0, 16)])).toBe(
      'field f: a decimal of 38 digits has more of them',
    )
  })

  it('holds milliseconds as far as a table can hold them in microseconds', () => {
    const millis = { type: 'long', logicalType: 'timestamp-millis' }
    expect(decodeSame(millis, varint(9223372036854775n))).toEqual({ f: Number(9223372036854775n) })
    expect(decodeSame(millis, varint(-9223372036854775n))).toEqual({ f: Number(-9223372036854775n) })
    expect(decodeSame(millis, varint(9223372036854776n))).toBe('field f: a long out of range')
    expect(decodeSame(millis, varint(-9223372036854776n))).toBe('field f: a long out of range')
    expect(decodeSame(millis, varint(2n ** 63n - 1n))).toBe('field f: a long out of range')
  })
})

describe('items that take no bytes', () => {
  const empty = { type: 'array', items: { type: 'record', name: 'E', fields: [] } }
  const filled = {
    type: 'array',
    items: { type: 'record', name: 'E', fields: [{ name: 'x', type: 'int', default: 7 }] },
  }

  it('are read as the defaults of the reader', () => {
    expect(decodeOne(recordOf(empty), recordOf(filled), [4, 0])).toEqual({ f: [{ x: 7 }, { x: 7 }] })
  })

  it('cannot fill the memory, in one block or in many', () => {
    const failure = 'field f: an array block with more than 65536 items that take no bytes'
    expect(decodeOne(recordOf(empty), recordOf(filled), [...varint(2n ** 60n), 0])).toBe(failure)
    expect(decodeOne(recordOf(empty), recordOf(filled), [...varint(60_000), ...varint(6_000), 0])).toBe(
      failure,
    )
  })

  it('cannot take the time either where they are skipped', () => {
    const skipped = recordOf('int', { name: 'g', type: empty })
    expect(decodeOne(skipped, recordOf('int'), [2, ...varint(2n ** 60n), 0])).toContain(
      'field g: the skipped array',
    )
  })
})

describe('fields that the reader does not have', () => {
  const node = { type: 'record', name: 'N', fields: [{ name: 'next', type: ['null', 'N'] }] }

  it('may be recursive', () => {
    const writer = recordOf('int', { name: 'g', type: node }, { name: 'h', type: 'int' })
    const reader = recordOf('int', { name: 'h', type: 'int' })
    expect(decodeOne(writer, reader, [2, 2, 2, 2, 0, 4])).toEqual({ f: 1, h: 2 })
  })

  it('fail the record where they are nested too deep, before the stack ends', () => {
    const writer = recordOf('int', { name: 'g', type: node })
    const bytes = [2, ...repeated(2, 100_000), 0]
    expect(decodeOne(writer, recordOf('int'), bytes)).toBe(
      'field g: the skipped record is nested deeper than 500 levels',
    )
  })

  it('are passed by with the same bounds', () => {
    const writer = recordOf('int', { name: 'g', type: 'string' })
    expect(decodeOne(writer, recordOf('int'), [2, 8, 97])).toBe(
      'field g: the skipped string goes on beyond the end of the record',
    )
  })
})

describe('a batch', () => {
  const schema = parseAvroSchema(
    recordOf(
      'string',
      { name: 'list', type: { type: 'array', items: ['null', 'string'] } },
      { name: 'x', type: 'double' },
    ),
  )
  it('stops at the record that fails, and nothing of that is left', () => {
    const { arena, starts, ends } = arenaOf([good('a'), good('b').slice(0, -1), good('c'), [...good('d'), 0]])
    const decoder = compileDecoder(schema, schema)
    const { columns } = createBatch(fieldsOf(schema))
    expect(decoder.decode(arena, starts, ends, 1, 0, 4, columns)).toBe(1)
    expect(decoder.failure).toBe('field x: 7 bytes left where a double needs 8')
    expect(columns.map((column) => column.length)).toEqual([1, 1, 1])
    expect(decoder.decode(arena, starts, ends, 1, 2, 4, columns)).toBe(3)
    expect(decoder.failure).toBe('1 byte left over after the last field')
    expect(columns.map((column) => column.length)).toEqual([2, 2, 2])
    expect([0, 1].map((row) => valueAt(columns[0]!, row))).toEqual(['a', 'c'])
    expect([0, 1].map((row) => valueAt(columns[1]!, row))).toEqual([
      ['a!', null],
      ['c!', null],
    ])
  })

  it('leaves columns behind those of the schema alone', () => {
    const { arena, starts, ends } = arenaOf([good('a')])
    const { columns } = createBatch([
      ...fieldsOf(schema),
      { name: '_offset', type: { kind: 'int64' }, nullable: false },
    ])
    expect(compileDecoder(schema, schema).decode(arena, starts, ends, 1, 0, 1, columns)).toBe(1)
    expect(columns.map((column) => column.length)).toEqual([1, 1, 1, 0])
  })

  it('has a failure for a record that is shorter than what is skipped', () => {
    const decoder = compileDecoder(schema, schema)
    const { columns } = createBatch(fieldsOf(schema))
    const done = decoder.decode(Uint8Array.of(1, 2), Int32Array.of(0), Int32Array.of(2), 5, 0, 1, columns)
    expect([done, decoder.failure]).toEqual([0, 'the record ends before its body begins'])
  })

  it('grows: 3,000 records with lists of up to 40 strings', () => {
    const messages = Array.from({ length: 3_000 }, (_, index) => {
      const items = Array.from({ length: index % 41 }, (__, item) => [2, ...text(`${index}/${item}/€`)])
      const list = items.length === 0 ? [0] : [...varint(items.length), ...items.flat(), 0]
      return [...text(`record ${index}`), ...list, ...double(index)]
    })
    const { arena, starts, ends } = arenaOf(messages)
    const { columns } = createBatch(fieldsOf(schema))
    const decoder = compileDecoder(schema, schema)
    for (let from = 0; from < 3_000; from += 700) {
      const to = Math.min(from + 700, 3_000)
      expect(decoder.decode(arena, starts, ends, 1, from, to, columns)).toBe(to)
    }
    for (let row = 0; row < 3_000; row++) {
      const list = Array.from({ length: row % 41 }, (_, item) => `${row}/${item}/€`)
      expect(valueAt(columns[1]!, row)).toEqual(list)
    }
  })

  it('refuses columns of another schema', () => {
    const { columns } = createBatch([{ name: 'f', type: { kind: 'int32' }, nullable: false }])
    const { arena, starts, ends } = arenaOf([good('a')])
    expect(() => compileDecoder(schema, schema).decode(arena, starts, ends, 1, 0, 1, columns)).toThrow(
      /column 0/,
    )
  })
})

it('names, symbols and defaults from outside never become code', () => {
  const evil = '"]}`);globalThis.hacked=1;//${globalThis.hacked=1}'
  const reader = recordOf(
    'int',
    { name: '__proto__', type: 'string', default: evil },
    {
      name: 'constructor',
      type: { type: 'map', values: 'string' },
      default: { [evil]: evil },
    },
  )
  const row = decodeOne(recordOf('int'), reader, [2]) as Record<string, unknown>
  expect(row['constructor']).toEqual({ [evil]: evil })
  expect('hacked' in globalThis).toBe(false)
})
