import { encodeUtf8 } from '../../src/columns/utf8.ts'

/** The last field of every record in a stream of results. No column can be called so. */
export const ID_FIELD = '_id'

/**
 * The schema of a record, with the id behind its fields. With a default, so that it is compatible in both directions with the schema without: a registry may have that of
 * a Kafka topic of the same name.
 */
export function withIdField(schema: string): string {
  const record = JSON.parse(schema) as { readonly fields: readonly unknown[] }
  const id = { name: ID_FIELD, type: 'string', default: '' }
  return JSON.stringify({ ...record, fields: [...record.fields, id] })
}

/** A framed record: Avro puts the fields of a record one behind the other, so that the id's bytes can be added to those of the others. */
export function withId(schemaId: number, body: Uint8Array, id: string): Uint8Array {
  const text = encodeUtf8(id)
  const length = longBytes(text.length)
  const framed = new Uint8Array(5 + body.length + length.length + text.length)
  new DataView(framed.buffer).setInt32(1, schemaId)
  framed.set(body, 5)
  framed.set(length, 5 + body.length)
  framed.set(text, 5 + body.length + length.length)
  return framed
}

/** A length as Avro writes it: a zig-zag varint. */
function longBytes(length: number): readonly number[] {
  const bytes: number[] = []
  let rest = length * 2
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  bytes.push(rest)
  return bytes
}
