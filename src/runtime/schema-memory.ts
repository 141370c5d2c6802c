import { isSameSchema } from '../avro/canonical-schema.ts'
import { parseAvroSchema } from '../avro/schema-model.ts'
import type { ChainKeys } from '../checkpoint/keys.ts'
import { schemaName, type SchemaId } from '../engine/writer-schemas.ts'
import { messageOf, PipelineError } from '../errors.ts'
import type { ObjectStore, SchemaRegistry } from '../ports.ts'

export interface SchemaMemoryOptions {
  readonly registry: SchemaRegistry
  readonly store: ObjectStore
  readonly keys: ChainKeys
}

interface StoredSchema {
  readonly version: 1
  readonly id: SchemaId
  readonly registry: string
  readonly schema: string
}

/**
 * A registry whose answers the lake keeps, one object for each id or UUID, from the first time that the incarnation met it. A registry that was
 * reset gives its ids to other schemas, and records would be decoded into nonsense that nobody notices: here that is SCHEMA_ID_REUSED, which
 * ends the run. An id that the registry has lost is still known.
 */
export function rememberedSchemas({ registry, store, keys }: SchemaMemoryOptions): SchemaRegistry {
  const known = new Map<SchemaId, string>()
  let stored: Promise<ReadonlySet<string>> | null = null
  // Listed once: an id that is none costs no request to the store, however many there are.
  const isStored = async (key: string): Promise<boolean> => {
    stored ??= store.list(keys.schemaPrefix).then((objects) => new Set(objects.map((object) => object.key)))
    try {
      return (await stored).has(key)
    } catch (error) {
      stored = null
      throw error
    }
  }
  const ask = async (id: SchemaId): Promise<string | null> => {
    const present = known.get(id)
    if (present !== undefined) return present
    const schema = await schemaOf(registry, id)
    const key = keys.schema(id)
    let earlier = (await isStored(key)) ? await readStored(store, key) : null
    if (earlier === null) {
      // Made up by a record that is none, perhaps; it may be registered yet.
      if (schema === null) return null
      const value: StoredSchema = { version: 1, id, registry: registry.description, schema }
      const outcome = await store.putIfAbsent(key, new TextEncoder().encode(JSON.stringify(value)))
      // Another process was first.
      if (outcome === 'exists') earlier = await readStored(store, key)
    }
    if (earlier !== null && schema !== null && !isSameSchema(earlier.schema, schema)) {
      throw reused(registry.description, key, earlier, schema)
    }
    const answer = schema ?? earlier!.schema
    known.set(id, answer)
    return answer
  }
  const { description } = registry
  return registry.schemaByUuid === undefined
    ? { description, schemaById: ask }
    : { description, schemaById: ask, schemaByUuid: ask }
}

/** By whichever of the two the frame of a record has. Null where the registry has none, or cannot be asked for such. */
export async function schemaOf(registry: SchemaRegistry, id: SchemaId): Promise<string | null> {
  if (typeof id === 'number') return registry.schemaById(id)
  return (await registry.schemaByUuid?.(id)) ?? null
}

async function readStored(store: ObjectStore, key: string): Promise<StoredSchema | null> {
  const body = await store.get(key)
  if (body === null) return null
  try {
    const stored = JSON.parse(new TextDecoder().decode(body)) as StoredSchema
    if (stored.version === 1 && typeof stored.schema === 'string') return stored
  } catch (cause) {
    throw unreadable(store, key, messageOf(cause))
  }
  throw unreadable(store, key, 'it is not of version 1')
}

function reused(registry: string, key: string, stored: StoredSchema, schema: string): PipelineError {
  return new PipelineError(
    'SCHEMA_ID_REUSED',
    `${schemaName(stored.id)} of ${registry} is not the one that this pipeline has read records with: it was ${titleOf(stored.schema)}, and is ${titleOf(schema)} now`,
    {
      advice:
        'The registry was reset, or is another one: give the registry its schemas back, or name the right one. Where every record ' +
        `that is still to be read was written with the new schema, remove ${key} from the lake and start again.`,
    },
  )
}

const TITLE_CHARACTERS_MAX = 120

/** 'Order (id, total)' */
function titleOf(schema: string): string {
  let title = schema
  try {
    const type = parseAvroSchema(JSON.parse(schema))
    if (type.kind === 'record') title = `${type.name} (${type.fields.map(({ name }) => name).join(', ')})`
  } catch {
    // Shown as it is.
  }
  return title.length > TITLE_CHARACTERS_MAX ? `${title.slice(0, TITLE_CHARACTERS_MAX)}…` : title
}

function unreadable(store: ObjectStore, key: string, what: string): PipelineError {
  return new PipelineError('RECORD_UNREADABLE', `${store.description}: ${key} cannot be read: ${what}`, {
    advice: 'Something else than Millrace has changed it. Remove it, and start again.',
  })
}
