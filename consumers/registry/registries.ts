import { assert } from '../../src/errors.ts'
import type { SchemaRegistry } from '../../src/ports.ts'

/** A registry that has schemas by the UUIDs of their versions only. Asked for an id it has none. */
export interface UuidRegistry extends Required<Omit<SchemaRegistry, 'register'>> {
  readonly knowsIds: false
}

/**
 * Several registries as one, for a stream whose records are in Confluent's frame and in that of the AWS Glue Schema Registry:
 * `registries(confluentRegistry({ … }), glueRegistry({ … }))`.
 *
 * Ids come from the first that has such, and only from it: in another registry the same number is another schema. `register` is that one's too. A UUID means
 * the same everywhere, so those that know such are asked one after the other until one has it.
 */
export function registries(...several: readonly SchemaRegistry[]): SchemaRegistry {
  assert(several.length > 0, 'registries(…) takes one registry or more')
  const byId = several.find((registry) => !('knowsIds' in registry))
  const byUuid = several.filter((registry) => registry.schemaByUuid !== undefined)
  const register = byId?.register?.bind(byId)
  return {
    description: several.map(({ description }) => description).join(' and '),
    schemaById: async (id) => (await byId?.schemaById(id)) ?? null,
    ...(byUuid.length === 0 ? {} : { schemaByUuid: (uuid) => firstAnswer(byUuid, uuid) }),
    ...(register === undefined ? {} : { register }),
  }
}

async function firstAnswer(asked: readonly SchemaRegistry[], uuid: string): Promise<string | null> {
  for (const registry of asked) {
    const schema = (await registry.schemaByUuid?.(uuid)) ?? null
    if (schema !== null) return schema
  }
  return null
}
