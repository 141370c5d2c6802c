import { PipelineError } from '../errors.ts'
import { utf8Length } from '../columns/utf8.ts'
import type { AvroType, UnionType } from './schema-model.ts'

/** Checks the JSON default of a reader's field. Throws SCHEMA_INVALID with the path. */
export function checkDefault(type: AvroType, json: unknown, path: string): void {
  const why = misfit(type, json)
  if (why !== null) {
    throw new PipelineError('SCHEMA_INVALID', `the default of field ${path} is ${text(json)}, and ${why}`)
  }
}

/** The branch of a union that a default is for: the first that it fits (until Avro 1.11, only the first could). */
export function defaultBranch(union: UnionType, json: unknown): number {
  return union.branches.findIndex((branch) => misfit(branch, json) === null)
}

/** The bytes of a default of type bytes or fixed: JSON has them as code points 0 to 255. */
export function defaultBytes(json: unknown): Uint8Array {
  return Uint8Array.from(json as string, (char) => char.charCodeAt(0))
}

/** Null where the value fits, else why it does not. */
function misfit(type: AvroType, json: unknown): string | null {
  switch (type.kind) {
    case 'null':
      return json === null ? null : 'the type is null'
    case 'boolean':
      return typeof json === 'boolean' ? null : 'the type is boolean'
    case 'int':
      return Number.isInteger(json) && json === (json as number) >> 0 ? null : 'the type is int'
    case 'long':
      if (typeof json === 'bigint') return BigInt.asIntN(64, json) === json ? null : 'the type is long'
      // JSON.parse has rounded anything larger.
      return Number.isSafeInteger(json) ? null : 'a long in JSON is exact only up to 2^53'
    case 'float':
    case 'double':
      return typeof json === 'number' || FLOAT_NAMES.has(json) ? null : `the type is ${type.kind}`
    case 'string':
      return typeof json === 'string' && utf8Length(json) >= 0 ? null : 'the type is string'
    case 'bytes':
      return bytesMisfit(json, null)
    case 'fixed':
      return bytesMisfit(json, type.size)
    case 'enum':
      return type.symbols.includes(json as string) ? null : `the symbols are ${type.symbols.join(', ')}`
    case 'array':
      if (!Array.isArray(json)) return 'the type is array'
      return firstMisfit(json.map((item, index) => [`[${index}]`, type.items, item]))
    case 'map':
      if (!isObject(json)) return 'the type is map'
      return firstMisfit(Object.entries(json).map(([key, value]) => [key, type.values, value]))
    case 'union':
      return defaultBranch(type, json) >= 0 ? null : 'no branch of the union can hold it'
    case 'record':
      if (!isObject(json)) return `the type is record ${type.name}`
      return firstMisfit(
        type.fields.map((field) => [
          field.name,
          field.type,
          Object.hasOwn(json, field.name) ? json[field.name] : field.default,
        ]),
      )
    default:
      return type satisfies never
  }
}

/** As Java writes them, since JSON has no word for them. */
const FLOAT_NAMES: ReadonlySet<unknown> = new Set(['NaN', 'Infinity', '-Infinity'])

function bytesMisfit(json: unknown, size: number | null): string | null {
  if (typeof json !== 'string' || !isLatin1(json)) {
    return 'bytes are written as a string of the characters U+0000 to U+00FF'
  }
  return size === null || json.length === size ? null : `the type is fixed of ${size} bytes`
}

function isLatin1(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 255) return false
  return true
}

function firstMisfit(parts: readonly (readonly [string, AvroType, unknown])[]): string | null {
  for (const [name, type, value] of parts) {
    const why = misfit(type, value)
    if (why !== null) return `at ${name} ${why}`
  }
  return null
}

function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

function text(json: unknown): string {
  return typeof json === 'bigint' ? String(json) : (JSON.stringify(json) ?? 'absent')
}
