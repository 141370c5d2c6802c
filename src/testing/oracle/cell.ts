import { floatText, hexOf, type Cell } from '../simulation/jsonl-encoder.ts'

/**
 * Values as the text that tables are compared by. The oracle writes them from JavaScript values and the Avro schema; the
 * encoder of the simulator from columns.
 */
export function cellOfAvro(schema: unknown, value: unknown): Cell {
  if (Array.isArray(schema)) {
    if (value === null || value === undefined) return null
    return cellOfAvro(
      (schema as unknown[]).find((branch) => branch !== 'null'),
      value,
    )
  }
  const type = typeof schema === 'string' ? { type: schema } : (schema as AvroType)
  if (type.logicalType === 'timestamp-millis') return String(BigInt(value as number) * 1000n)
  if (type.logicalType === 'decimal') return `${(value as { unscaled: bigint }).unscaled}e-${type.scale ?? 0}`
  switch (type.type) {
    case 'float':
      return floatText(Math.fround(value as number))
    case 'double':
      return floatText(value as number)
    case 'boolean':
      return value as boolean
    case 'bytes':
    case 'fixed':
      return hexOf(value as Uint8Array)
    case 'array':
      return (value as unknown[]).map((element) => cellOfAvro(type.items, element))
    case 'record':
      return Object.fromEntries(
        type.fields!.map((field) => [
          field.name,
          cellOfAvro(field.type, (value as Record<string, unknown>)[field.name]),
        ]),
      )
    default:
      return String(value)
  }
}

export interface AvroType {
  readonly type: string
  readonly logicalType?: string
  readonly scale?: number
  readonly precision?: number
  readonly size?: number
  readonly items?: unknown
  readonly symbols?: readonly string[]
  readonly fields?: readonly AvroField[]
}

export interface AvroField {
  readonly name: string
  readonly type: unknown
}

/** The fields of a record schema. */
export function avroFields(schema: unknown): readonly AvroField[] {
  return (schema as AvroType).fields ?? []
}

/** The type of a field without its null. */
export function typeOfField(schema: unknown, name: string): AvroType {
  const found = avroFields(schema).find((field) => field.name === name)
  if (found === undefined) throw new Error(`no field ${name}`)
  const type = Array.isArray(found.type)
    ? (found.type as unknown[]).find((branch) => branch !== 'null')
    : found.type
  return typeof type === 'string' ? { type } : (type as AvroType)
}
