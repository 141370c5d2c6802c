import { randomUUID } from 'node:crypto'
import { SchemaRegistry as KafkajsRegistry } from '@kafkajs/confluent-schema-registry'
import { describe, expect, it } from 'vitest'
import { confluentRegistry } from '../../../consumers/registry/index.ts'
import { parseAvroSchema } from '../../../src/avro/schema-model.ts'
import { findRegistry, findRegistryPackages, startRegistry } from '../../parts/registry.ts'

const found = await findRegistry()
const reason = found.kind === 'missing' ? found.reason : ''
const url = found.kind === 'ready' ? found.url : ''

const order = (fields: readonly object[]) =>
  JSON.stringify({ type: 'record', name: 'Order', namespace: 'shop', fields })
const ID = { name: 'id', type: 'long' }

async function post(
  path: string,
  body: object,
  method: 'POST' | 'PUT' = 'POST',
): Promise<{ readonly id: number }> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as { readonly id: number }
}

describe.skipIf(found.kind === 'missing')(`a real registry ${reason}`, () => {
  it('registers a schema once and gives it back by its id', async () => {
    const subject = randomUUID()
    const id = await confluentRegistry({ url }).register(subject, order([ID]))
    expect(await confluentRegistry({ url }).register(subject, order([ID]))).toBe(id)
    expect(JSON.parse((await confluentRegistry({ url }).schemaById(id))!)).toEqual(JSON.parse(order([ID])))
  })

  it('is understood as @kafkajs/confluent-schema-registry understands it', async () => {
    const subject = randomUUID()
    const id = await confluentRegistry({ url }).register(subject, order([ID]))
    const other = new KafkajsRegistry({ host: url })
    expect(await other.getLatestSchemaId(subject)).toBe(id)
    expect(await other.getRegistryId(subject, 1)).toBe(id)
  })

  it('does not know an id that nobody registered, until somebody does', async () => {
    const registry = confluentRegistry({ url, unknownAfterMs: 0, unknownForMs: 0 })
    expect(await registry.schemaById(2_000_000_000)).toBeNull()
    const fresh = order([{ name: `f${randomUUID().slice(0, 8)}`, type: 'string' }])
    const id = await confluentRegistry({ url }).register(randomUUID(), fresh)
    expect(JSON.parse((await registry.schemaById(id))!)).toEqual(JSON.parse(fresh))
  })

  it('says why a schema does not go with the earlier ones', async () => {
    const subject = randomUUID()
    const registry = confluentRegistry({ url })
    await registry.register(subject, order([ID]))
    await post(`/config/${subject}`, { compatibility: 'BACKWARD' }, 'PUT')
    await expect(
      registry.register(subject, order([ID, { name: 'shop', type: 'string' }])),
    ).rejects.toMatchObject({
      code: 'SCHEMA_INCOMPATIBLE',
      message: expect.stringMatching(/Order|shop/) as string,
    })
  })

  it('refuses what is no schema', async () => {
    await expect(
      confluentRegistry({ url }).register(randomUUID(), '{"type":"nothing"}'),
    ).rejects.toMatchObject({
      code: 'REGISTRY_REFUSED',
      retryable: false,
    })
  })

  it('resolves what a schema refers to', async () => {
    const [country, subject] = [randomUUID(), randomUUID()]
    const name = `shop.common.Country${randomUUID().slice(0, 8)}`
    await confluentRegistry({ url }).register(
      country,
      JSON.stringify({ type: 'enum', name, symbols: ['CH', 'DE'] }),
    )
    const { id } = await post(`/subjects/${subject}/versions`, {
      schema: order([
        { name: 'from', type: name },
        { name: 'to', type: name },
      ]),
      references: [{ name, subject: country, version: 1 }],
    })
    const parsed = parseAvroSchema(JSON.parse((await confluentRegistry({ url }).schemaById(id))!))
    expect(parsed).toMatchObject({
      fields: [{ type: { kind: 'enum', symbols: ['CH', 'DE'] } }, { type: { kind: 'enum', name } }],
    })
  })

  it('tells Protobuf from Avro', async () => {
    const { id } = await post(`/subjects/${randomUUID()}/versions`, {
      schema: `syntax = "proto3"; message A${randomUUID().slice(0, 8)} { string a = 1; }`,
      schemaType: 'PROTOBUF',
    })
    expect(JSON.parse((await confluentRegistry({ url }).schemaById(id))!)).toMatchObject({
      schemaType: 'PROTOBUF',
    })
  })

  it('at an address without its path is no registry', async () => {
    const registry = confluentRegistry({ url: new URL(url).origin })
    await expect(registry.schemaById(1)).rejects.toMatchObject({ code: 'REGISTRY_INVALID', retryable: false })
  })
})

const packages = await findRegistryPackages()

describe.skipIf(packages.kind === 'missing')('a registry of one’s own', () => {
  it('goes away, hangs and comes back; what was asked for before is still known', async () => {
    const own = await startRegistry()
    try {
      const registry = confluentRegistry({ url: own.url, timeoutMs: 1_000 })
      // Its first answers take a cold server a while.
      const patient = confluentRegistry({ url: own.url, timeoutMs: 30_000 })
      const first = await patient.register('first', order([ID]))
      const second = await patient.register('second', '"string"')
      await patient.schemaById(first)
      expect(await registry.schemaById(first)).not.toBeNull()
      own.pause()
      await expect(registry.schemaById(second)).rejects.toMatchObject({
        code: 'REGISTRY_UNREACHABLE',
        retryable: true,
        message: expect.stringContaining('no answer within 1000 ms') as string,
      })
      expect(await registry.schemaById(first)).not.toBeNull()
      own.resume()
      await own.kill()
      await expect(registry.schemaById(second)).rejects.toMatchObject({
        code: 'REGISTRY_UNREACHABLE',
        retryable: true,
      })
      await own.restart()
      expect(await confluentRegistry({ url: own.url, timeoutMs: 30_000 }).schemaById(second)).toBe('"string"')
    } finally {
      await own.dispose()
    }
  })
})
