import { createHash } from 'node:crypto'

/**
 * The one Avro schema of a recording: a raw record, as a broker would hand it over. The reader parses this layout
 * by hand; names and order are part of the format (docs/recordings.md).
 */
export const RECORDING_SCHEMA = {
  type: 'record',
  name: 'RawRecord',
  namespace: 'millrace.recording',
  fields: [
    { name: 'topic', type: 'string' },
    { name: 'partition', type: 'int' },
    { name: 'offset', type: 'long' },
    { name: 'timestamp', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'arrival', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'key', type: ['null', 'bytes'] },
    { name: 'value', type: ['null', 'bytes'] },
    {
      name: 'headers',
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'RawHeader',
          fields: [
            { name: 'key', type: 'string' },
            { name: 'value', type: ['null', 'bytes'] },
          ],
        },
      },
    },
  ],
} as const

export const RECORDING_SCHEMA_JSON = JSON.stringify(RECORDING_SCHEMA)

/**
 * Always the same marker, so that the same input makes the same bytes. Avro asks for a random one, so that files
 * can be split; a recording is read from front to back.
 */
export const SYNC_MARKER: Uint8Array = createHash('sha256')
  .update(RECORDING_SCHEMA_JSON)
  .digest()
  .subarray(0, 16)

/** For messages: the fields and types that a recording has. */
export const EXPECTED_LAYOUT = RECORDING_SCHEMA.fields
  .map((field) => `${field.name} ${describe(layoutOf(field.type))}`)
  .join(', ')

/**
 * How a schema differs from the layout that the reader parses, as a sentence; null where it does not. Names of
 * records, namespaces, docs, defaults, aliases and logical types do not change the bytes, so they may differ.
 */
export function layoutMismatch(schemaJson: string): string | null {
  let schema: unknown
  try {
    schema = JSON.parse(schemaJson)
  } catch {
    return 'its schema is not JSON'
  }
  const fields = fieldsOf(schema)
  if (fields === null) return 'its schema is not a record'
  for (const [index, expected] of RECORDING_SCHEMA.fields.entries()) {
    const found = fields[index]
    if (found === undefined) return `field ${expected.name} is missing`
    if (found.name !== expected.name) {
      return `field ${index + 1} is ${String(found.name)} instead of ${expected.name}`
    }
    const foundLayout = describe(layoutOf(found.type))
    const expectedLayout = describe(layoutOf(expected.type))
    if (foundLayout !== expectedLayout) {
      return `field ${expected.name} is ${foundLayout} instead of ${expectedLayout}`
    }
  }
  const extra = fields[RECORDING_SCHEMA.fields.length]
  return extra === undefined ? null : `field ${String(extra.name)} is not expected`
}

/** What decides the bytes of a value, and nothing else. */
type Layout = string | { readonly [kind: string]: unknown } | readonly Layout[]

interface NamedField {
  readonly name: unknown
  readonly type: unknown
}

function layoutOf(schema: unknown): Layout {
  if (typeof schema === 'string') return schema
  if (Array.isArray(schema)) return schema.map(layoutOf)
  if (typeof schema !== 'object' || schema === null) return String(schema)
  const { type, items } = schema as { type?: unknown; items?: unknown }
  if (type === 'array') return { array: layoutOf(items) }
  const fields = fieldsOf(schema)
  if (fields !== null) {
    return { record: fields.map((field) => `${String(field.name)} ${describe(layoutOf(field.type))}`) }
  }
  return layoutOf(type)
}

function fieldsOf(schema: unknown): readonly NamedField[] | null {
  if (typeof schema !== 'object' || schema === null) return null
  const { type, fields } = schema as { type?: unknown; fields?: unknown }
  return type === 'record' && Array.isArray(fields) ? (fields as NamedField[]) : null
}

function describe(layout: Layout): string {
  return typeof layout === 'string' ? layout : JSON.stringify(layout)
}
