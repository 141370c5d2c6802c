import { expect, it } from 'vitest'
import { glueRegistry, registries } from '../../../consumers/registry/index.ts'
import type { SchemaRegistry } from '../../../src/ports.ts'

const UUID = '0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b'

function registry(name: string, ids: readonly number[], uuids: readonly string[] | null): SchemaRegistry {
  return {
    description: name,
    schemaById: async (id) => (ids.includes(id) ? `"${name}"` : null),
    ...(uuids === null ? {} : { schemaByUuid: async (uuid) => (uuids.includes(uuid) ? `"${name}"` : null) }),
  }
}

it('takes ids from the first that has such, and never from another, where they mean something else', async () => {
  const both = registries(
    glueRegistry({ region: 'eu-west-1' }),
    registry('a', [1], null),
    registry('b', [1, 2], null),
  )
  expect(await both.schemaById(1)).toBe('"a"')
  expect(await both.schemaById(2)).toBeNull()
})

it('asks all that know UUIDs, which mean the same everywhere', async () => {
  const both = registries(registry('a', [], null), registry('b', [], []), registry('c', [], [UUID]))
  expect(await both.schemaByUuid?.(UUID)).toBe('"c"')
  expect(await both.schemaByUuid?.(UUID.replace('0', '1'))).toBeNull()
  expect(both.description).toBe('a and b and c')
})

it('knows no UUIDs where none of them does', () => {
  expect(registries(registry('a', [1], null))).not.toHaveProperty('schemaByUuid')
})

it('registers where the ids come from', async () => {
  const confluent = { ...registry('a', [1], null), register: () => Promise.resolve(7) }
  expect(await registries(confluent, glueRegistry({ region: 'eu-west-1' })).register?.('s', '"int"')).toBe(7)
  expect(registries(registry('b', [], null), confluent)).not.toHaveProperty('register')
})
