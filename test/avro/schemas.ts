import fc from 'fast-check'
import type { GeneratorValue } from 'fast-check'

/**
 * Random schemas as JSON, values of them as avsc takes them (unions always wrapped), and evolutions of a schema.
 * Named types are T0, T1 … so that no two of them share a name.
 */
export type Schema = string | readonly Schema[] | SchemaObject
export interface SchemaObject {
  readonly type: string
  readonly [attribute: string]: unknown
}
export interface FieldSchema {
  readonly name: string
  readonly type: Schema
  readonly aliases?: readonly string[]
  readonly default?: unknown
}

export class SchemaMaker {
  readonly #g: GeneratorValue
  /** True: unions list narrow numbers first, so that the first branch that matches is the one of the same type. */
  readonly #ordered: boolean
  #names = 0

  constructor(g: GeneratorValue, ordered: boolean) {
    this.#g = g
    this.#ordered = ordered
  }

  pick<T>(...items: readonly T[]): T {
    return this.#g(fc.constantFrom, ...items)
  }

  chance(outOf: number): boolean {
    return this.upTo(outOf - 1) === 0
  }

  upTo(max: number): number {
    return this.#g(fc.nat, { max })
  }

  record(depth: number): SchemaObject {
    const name = this.name()
    const fields = Array.from({ length: 1 + this.upTo(5) }, (_, index) => ({
      name: `f${index}`,
      type: this.type(depth),
    }))
    return { type: 'record', name, fields }
  }

  name(): string {
    return `T${this.#names++}`
  }

  type(depth: number): Schema {
    const kind = this.pick(
      'plain',
      'plain',
      'logical',
      'named',
      'nullable',
      'nullable',
      'array',
      'map',
      'record',
      'union',
    )
    if (depth > 0) {
      if (kind === 'array') return { type: 'array', items: this.type(depth - 1) }
      if (kind === 'map') return { type: 'map', values: this.type(depth - 1) }
      if (kind === 'record') return this.record(depth - 1)
      if (kind === 'union') return this.union(depth - 1)
    }
    if (kind !== 'nullable') return this.leaf()
    const value = depth > 0 && this.chance(2) ? this.notUnion(depth - 1) : this.leaf()
    return this.pick<Schema>(['null', value], [value, 'null'], [value])
  }

  notUnion(depth: number): Schema {
    const type = this.type(depth)
    return Array.isArray(type) ? this.leaf() : type
  }

  leaf(): Schema {
    switch (this.upTo(3)) {
      case 0:
        return { type: 'fixed', name: this.name(), size: 1 + this.upTo(5) }
      case 1:
        return this.enumeration()
      case 2:
        return this.logical()
      default:
        return this.pick('boolean', 'int', 'long', 'float', 'double', 'string', 'bytes')
    }
  }

  enumeration(): SchemaObject {
    return { type: 'enum', name: this.name(), symbols: ['A', 'B', 'C', 'D'].slice(0, 1 + this.upTo(3)) }
  }

  logical(): SchemaObject {
    const decimal = { logicalType: 'decimal', precision: 1 + this.upTo(8), scale: 0 }
    return this.pick<() => SchemaObject>(
      () => ({ type: 'int', logicalType: this.pick('date', 'time-millis') }),
      () => ({
        type: 'long',
        logicalType: this.pick(
          'time-micros',
          'timestamp-millis',
          'timestamp-micros',
          'local-timestamp-millis',
          'local-timestamp-micros',
        ),
      }),
      () => ({ type: 'bytes', ...decimal, precision: this.pick(1, 5, 18, 38), scale: this.upTo(1) }),
      () => ({ type: 'fixed', name: this.name(), size: this.pick(4, 9), ...decimal }),
      () => ({ type: 'string', logicalType: 'uuid' }),
      () => ({ type: 'fixed', name: this.name(), size: 16, logicalType: 'uuid' }),
      () => ({ type: 'long', logicalType: this.pick('date', 'nonsense') }),
    )()
  }

  union(depth: number): Schema {
    const numbers = ['int', 'long', 'float', 'double'].filter(() => this.chance(3))
    const others: Schema[] = [this.pick('string', 'bytes')]
    if (this.chance(2)) others.push('boolean')
    if (this.chance(2)) others.push(this.record(depth > 0 ? depth - 1 : 0))
    if (this.chance(3)) others.push(this.enumeration())
    if (this.chance(3)) others.push({ type: 'array', items: this.type(0) })
    if (this.chance(2)) others.push('null')
    const branches = [...numbers, ...others]
    return this.#ordered ? branches : branches.reverse()
  }

  /** A value as `type.toBuffer` takes it, with longs as bigints. */
  value(schema: Schema, names: Map<string, SchemaObject> = new Map()): unknown {
    if (Array.isArray(schema)) {
      const branch = schema[this.upTo(schema.length - 1)] as Schema
      if (branch === 'null') return null
      return { [branchName(branch)]: this.value(branch, names) }
    }
    const type = typeof schema === 'string' ? schema : (schema as SchemaObject).type
    const object = schema as SchemaObject
    switch (type) {
      case 'boolean':
        return this.chance(2)
      case 'int':
        return this.#g(() => INT)
      case 'long':
        return this.#g(() => LONG)
      case 'float':
        return this.#g(fc.float)
      case 'double':
        return this.#g(fc.double)
      case 'string':
        return this.#g(() => STRING)
      case 'bytes':
      case 'fixed':
        return this.#bytes(object)
      case 'enum':
        return this.pick(...(object['symbols'] as readonly string[]))
      case 'array':
        return Array.from({ length: this.upTo(4) }, () => this.value(object['items'] as Schema))
      case 'map':
        return Object.fromEntries(
          Array.from({ length: this.upTo(3) }, (_, index) => [
            `k${index}é`,
            this.value(object['values'] as Schema),
          ]),
        )
      case 'record':
        return Object.fromEntries(
          (object['fields'] as readonly FieldSchema[]).map((field) => [field.name, this.value(field.type)]),
        )
      default:
        throw new Error(`no values for ${JSON.stringify(schema)}`)
    }
  }

  #bytes(schema: SchemaObject): Buffer {
    const size = schema.type === 'fixed' ? (schema['size'] as number) : null
    if (schema['logicalType'] === 'decimal') {
      const limit = 10n ** BigInt(schema['precision'] as number)
      // Now and then a digit too many.
      const unscaled = this.#g(fc.bigInt, { min: -limit - 2n, max: limit + 2n })
      return twosComplement(unscaled, size ?? 1 + this.upTo(18))
    }
    const length = size ?? this.upTo(9)
    return Buffer.from(this.#g(fc.uint8Array, { minLength: length, maxLength: length }))
  }

  /** A reader's schema for what the writer's wrote; most of the time it resolves. */
  evolve(writer: Schema, depth = 2): Schema {
    if (Array.isArray(writer)) return this.#evolveUnion(writer as readonly Schema[], depth)
    if (this.chance(8) && writer !== 'null') return this.pick<Schema>(['null', writer], [writer])
    if (typeof writer === 'string') return this.#promote(writer)
    const object = writer as SchemaObject
    switch (object.type) {
      case 'int':
      case 'long':
        return this.chance(3) ? object.type : writer
      case 'array':
        return { ...object, items: this.evolve(object['items'] as Schema, depth - 1) }
      case 'map':
        return { ...object, values: this.evolve(object['values'] as Schema, depth - 1) }
      case 'enum':
        return this.#evolveEnum(object)
      case 'record':
        return this.evolveRecord(object, depth)
      default:
        return writer
    }
  }

  #promote(writer: string): Schema {
    const wider: Record<string, readonly string[]> = {
      int: ['int', 'long', 'float', 'double'],
      long: ['long', 'float', 'double'],
      float: ['float', 'double'],
      string: ['string', 'bytes'],
      bytes: ['bytes', 'string'],
    }
    return this.chance(2) ? writer : this.pick(...(wider[writer] ?? [writer]), 'string')
  }

  #evolveUnion(branches: readonly Schema[], depth: number): Schema {
    const valued = branches.filter((branch) => branch !== 'null')
    if (valued.length === 1) {
      const [value] = valued
      const evolved = this.evolve(value!, depth)
      if (Array.isArray(evolved)) return evolved
      return this.pick<Schema>(['null', evolved], [evolved, 'null'])
    }
    return branches.map((branch) => {
      if (typeof branch === 'string') return branch
      const evolved = this.evolve(branch, depth)
      return Array.isArray(evolved) ? branch : evolved
    })
  }

  #evolveEnum(writer: SchemaObject): SchemaObject {
    const symbols = ['A', 'B', 'C', 'D', 'E'].filter(() => !this.chance(4))
    if (symbols.length === 0) return writer
    return this.chance(2)
      ? { ...writer, symbols, default: symbols[0] }
      : { ...writer, symbols: ['E', 'D', 'C', 'B', 'A'] }
  }

  evolveRecord(writer: SchemaObject, depth: number): SchemaObject {
    const fields = (writer['fields'] as readonly FieldSchema[])
      .filter(() => !this.chance(5))
      .map((field): FieldSchema => {
        const type = this.evolve(field.type, depth - 1)
        if (!this.chance(5)) return { name: field.name, type }
        return { name: `renamed_${field.name}`, aliases: [field.name], type }
      })
    while (this.chance(2) || fields.length === 0) {
      const type = this.type(depth > 0 ? 1 : 0)
      fields.splice(this.upTo(fields.length), 0, {
        name: `new_${this.name()}`,
        type,
        ...(this.chance(20) ? {} : { default: this.defaultOf(type) }),
      })
    }
    if (this.chance(3)) fields.reverse()
    if (!this.chance(5)) return { ...writer, fields }
    return { ...writer, name: this.name(), aliases: [writer['name']], fields }
  }

  /** A default as JSON has it: of the first branch of a union, bytes as characters. */
  defaultOf(schema: Schema): unknown {
    if (Array.isArray(schema)) return schema[0] === 'null' ? null : this.defaultOf(schema[0] as Schema)
    const object = schema as SchemaObject
    switch (typeof schema === 'string' ? schema : object.type) {
      case 'boolean':
        return this.chance(2)
      case 'int':
      case 'long':
        return this.#g(fc.integer)
      case 'float':
      case 'double':
        return this.upTo(1000) / 8 - 60
      case 'string':
        return this.pick('', 'dflt', 'größer als sieben Bytes')
      case 'bytes':
        return this.pick('\u0001', '\u0000\u0004', '\u00ff\u00fe')
      case 'fixed':
        return `${'\u0000'.repeat((object['size'] as number) - 1)}\u0007`
      case 'enum':
        return this.pick(...(object['symbols'] as readonly string[]))
      case 'array':
        return Array.from({ length: this.upTo(2) }, () => this.defaultOf(object['items'] as Schema))
      case 'map':
        return Object.fromEntries(['x', 'ÿ'].map((key) => [key, this.defaultOf(object['values'] as Schema)]))
      case 'record':
        return Object.fromEntries(
          (object['fields'] as readonly FieldSchema[]).map((field) => [
            field.name,
            this.defaultOf(field.type),
          ]),
        )
      default:
        throw new Error(`no default for ${JSON.stringify(schema)}`)
    }
  }

  /** Another message: cut, lengthened, or with some bytes changed. */
  spoil(message: Uint8Array): Uint8Array {
    const bytes = Uint8Array.from(message)
    const at = () => this.upTo(Math.max(0, bytes.length - 1))
    switch (this.upTo(5)) {
      case 0:
        return bytes.subarray(0, at())
      case 1:
        return Uint8Array.from([...bytes, this.upTo(255)])
      case 2: {
        const cut = at()
        return Uint8Array.from([...bytes.subarray(0, cut), this.upTo(255), ...bytes.subarray(cut)])
      }
      case 3:
        bytes[at()] = this.pick(0x80, 0xff, 0xfe, 0x01, 0x00, 0x7f, 0xc0, 0xed)
        return bytes
      default:
        for (let count = 1 + this.upTo(2); count > 0; count--) bytes[at()] = this.upTo(255)
        return bytes
    }
  }
}

const INT = fc.oneof(fc.integer(), fc.integer({ min: -70, max: 200 }))
const LONG = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt(-300n, 70_000n),
  fc.bigInt(1_600_000_000_000n, 1_800_000_000_000n),
)
const STRING = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ unit: 'grapheme', maxLength: 40 }))

export function branchName(schema: Schema): string {
  if (typeof schema === 'string') return schema
  const object = schema as SchemaObject
  return typeof object['name'] === 'string' ? object['name'] : object.type
}

/** Big-endian; bytes beyond `size` are lost. */
export function twosComplement(value: bigint, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i++) bytes[size - 1 - i] = Number((value >> BigInt(8 * i)) & 0xffn)
  return bytes
}
