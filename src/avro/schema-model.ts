import { PipelineError } from '../errors.ts'
import { logicalTypeOf } from './logical-type.ts'
import type { LogicalType } from './logical-type.ts'

/**
 * An Avro schema with its names resolved: what a reference stood for is the type object itself, so a recursive
 * schema is a cyclic graph. Names are full names ('org.example.Trip'). Follows the Avro 1.12 specification.
 */
export type AvroType = PrimitiveType | FixedType | EnumType | ArrayType | MapType | UnionType | RecordType

export interface PrimitiveType {
  readonly kind: 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string'
  readonly logical: LogicalType | null
}

export interface FixedType {
  readonly kind: 'fixed'
  readonly name: string
  readonly aliases: readonly string[]
  readonly size: number
  readonly logical: LogicalType | null
}

export interface EnumType {
  readonly kind: 'enum'
  readonly name: string
  readonly aliases: readonly string[]
  readonly symbols: readonly string[]
  /** What a reader shows for a symbol that it does not know. */
  readonly default: string | null
}

export interface ArrayType {
  readonly kind: 'array'
  readonly items: AvroType
}

export interface MapType {
  readonly kind: 'map'
  readonly values: AvroType
}

export interface UnionType {
  readonly kind: 'union'
  readonly branches: readonly AvroType[]
}

export interface RecordType {
  readonly kind: 'record'
  readonly name: string
  readonly aliases: readonly string[]
  readonly fields: readonly RecordField[]
}

export interface RecordField {
  readonly name: string
  readonly aliases: readonly string[]
  readonly type: AvroType
  /** The JSON value as it stands in the schema; undefined where the field has no default. */
  readonly default: unknown
}

/** 'org.example.Trip' → 'Trip'. */
export function simpleName(fullName: string): string {
  return fullName.slice(fullName.lastIndexOf('.') + 1)
}

/** The name of a type in messages and of a branch in a union: 'int', or the simple name of a named type. */
export function typeName(type: AvroType): string {
  return 'name' in type ? simpleName(type.name) : type.kind
}

/**
 * Parses a schema as `JSON.parse` returned it. Defaults are kept as they stand: only those of a reader are ever
 * used, and `fieldsOf` checks them. Throws SCHEMA_INVALID with the path of what is wrong.
 */
export function parseAvroSchema(json: unknown): AvroType {
  return parseType(json, { names: new Map(), path: '', namespace: '', depth: 0 })
}

/** Deeper schemas than anybody writes by hand or by generator, yet far from the end of the stack. */
const DEPTH_MAX = 200

const PRIMITIVES: ReadonlySet<string> = new Set([
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
])

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

interface Scope {
  readonly names: Map<string, AvroType>
  readonly path: string
  readonly namespace: string
  readonly depth: number
}

type JsonObject = Readonly<Record<string, unknown>>

function parseType(json: unknown, outer: Scope): AvroType {
  const scope = { ...outer, depth: outer.depth + 1 }
  if (scope.depth > DEPTH_MAX) throw invalid(scope, `is nested deeper than ${DEPTH_MAX} levels`)
  if (typeof json === 'string') return reference(json, null, scope)
  if (Array.isArray(json)) return parseUnion(json, scope)
  if (typeof json !== 'object' || json === null) {
    throw invalid(
      scope,
      `is ${JSON.stringify(json)} where a type is expected${json === null ? ' (did you mean "null"?)' : ''}`,
    )
  }
  const object = json as JsonObject
  const kind = object['type']
  switch (kind) {
    case 'record':
    case 'error':
      return parseRecord(object, scope)
    case 'enum':
      return parseEnum(object, scope)
    case 'fixed':
      return parseFixed(object, scope)
    case 'array':
      if (object['items'] === undefined) throw invalid(scope, 'is an array without "items"')
      return { kind: 'array', items: parseType(object['items'], at(scope, '[]')) }
    case 'map':
      if (object['values'] === undefined) throw invalid(scope, 'is a map without "values"')
      return { kind: 'map', values: parseType(object['values'], at(scope, '{}')) }
    case undefined:
      throw invalid(scope, 'has no "type"')
    default:
      // {"type": "string", "logicalType": …}, {"type": "Name"}, and the {"type": {…}} of some generators.
      return typeof kind === 'string' ? reference(kind, object, scope) : parseType(kind, scope)
  }
}

/** A primitive, or a name that was defined before. */
function reference(name: string, attributes: JsonObject | null, scope: Scope): AvroType {
  if (PRIMITIVES.has(name)) {
    const kind = name as PrimitiveType['kind']
    return { kind, logical: attributes === null ? null : logicalTypeOf(attributes, kind, 0) }
  }
  const type = scope.names.get(fullName(name, scope.namespace)) ?? scope.names.get(name)
  if (type === undefined) throw invalid(scope, `names the type "${name}", which is not defined before it`)
  return type
}

function parseUnion(json: readonly unknown[], scope: Scope): UnionType {
  if (json.length === 0) throw invalid(scope, 'is a union without branches')
  const branches = json.map((branch, index) => parseType(branch, at(scope, `<${index}>`)))
  const seen = new Set<string>()
  for (const branch of branches) {
    if (branch.kind === 'union') throw invalid(scope, 'is a union directly inside a union')
    const key = 'name' in branch ? branch.name : branch.kind
    if (seen.has(key)) throw invalid(scope, `is a union with two branches of type ${key}`)
    seen.add(key)
  }
  return { kind: 'union', branches }
}

function parseRecord(object: JsonObject, scope: Scope): RecordType {
  const name = definedName(object, scope)
  const namespace = namespaceOf(name)
  const fields: RecordField[] = []
  const record: RecordType = { kind: 'record', name, aliases: typeAliases(object, namespace, scope), fields }
  scope.names.set(name, record)
  const list = object['fields']
  if (!Array.isArray(list)) throw invalid(scope, `is a record (${name}) without a list of "fields"`)
  const seen = new Set<string>()
  for (const [index, json] of list.entries()) {
    if (typeof json !== 'object' || json === null)
      throw invalid(scope, `has something else than a field at index ${index}`)
    const field = json as JsonObject
    const fieldName = field['name']
    if (typeof fieldName !== 'string' || !NAME.test(fieldName)) {
      throw invalid(
        scope,
        `has a field with the name ${JSON.stringify(fieldName)}; a name is letters, digits and _`,
      )
    }
    if (seen.has(fieldName)) throw invalid(scope, `has two fields with the name ${fieldName}`)
    seen.add(fieldName)
    const inner = { ...at(scope, fieldName), namespace }
    if (field['type'] === undefined) throw invalid(inner, 'has no "type"')
    fields.push({
      name: fieldName,
      aliases: names(field['aliases'], inner),
      type: parseType(field['type'], inner),
      default: field['default'],
    })
  }
  return record
}

function parseEnum(object: JsonObject, scope: Scope): EnumType {
  const name = definedName(object, scope)
  const symbols = object['symbols']
  if (!Array.isArray(symbols) || symbols.length === 0)
    throw invalid(scope, `is an enum (${name}) without "symbols"`)
  for (const symbol of symbols as readonly unknown[]) {
    if (typeof symbol !== 'string' || !NAME.test(symbol)) {
      throw invalid(scope, `has the symbol ${JSON.stringify(symbol)}; a symbol is letters, digits and _`)
    }
  }
  if (new Set(symbols).size < symbols.length) throw invalid(scope, `is an enum (${name}) with a symbol twice`)
  const fallback = object['default']
  if (fallback !== undefined && !(symbols as readonly unknown[]).includes(fallback)) {
    throw invalid(scope, `has the default ${JSON.stringify(fallback)}, which is none of its symbols`)
  }
  const type: EnumType = {
    kind: 'enum',
    name,
    aliases: typeAliases(object, namespaceOf(name), scope),
    symbols: symbols as readonly string[],
    default: (fallback as string | undefined) ?? null,
  }
  scope.names.set(name, type)
  return type
}

function parseFixed(object: JsonObject, scope: Scope): FixedType {
  const name = definedName(object, scope)
  const size = object['size']
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || size > 0x7fffffff) {
    throw invalid(scope, `is a fixed (${name}) with the size ${JSON.stringify(size)}`)
  }
  const aliases = typeAliases(object, namespaceOf(name), scope)
  const type: FixedType = {
    kind: 'fixed',
    name,
    aliases,
    size,
    logical: logicalTypeOf(object, 'fixed', size),
  }
  scope.names.set(name, type)
  return type
}

/** The full name of a type that is being defined: a dotted name wins over "namespace", which wins over the outer one. */
function definedName(object: JsonObject, scope: Scope): string {
  const name = object['name']
  if (typeof name !== 'string') throw invalid(scope, `is a ${String(object['type'])} without a "name"`)
  const namespace = object['namespace'] ?? scope.namespace
  if (typeof namespace !== 'string') throw invalid(scope, `has the namespace ${JSON.stringify(namespace)}`)
  const full = fullName(name, namespace)
  // Dashes in namespaces are not in the specification, but Java never minded and they are out there.
  const parts = full.split('.')
  const last = parts.pop() ?? ''
  if (!NAME.test(last) || !parts.every((part) => /^[A-Za-z_][A-Za-z0-9_-]*$/.test(part))) {
    throw invalid(
      scope,
      `has the name ${JSON.stringify(full)}; a name is letters, digits and _, with dots between`,
    )
  }
  if (PRIMITIVES.has(last) && parts.length === 0) throw invalid(scope, `redefines the primitive type ${full}`)
  if (scope.names.has(full)) throw invalid(scope, `defines ${full} a second time`)
  return full
}

/** A leading dot is the null namespace, as some generators write it. */
function fullName(name: string, namespace: string): string {
  if (name.startsWith('.')) return name.slice(1)
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
}

function namespaceOf(full: string): string {
  const dot = full.lastIndexOf('.')
  return dot < 0 ? '' : full.slice(0, dot)
}

function typeAliases(object: JsonObject, namespace: string, scope: Scope): readonly string[] {
  return names(object['aliases'], scope).map((alias) => fullName(alias, namespace))
}

function names(json: unknown, scope: Scope): readonly string[] {
  if (json === undefined || json === null) return []
  if (!Array.isArray(json) || !json.every((name) => typeof name === 'string')) {
    throw invalid(scope, 'has "aliases" that are not a list of names')
  }
  return json
}

function at(scope: Scope, step: string): Scope {
  const dot = /^[[{<]/.test(step) || scope.path === '' ? '' : '.'
  return { ...scope, path: scope.path + dot + step }
}

function invalid(scope: Scope, what: string): PipelineError {
  const subject = scope.path === '' ? 'the schema' : `the schema at ${scope.path}`
  return new PipelineError('SCHEMA_INVALID', `${subject} ${what}`)
}
