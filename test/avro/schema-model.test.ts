import { describe, expect, it } from 'vitest'
import type { AvroType, RecordType } from '../../src/avro/schema-model.ts'
import { parseAvroSchema } from '../../src/avro/schema-model.ts'
import { PipelineError } from '../../src/errors.ts'

function parseRecord(json: unknown): RecordType {
  const type = parseAvroSchema(json)
  if (type.kind !== 'record') throw new Error('not a record')
  return type
}

function errorOf(json: unknown): string {
  try {
    parseAvroSchema(json)
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'SCHEMA_INVALID') return error.message
    throw error
  }
  return 'no error'
}

const record = (fields: unknown, extra: object = {}) => ({ type: 'record', name: 'R', fields, ...extra })
const logicalOf = (json: unknown) => (parseAvroSchema(json) as { logical: unknown }).logical

describe('names', () => {
  it('take the namespace of the definition, of a dotted name, or of what is around them', () => {
    const type = parseRecord({
      type: 'record',
      name: 'Outer',
      namespace: 'a.b',
      fields: [
        { name: 'inherited', type: { type: 'fixed', name: 'F', size: 1 } },
        { name: 'own', type: { type: 'fixed', name: 'F', namespace: 'c', size: 2 } },
        { name: 'dotted', type: { type: 'enum', name: 'd.e.E', namespace: 'ignored', symbols: ['X'] } },
        { name: 'reference', type: 'F' },
        { name: 'full', type: 'c.F' },
      ],
    })
    const names = type.fields.map((field) => (field.type as { name: string }).name)
    expect(type.name).toBe('a.b.Outer')
    expect(names).toEqual(['a.b.F', 'c.F', 'd.e.E', 'a.b.F', 'c.F'])
    expect(type.fields[3]!.type).toBe(type.fields[0]!.type)
  })

  it('of aliases are relative to the namespace of the type', () => {
    const type = parseRecord({ ...record([]), namespace: 'n', aliases: ['Old', 'm.Older'] })
    expect(type.aliases).toEqual(['n.Old', 'm.Older'])
  })

  it('may refer to the type that is being defined', () => {
    const type = parseRecord(record([{ name: 'next', type: ['null', 'R'] }]))
    const union = type.fields[0]!.type as { branches: readonly AvroType[] }
    expect(union.branches[1]).toBe(type)
  })

  it.each([
    [record([{ name: 'f', type: 'Missing' }]), 'the schema at f names the type "Missing"'],
    [record([{ name: 'a-b', type: 'int' }]), 'has a field with the name "a-b"'],
    [
      record([
        { name: 'f', type: 'int' },
        { name: 'f', type: 'int' },
      ]),
      'two fields with the name f',
    ],
    [record([], { name: '1R' }), 'has the name "1R"'],
    [record([], { name: 'int' }), 'redefines the primitive type int'],
    [{ type: 'record', fields: [] }, 'is a record without a "name"'],
    [
      record([{ name: 'f', type: { type: 'fixed', name: 'R', size: 1 } }]),
      'the schema at f defines R a second time',
    ],
  ])('that are wrong are refused: %j', (json, message) => {
    expect(errorOf(json)).toContain(message)
  })
})

describe('structure', () => {
  it.each([
    [null, 'did you mean "null"'],
    [42, 'is 42 where a type is expected'],
    [{}, 'has no "type"'],
    [[], 'a union without branches'],
    [['int', 'int'], 'two branches of type int'],
    [['null', ['int']], 'a union directly inside a union'],
    [{ type: 'array' }, 'an array without "items"'],
    [{ type: 'map' }, 'a map without "values"'],
    [record('x'), 'without a list of "fields"'],
    [record([{ name: 'f' }]), 'the schema at f has no "type"'],
    [
      record([{ name: 'f', type: { type: 'array', items: { type: 'map', values: 'x' } } }]),
      'at f[]{} names the type "x"',
    ],
    [{ type: 'enum', name: 'E', symbols: [] }, 'without "symbols"'],
    [{ type: 'enum', name: 'E', symbols: ['A', 'A'] }, 'a symbol twice'],
    [{ type: 'enum', name: 'E', symbols: ['A B'] }, 'the symbol "A B"'],
    [{ type: 'enum', name: 'E', symbols: ['A'], default: 'B' }, 'the default "B"'],
    [{ type: 'fixed', name: 'F', size: -1 }, 'with the size -1'],
    [{ type: 'fixed', name: 'F', size: 1.5 }, 'with the size 1.5'],
  ])('that is wrong is refused with its path: %j', (json, message) => {
    expect(errorOf(json)).toContain(message)
  })

  it('that is absurdly deep is refused, not a stack overflow', () => {
    let json: unknown = 'int'
    for (let i = 0; i < 20_000; i++) json = { type: 'array', items: json }
    expect(errorOf(json)).toContain('nested deeper than 200 levels')
  })

  it('of some generators, {"type": {"type": …}}, is what is inside', () => {
    expect(parseAvroSchema({ type: { type: 'string' } })).toEqual({ kind: 'string', logical: null })
  })
})

describe('logical types', () => {
  it('are read from the attributes', () => {
    expect(logicalOf({ type: 'long', logicalType: 'timestamp-millis' })).toEqual({ kind: 'timestamp-millis' })
    const decimal = { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 }
    expect(logicalOf(decimal)).toEqual({ kind: 'decimal', precision: 9, scale: 2 })
    expect(logicalOf({ ...decimal, scale: undefined })).toEqual({ kind: 'decimal', precision: 9, scale: 0 })
    const fixed = { type: 'fixed', name: 'F', size: 16, logicalType: 'uuid' }
    expect(logicalOf(fixed)).toEqual({ kind: 'uuid' })
  })

  it.each([
    { type: 'long', logicalType: 'nonsense' },
    { type: 'long', logicalType: 'toString' },
    { type: 'int', logicalType: 'timestamp-millis' },
    { type: 'string', logicalType: 'date' },
    { type: 'bytes', logicalType: 'decimal' },
    { type: 'bytes', logicalType: 'decimal', precision: 0 },
    { type: 'bytes', logicalType: 'decimal', precision: 4, scale: 5 },
    { type: 'bytes', logicalType: 'decimal', precision: '4' },
    { type: 'fixed', name: 'F', size: 2, logicalType: 'decimal', precision: 5 },
    { type: 'fixed', name: 'F', size: 15, logicalType: 'uuid' },
    { type: 'fixed', name: 'F', size: 16, logicalType: 'duration' },
  ])('that are unknown or wrong leave the underlying type, as the specification says: %j', (json) => {
    expect(logicalOf(json)).toBeNull()
  })
})
