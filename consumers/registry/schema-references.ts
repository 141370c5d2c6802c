/**
 * A registry lets a schema name types that other subjects define (`references`). An Avro reader wants one schema that defines all
 * it names: each type is put in where it is named first, as the Avro specification asks.
 */

/** A definition as its subject has it. */
export interface ReferencedSchema {
  readonly json: unknown
}

/** `json` with the types of `referenced` in it. A type that the schema defines itself is left as it is. */
export function withReferences(json: unknown, referenced: readonly ReferencedSchema[]): unknown {
  const definitions = new Map<string, { readonly json: JsonObject; readonly namespace: string }>()
  for (const { json: schema } of referenced) collect(schema, '', definitions)
  return inline(json, '', { definitions, defined: new Set() })
}

type JsonObject = Readonly<Record<string, unknown>>

interface Inlining {
  readonly definitions: ReadonlyMap<string, { readonly json: JsonObject; readonly namespace: string }>
  /** Full names that the result defines so far. */
  readonly defined: Set<string>
}

/** Every named type in a referenced schema: also those inside another, which may be named by themselves. */
function collect(
  json: unknown,
  namespace: string,
  into: Map<string, { readonly json: JsonObject; readonly namespace: string }>,
): void {
  if (Array.isArray(json)) for (const branch of json as readonly unknown[]) collect(branch, namespace, into)
  if (!isObject(json)) return
  const name = definedName(json, namespace)
  const inner = name === null ? namespace : namespaceOf(name)
  if (name !== null && !into.has(name)) into.set(name, { json, namespace })
  for (const child of [json['items'], json['values'], ...fieldTypes(json)]) collect(child, inner, into)
  if (isObject(json['type']) || Array.isArray(json['type'])) collect(json['type'], namespace, into)
}

function inline(json: unknown, namespace: string, state: Inlining): unknown {
  if (typeof json === 'string') return inlineName(json, namespace, state)
  if (Array.isArray(json)) return json.map((branch) => inline(branch, namespace, state))
  if (!isObject(json)) return json
  const name = definedName(json, namespace)
  // It was put in before, for a name that came first.
  if (name !== null && state.defined.has(name)) return name
  if (name !== null) state.defined.add(name)
  const inner = name === null ? namespace : namespaceOf(name)
  const result: Record<string, unknown> = { ...json }
  if (name === null && json['type'] !== undefined && !CONTAINERS.has(json['type'])) {
    result['type'] = inline(json['type'], namespace, state)
  }
  if (json['items'] !== undefined) result['items'] = inline(json['items'], inner, state)
  if (json['values'] !== undefined) result['values'] = inline(json['values'], inner, state)
  if (Array.isArray(json['fields'])) {
    result['fields'] = json['fields'].map((field: unknown) =>
      isObject(field) ? { ...field, type: inline(field['type'], inner, state) } : field,
    )
  }
  return result
}

function inlineName(name: string, namespace: string, state: Inlining): unknown {
  const candidates = name.includes('.') || namespace === '' ? [name] : [`${namespace}.${name}`, name]
  for (const full of candidates) {
    if (state.defined.has(full)) return name
    const definition = state.definitions.get(full)
    if (definition === undefined) continue
    // Where it stands now another namespace surrounds it, so it has to say its own.
    const own = { ...definition.json, name: simpleName(full), namespace: namespaceOf(full) }
    return inline(own, namespace, state)
  }
  return name
}

const CONTAINERS: ReadonlySet<unknown> = new Set(['array', 'map'])
const NAMED: ReadonlySet<unknown> = new Set(['record', 'error', 'enum', 'fixed'])

/** The full name of the type that the object defines; null where it defines none. */
function definedName(json: JsonObject, namespace: string): string | null {
  const name = json['name']
  if (!NAMED.has(json['type']) || typeof name !== 'string') return null
  if (name.includes('.')) return name
  const own = typeof json['namespace'] === 'string' ? json['namespace'] : namespace
  return own === '' ? name : `${own}.${name}`
}

function fieldTypes(json: JsonObject): readonly unknown[] {
  if (!Array.isArray(json['fields'])) return []
  return (json['fields'] as readonly unknown[]).map((field) => (isObject(field) ? field['type'] : undefined))
}

function namespaceOf(full: string): string {
  return full.includes('.') ? full.slice(0, full.lastIndexOf('.')) : ''
}

function simpleName(full: string): string {
  return full.slice(full.lastIndexOf('.') + 1)
}

function isObject(json: unknown): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}
