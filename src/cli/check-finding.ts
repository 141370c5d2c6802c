import { type SchemaId, schemaName, type WriterSchemas } from '../engine/writer-schemas.ts'

/** What a check has found, as one line. */
export interface Finding {
  readonly ok: boolean
  readonly text: string
}

/** Whether the program can read what is written with a schema. Null: the registry has none. */
export function readable(schemas: WriterSchemas, id: SchemaId, json: string | null): Finding {
  schemas.learn(id, json)
  const schema = schemas.get(id)!
  if (schema.kind === 'decoder') return { ok: true, text: `${schemaName(id)} can be read` }
  return { ok: false, text: `${schema.message}; its records become dead letters (${schema.reason})` }
}
