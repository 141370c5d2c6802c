import type { AvroType } from '../avro/schema-model.ts'

/**
 * The documentation of records, their fields and enums, by the parsed type. A parsed schema has none, because nothing
 * else needs it, so JSON and parsed types are walked side by side.
 */
export function collectDocs(json: unknown, type: AvroType): ReadonlyMap<object, string> {
  const docs = new Map<object, string>()
  walk(json, type, docs)
  return docs
}

function walk(json: unknown, type: AvroType, docs: Map<object, string>): void {
  if (Array.isArray(json)) {
    if (type.kind === 'union') json.forEach((branch, index) => walk(branch, type.branches[index]!, docs))
    return
  }
  // A name refers to a type that was walked where it is defined.
  if (typeof json !== 'object' || json === null) return
  const object = json as Readonly<Record<string, unknown>>
  if (typeof object['type'] === 'object') {
    walk(object['type'], type, docs)
    return
  }
  const definition = object['type']
  if (definition === 'array' && type.kind === 'array') walk(object['items'], type.items, docs)
  if (definition === 'map' && type.kind === 'map') walk(object['values'], type.values, docs)
  if (definition === 'enum') keep(object, type, docs)
  if ((definition === 'record' || definition === 'error') && type.kind === 'record') {
    keep(object, type, docs)
    const fields = object['fields'] as readonly Readonly<Record<string, unknown>>[]
    type.fields.forEach((field, index) => {
      keep(fields[index]!, field, docs)
      walk(fields[index]!['type'], field.type, docs)
    })
  }
}

function keep(object: Readonly<Record<string, unknown>>, owner: object, docs: Map<object, string>): void {
  const doc = object['doc']
  if (typeof doc === 'string' && doc.trim() !== '') docs.set(owner, doc)
}

/** A doc comment with its line break, or nothing. */
export function docComment(doc: string | undefined, indent: number): string {
  if (doc === undefined) return ''
  const margin = ' '.repeat(indent)
  const lines = doc
    .trim()
    .replaceAll('*/', '*\\/')
    .split(/\r\n|[\n\r\u2028\u2029]/)
    .map((line) => line.trim())
  if (lines.length === 1) return `${margin}/** ${lines[0]!} */\n`
  const body = lines.map((line) => `${margin} *${line === '' ? '' : ` ${line}`}\n`)
  return `${margin}/**\n${body.join('')}${margin} */\n`
}
