import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import { decodeOne, recordOf, text, varint } from './decode-one.ts'

const readAs = (writer: unknown, reader: unknown, bytes: readonly number[]) =>
  decodeOne(recordOf(writer), recordOf(reader), bytes)

function refusal(writer: unknown, reader: unknown): string {
  try {
    decodeOne(writer, reader, [])
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'SCHEMA_INCOMPATIBLE') return error.message
    throw error
  }
  return 'no error'
}

const enumOf = (symbols: readonly string[], extra: object = {}) => ({
  type: 'enum',
  name: 'E',
  symbols,
  ...extra,
})
const fixedOf = (name: string, size: number, extra: object = {}) => ({ type: 'fixed', name, size, ...extra })

const recordWith = (fields: readonly object[]) => ({ type: 'record', name: 'R', fields })
const named = (name: string, type: string, extra: object = {}) => ({
  type: 'record',
  name,
  fields: [{ name: 'x', type }],
  ...extra,
})
const inner = (name: string, extra: object = {}) => recordOf(named(name, 'int', extra))
const list = (type: string) => recordOf({ type: 'array', items: { type: 'map', values: named('I', type) } })
const long = (logicalType: string) => ({ type: 'long', logicalType })
const decimal = (precision: number, scale: number) => ({
  type: 'bytes',
  logicalType: 'decimal',
  precision,
  scale,
})

describe('promotion', () => {
  it.each([
    ['int', 'long', varint(-3), -3n],
    ['int', 'float', varint(16_777_217), 16_777_216],
    ['int', 'double', varint(16_777_217), 16_777_217],
    ['long', 'double', varint(2n ** 60n + 1n), 2 ** 60],
    ['long', 'float', varint(-5), -5],
    ['string', 'bytes', text('ab'), Uint8Array.of(97, 98)],
    ['bytes', 'string', text('ab'), 'ab'],
    ['int', { type: 'long', logicalType: 'timestamp-millis' }, varint(-3), -3],
  ])('%j as %j', (writer, reader, bytes, value) => {
    expect(readAs(writer, reader, bytes)).toEqual({ f: value })
  })

  it('of a long to a float rounds once', () => {
    // Just above the middle of two floats, by less than a double can tell.
    const long = 2n ** 60n + 2n ** 36n + 1n
    expect(readAs('long', 'float', varint(long))).toEqual({ f: 2 ** 60 + 2 ** 37 })
    expect(readAs('long', 'float', varint(-long))).toEqual({ f: -(2 ** 60) - 2 ** 37 })
    expect(readAs('long', 'float', varint(2n ** 60n + 2n ** 36n))).toEqual({ f: 2 ** 60 })
  })

  it('does not go down', () => {
    expect(refusal(recordOf('long'), recordOf('int'))).toBe('field f: long cannot be read as int')
    expect(refusal(recordOf('double'), recordOf('float'))).toContain('double cannot be read as float')
    expect(refusal(recordOf('boolean'), recordOf('int'))).toContain('boolean cannot be read as int')
    expect(refusal(recordOf('string'), recordOf('long'))).toContain('string cannot be read as long')
  })

  it('of bytes to a string checks that they are one', () => {
    expect(readAs('bytes', 'string', [2, 0xff])).toBe('field f: a bytes value that is not UTF-8')
  })
})

describe('fields', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => ({ name, type: 'int' }))

  it('are found by name, in any order, and the others passed over', () => {
    expect(decodeOne(recordWith([a!, b!, c!]), recordWith([c!, a!]), [2, 4, 6])).toEqual({ a: 1, c: 3 })
  })

  it('are found by the aliases of the reader', () => {
    const renamed = { name: 'z', type: 'int', aliases: ['old', 'b'] }
    expect(decodeOne(recordWith([a!, b!]), recordWith([renamed, a!]), [2, 4])).toEqual({ a: 1, z: 2 })
  })

  it('may be read twice, and a name goes before an alias', () => {
    const copy = { name: 'z', type: 'long', aliases: ['a'] }
    expect(decodeOne(recordWith([a!, b!]), recordWith([copy, b!, a!]), [2, 4])).toEqual({ a: 1, b: 2, z: 1n })
    const own = { name: 'b', type: 'int', aliases: ['a'] }
    expect(decodeOne(recordWith([a!, b!]), recordWith([own]), [2, 4])).toEqual({ b: 2 })
  })

  it('that the writer does not have need a default', () => {
    expect(refusal(recordWith([a!]), recordWith([a!, b!]))).toBe(
      'field b: the writer has no such field, and the reader no default for it',
    )
    expect(decodeOne(recordWith([a!]), recordWith([{ ...b, default: -7 }, a!]), [2])).toEqual({ a: 1, b: -7 })
  })

  it('get defaults of every type', () => {
    const point = {
      type: 'record',
      name: 'P',
      fields: [
        { name: 'x', type: 'double', default: 0.5 },
        { name: 'y', type: ['null', 'int'] },
      ],
    }
    const defaults: Record<string, readonly [unknown, unknown, unknown]> = {
      boolean: ['boolean', true, true],
      long: ['long', -5, -5n],
      float: ['float', 'NaN', Number.NaN],
      double: ['double', -0.0, -0.0],
      string: ['string', 'größer', 'größer'],
      bytes: ['bytes', 'ÿ\u0000', Uint8Array.of(255, 0)],
      fixed: [fixedOf('F2', 2), '\u0001ÿ', Uint8Array.of(1, 255)],
      decimal: [
        { type: 'bytes', logicalType: 'decimal', precision: 4, scale: 1 },
        'ÿ',
        { unscaled: -1n, scale: 1 },
      ],
      uuid: [
        fixedOf('U', 16, { logicalType: 'uuid' }),
        '\u0010'.repeat(16),
        '10101010-1010-1010-1010-101010101010',
      ],
      enum: [enumOf(['A', 'B']), 'B', 'B'],
      list: [{ type: 'array', items: ['null', 'string'] }, ['a', null], ['a', null]],
      map: [
        { type: 'map', values: { type: 'array', items: 'int' } },
        { k: [1, 2], l: [] },
        { k: [1, 2], l: [] },
      ],
      record: [point, { y: 3 }, { x: 0.5, y: 3 }],
      absent: [['null', 'P'], null, null],
      laterBranch: [['null', 'int'], 4, 4],
      union: [['int', 'string', 'null'], 'b', { string: 'b' }],
      emptyUnion: [['int', 'string', 'null'], null, null],
    }
    const fields = Object.entries(defaults).map(([name, [type, json]]) => ({ name, type, default: json }))
    const expected = Object.fromEntries(Object.entries(defaults).map(([name, [, , value]]) => [name, value]))
    expect(decodeOne(recordOf('int'), recordWith([...fields, { name: 'f', type: 'int' }]), [2])).toEqual({
      ...expected,
      f: 1,
    })
  })

  it('nested in a record, a list or a map are named by their path', () => {
    expect(refusal(list('string'), list('int'))).toBe('field f[]{}.x: string cannot be read as int')
  })
})

describe('named types', () => {
  it('match without their namespaces, or by an alias of the reader', () => {
    expect(decodeOne(inner('a.b.I'), inner('c.I'), [2])).toEqual({ f: { x: 1 } })
    expect(decodeOne(inner('a.b.I'), inner('J', { aliases: ['a.b.I'] }), [2])).toEqual({ f: { x: 1 } })
    expect(refusal(inner('I'), inner('J'))).toBe(
      "field f: record I cannot be read as J; an alias in the reader's schema would allow it",
    )
    expect(refusal({ ...recordOf('int'), name: 'S' }, recordOf('int'))).toContain(
      'the record: record S cannot be read as R',
    )
  })

  it('of fixed size need the same size', () => {
    expect(refusal(recordOf(fixedOf('F', 2)), recordOf(fixedOf('F', 3)))).toBe(
      'field f: fixed of 2 bytes cannot be read as fixed of 3',
    )
    expect(refusal(recordOf(fixedOf('F', 2)), recordOf(fixedOf('G', 2)))).toContain(
      'fixed F cannot be read as G',
    )
  })

  it('of symbols go by symbol, then by the default of the reader', () => {
    const writer = enumOf(['A', 'B', 'C'])
    expect(readAs(writer, enumOf(['C', 'B', 'A']), [4])).toEqual({ f: 'C' })
    expect(readAs(writer, enumOf(['X', 'A'], { default: 'X' }), [4])).toEqual({ f: 'X' })
    expect(readAs(writer, enumOf(['B']), [2])).toEqual({ f: 'B' })
    expect(readAs(writer, enumOf(['B']), [4])).toBe("field f: the reader's enum has none of A, C")
    expect(refusal(recordOf(writer), recordOf(enumOf(['X'])))).toContain(
      'has no symbol that the reader knows',
    )
  })
})

describe('unions', () => {
  it('to and from a plain type', () => {
    expect(readAs('int', ['null', 'int'], [2])).toEqual({ f: 1 })
    expect(readAs('int', ['string', 'long'], [2])).toEqual({ f: { long: 1n } })
    expect(readAs(['int'], 'int', [0, 2])).toEqual({ f: 1 })
    expect(readAs(['null', 'int'], 'int', [2, 2])).toEqual({ f: 1 })
  })

  it('to one another, branch by branch', () => {
    expect(readAs(['null', 'int'], ['int', 'null'], [0])).toEqual({ f: null })
    expect(readAs(['null', 'int'], ['long', 'null'], [2, 2])).toEqual({ f: 1n })
    expect(readAs(['string', 'int'], ['null', 'int', 'bytes', 'string'], [0, 2, 97])).toEqual({
      f: { string: 'a' },
    })
  })

  it('prefer the branch of the same type to an earlier one that could take it', () => {
    expect(readAs(['long', 'int'], ['long', 'int'], [2, 2])).toEqual({ f: { int: 1 } })
    expect(readAs('int', ['double', 'long'], [2])).toEqual({ f: { double: 1 } })
  })

  it('fail a record whose branch the reader does not have', () => {
    expect(readAs(['null', 'int'], 'int', [0])).toBe('field f: null cannot be read as int')
    expect(readAs(['int', 'string'], ['null', 'int'], [2, 2, 97])).toBe(
      'field f: string cannot be read as int',
    )
    expect(readAs(['int', 'boolean'], ['string', 'int'], [2, 1])).toBe(
      "field f: boolean is none of the reader's branches string, int",
    )
  })

  it('do not resolve where no branch but null does', () => {
    expect(refusal(recordOf(['null', 'string']), recordOf(['null', 'int']))).toBe(
      'field f: string cannot be read as int',
    )
    expect(refusal(recordOf('null'), recordOf('int'))).toBe('field f: null cannot be read as int')
    expect(refusal(recordOf(['boolean', 'string']), recordOf(['int', 'long']))).toContain(
      'boolean is none of',
    )
  })

  it('tell records apart by name', () => {
    const [a, b] = [named('A', 'int'), named('B', 'string')]
    expect(readAs([a, b], [b, a], [2, 2, 97])).toEqual({ f: { B: { x: 'a' } } })
  })
})

describe('logical types', () => {
  it('may be added or left out', () => {
    expect(readAs('long', long('timestamp-millis'), [2])).toEqual({ f: 1 })
    expect(readAs(long('timestamp-millis'), 'long', [2])).toEqual({ f: 1n })
    expect(readAs('bytes', decimal(4, 2), [2, 5])).toEqual({ f: { unscaled: 5n, scale: 2 } })
  })

  it('are refused where they would say something else about the same number', () => {
    expect(refusal(recordOf(long('timestamp-millis')), recordOf(long('timestamp-micros')))).toBe(
      'field f: logical type timestamp-millis is not timestamp-micros',
    )
    expect(
      refusal(recordOf({ type: 'int', logicalType: 'date' }), recordOf(long('timestamp-millis'))),
    ).toContain('logical type date is not timestamp-millis')
    expect(refusal(recordOf(decimal(4, 2)), recordOf(decimal(4, 1)))).toContain(
      'decimal(4, 2) is not decimal(4, 1)',
    )
    expect(refusal(recordOf('string'), recordOf(decimal(4, 2)))).toContain('string cannot be read as bytes')
  })

  it('of decimals may change the precision: each value is checked', () => {
    expect(readAs(decimal(9, 2), decimal(2, 2), [2, 99])).toEqual({ f: { unscaled: 99n, scale: 2 } })
    expect(readAs(decimal(9, 2), decimal(2, 2), [2, 100])).toBe(
      'field f: a decimal of 2 digits has more of them',
    )
  })
})
