import type { AvroType } from './cell.ts'

/** Whether a value that a callback gave is one of its schema. A missing field counts as null, one
 * too many is an error. */
export function fitsAvro(schema: unknown, value: unknown): boolean {
  if (Array.isArray(schema)) return (schema as unknown[]).some((branch) => fitsAvro(branch, value))
  const type = typeof schema === 'string' ? { type: schema } : (schema as AvroType)
  if (type.logicalType === 'timestamp-millis') return typeof value === 'number' && Number.isInteger(value)
  if (type.logicalType === 'decimal') return fitsDecimal(type, value)
  switch (type.type) {
    case 'null':
      return value === null || value === undefined
    case 'int':
      return typeof value === 'number' && (value | 0) === value
    case 'long':
      return isLong(value)
    case 'float':
    case 'double':
      return typeof value === 'number'
    case 'boolean':
      return typeof value === 'boolean'
    case 'string':
      return typeof value === 'string'
    case 'record':
      return (
        typeof value === 'object' &&
        value !== null &&
        Object.keys(value).every((name) => type.fields!.some((field) => field.name === name)) &&
        type.fields!.every((field) => fitsAvro(field.type, (value as Record<string, unknown>)[field.name]))
      )
    case 'bytes':
      return value instanceof Uint8Array
    case 'enum':
      return type.symbols!.includes(value as string)
    case 'array':
      return Array.isArray(value) && value.every((element) => fitsAvro(type.items, element))
    default:
      throw new Error(`the oracle does not know ${type.type}`)
  }
}

function fitsDecimal(type: AvroType, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { unscaled, scale } = value as { unscaled: bigint; scale: number }
  const limit = 10n ** BigInt(type.precision!)
  return scale === (type.scale ?? 0) && unscaled < limit && unscaled > -limit
}

function isLong(value: unknown): boolean {
  return typeof value === 'bigint' && BigInt.asIntN(64, value) === value
}
