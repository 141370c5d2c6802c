import { floatText, hexOf, type Cell } from '../simulation/jsonl-encoder.ts'

/**
 * Values as the text that tables are compared by. The oracle writes them from JavaScript values and the Avro schema; the
 * encoder of the simulator from columns.
 */
export function cellOfAvro(schema: unknown, value: unknown): Cell {
  if (value === null || value === undefined) return null
  const type = withoutNull(schema)
  if (type.logicalType === 'timestamp-millis' || type.logicalType === 'local-timestamp-millis')
    return String(BigInt(value as number) * 1000n)
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
      return `${value as string | number | bigint}`
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

/** The type of a field, found by its path, without its null. */
export function typeOfField(schema: unknown, path: string): AvroType {
  let type = schema as AvroType
  for (const name of path.split('.')) {
    const found = avroFields(type).find((field) => field.name === name)
    if (found === undefined) throw new Error(`no field ${path}`)
    type = withoutNull(found.type)
  }
  return type
}

export function withoutNull(type: unknown): AvroType {
  const branch = Array.isArray(type) ? (type as unknown[]).find((one) => one !== 'null') : type
  return typeof branch === 'string' ? { type: branch } : (branch as AvroType)
}

/** The value at a path: 'fare', 'pickup.lat'. Null where there is none. */
export function valueAt(row: object, path: string): unknown {
  let value: unknown = row
  for (const name of path.split('.')) value = (value as Record<string, unknown>)[name]
  return value ?? null
}

/** A row as cells. */
export function cellsOf(schema: unknown, row: object): Readonly<Record<string, Cell>> {
  return Object.fromEntries(
    avroFields(schema).map(({ name, type }) => [name, cellOfAvro(type, valueAt(row, name))]),
  )
}
