import { PipelineError } from '../../src/errors.ts'

/** An Avro schema with its names resolved, as far as it decides how a value looks in JSON. */
export type Shape =
  | { readonly kind: 'null' | 'boolean' | 'string' | 'float' | 'double' }
  | { readonly kind: 'int' | 'long'; readonly logical: TimeLogical | null }
  | { readonly kind: 'bytes'; readonly decimal: DecimalLogical | null }
  | { readonly kind: 'fixed'; readonly size: number; readonly decimal: DecimalLogical | null }
  | { readonly kind: 'enum'; readonly symbols: readonly string[] }
  | { readonly kind: 'array'; readonly items: Shape }
  | { readonly kind: 'map'; readonly values: Shape }
  /** Filled after it is made: a record may contain itself. */
  | { readonly kind: 'record'; readonly fields: FieldShape[] }
  | { readonly kind: 'union'; readonly branches: readonly Branch[] }

export type TimeLogical =
  | 'date'
  | 'timestamp-millis'
  | 'timestamp-micros'
  | 'local-timestamp-millis'
  | 'local-timestamp-micros'

export interface DecimalLogical {
  readonly scale: number
}

export interface FieldShape {
  readonly name: string
  readonly shape: Shape
  /** As the schema has it: of a union's first branch. */
  readonly defaultJson: unknown
  readonly hasDefault: boolean
}

export interface Branch {
  /** The full name of a named type, else the type. */
  readonly name: string
  readonly shape: Shape
}

const TIME_LOGICALS: readonly string[] = [
  'date',
  'timestamp-millis',
  'timestamp-micros',
  'local-timestamp-millis',
  'local-timestamp-micros',
]

/** The schema must have been accepted by avsc. `name` is for the message. */
export function shapeOf(schemaJson: string, name: string): Shape {
  return new ShapeReader(name).read(JSON.parse(schemaJson), '').shape
}

interface SchemaObject {
  readonly type: unknown
  readonly name?: string
  readonly namespace?: string
  readonly logicalType?: string
  readonly scale?: number
  readonly size?: number
  readonly symbols?: readonly string[]
  readonly items?: unknown
  readonly values?: unknown
  readonly fields?: readonly { readonly name: string; readonly type: unknown; readonly default?: unknown }[]
}

class ShapeReader {
  readonly #schemaName: string
  readonly #named = new Map<string, Shape>()

  constructor(schemaName: string) {
    this.#schemaName = schemaName
  }

  /** The shape with its branch name in a union. */
  read(schema: unknown, namespace: string): Branch {
    if (Array.isArray(schema)) {
      const branches = schema.map((branch) => this.read(branch, namespace))
      return { name: 'union', shape: { kind: 'union', branches } }
    }
    if (typeof schema === 'string') return this.#readName(schema, namespace)
    const { type } = schema as SchemaObject
    if (typeof type !== 'string') return this.read(type, namespace)
    return this.#readObject(type, schema as SchemaObject, namespace)
  }

  #readName(type: string, namespace: string): Branch {
    const primitive = primitiveShape(type, {})
    if (primitive !== null) return { name: type, shape: primitive }
    const name = fullName(type, namespace)
    const shape = this.#named.get(name)
    if (shape !== undefined) return { name, shape }
    throw new PipelineError('SCHEMA_INVALID', `${this.#schemaName}: the type ${name} is not defined`)
  }

  #readObject(type: string, schema: SchemaObject, namespace: string): Branch {
    if (type === 'array') {
      return { name: type, shape: { kind: type, items: this.read(schema.items, namespace).shape } }
    }
    if (type === 'map') {
      return { name: type, shape: { kind: type, values: this.read(schema.values, namespace).shape } }
    }
    const primitive = primitiveShape(type, schema)
    if (primitive !== null) return { name: type, shape: primitive }
    if (schema.name === undefined) return this.#readName(type, namespace)

    const name = fullName(schema.name, schema.namespace ?? namespace)
    if (type === 'enum' || type === 'fixed') {
      const shape: Shape =
        type === 'enum'
          ? { kind: type, symbols: schema.symbols ?? [] }
          : { kind: type, size: schema.size ?? 0, decimal: decimalOf(schema) }
      this.#named.set(name, shape)
      return { name, shape }
    }
    const fields: FieldShape[] = []
    const shape: Shape = { kind: 'record', fields }
    this.#named.set(name, shape)
    const inner = name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : ''
    for (const field of schema.fields ?? []) {
      fields.push({
        name: field.name,
        shape: this.read(field.type, inner).shape,
        defaultJson: field.default,
        hasDefault: 'default' in field,
      })
    }
    return { name, shape }
  }
}

function primitiveShape(type: string, schema: Partial<SchemaObject>): Shape | null {
  switch (type) {
    case 'null':
    case 'boolean':
    case 'string':
    case 'float':
    case 'double':
      return { kind: type }
    case 'int':
    case 'long': {
      const logical = schema.logicalType ?? ''
      return { kind: type, logical: TIME_LOGICALS.includes(logical) ? (logical as TimeLogical) : null }
    }
    case 'bytes':
      return { kind: type, decimal: decimalOf(schema) }
    default:
      return null
  }
}

function decimalOf(schema: Partial<SchemaObject>): DecimalLogical | null {
  return schema.logicalType === 'decimal' ? { scale: schema.scale ?? 0 } : null
}

/** Avro specification 1.12, "Names": a name with a dot is full, any other is in the enclosing namespace. */
function fullName(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
}
