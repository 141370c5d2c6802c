import { unreachable } from '../errors.ts'
import { type AvroType, parseAvroSchema } from './schema-model.ts'

/**
 * Text that two schemas share exactly where they write the same bytes with the same meaning: Avro's parsing canonical form, and logical
 * types, which that form leaves out. Docs, defaults, aliases, order of keys and white space make no difference.
 */
export function canonicalSchema(type: AvroType): string {
  return JSON.stringify(canonical(type, new Set()))
}

/** Of two schemas as JSON text. One that is not valid Avro is the same only as the same text. */
export function isSameSchema(a: string, b: string): boolean {
  if (a === b) return true
  try {
    return canonicalSchema(parseAvroSchema(JSON.parse(a))) === canonicalSchema(parseAvroSchema(JSON.parse(b)))
  } catch {
    return false
  }
}

function canonical(type: AvroType, defined: Set<string>): unknown {
  if ('name' in type) {
    if (defined.has(type.name)) return type.name
    defined.add(type.name)
  }
  switch (type.kind) {
    case 'record':
      return {
        name: type.name,
        type: type.kind,
        fields: type.fields.map((field) => ({ name: field.name, type: canonical(field.type, defined) })),
      }
    case 'enum':
      return { name: type.name, type: type.kind, symbols: type.symbols }
    case 'fixed':
      return { name: type.name, type: type.kind, size: type.size, logical: type.logical }
    case 'array':
      return { type: type.kind, items: canonical(type.items, defined) }
    case 'map':
      return { type: type.kind, values: canonical(type.values, defined) }
    case 'union':
      return type.branches.map((branch) => canonical(branch, defined))
    case 'null':
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'bytes':
    case 'string':
      return type.logical === null ? type.kind : { type: type.kind, logical: type.logical }
    default:
      return unreachable(type)
  }
}
