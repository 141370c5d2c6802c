import { describe, expect, it } from 'vitest'
import { ChainKeys } from '../../src/checkpoint/keys.ts'
import type { SchemaRegistry } from '../../src/ports.ts'
import { rememberedSchemas } from '../../src/runtime/schema-memory.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'

const keys = new ChainKeys('shop', 1)
const ORDER = JSON.stringify({ type: 'record', name: 'Order', fields: [{ name: 'id', type: 'long' }] })
const TRIP = JSON.stringify({ type: 'record', name: 'Trip', fields: [{ name: 'zone', type: 'int' }] })

function registryWith(schema: string | null): SchemaRegistry & { calls: number } {
  return {
    description: 'http://registry',
    calls: 0,
    async schemaById() {
      this.calls += 1
      return schema
    },
  }
}

describe('the schemas that a pipeline has met', () => {
  it('are asked for once', async () => {
    const registry = registryWith(ORDER)
    const remembered = rememberedSchemas({ registry, store: memoryStore(), keys })
    expect([await remembered.schemaById(7), await remembered.schemaById(7)]).toEqual([ORDER, ORDER])
    expect(registry.calls).toBe(1)
  })

  it('may be written another way in the registry, with other docs and defaults', async () => {
    const store = memoryStore()
    await rememberedSchemas({ registry: registryWith(ORDER), store, keys }).schemaById(7)
    const other = `{ "name": "Order", "doc": "x", "type": "record", "fields": [{"type": {"type": "long"}, "name": "id", "default": 0}] }`
    expect(await rememberedSchemas({ registry: registryWith(other), store, keys }).schemaById(7)).toBe(other)
  })

  it('have no versions where the registry knows none', () => {
    const remembered = rememberedSchemas({ registry: registryWith(ORDER), store: memoryStore(), keys })
    expect(remembered).not.toHaveProperty('schemaByUuid')
  })

  it('stop the run where the id has another schema now, and say which', async () => {
    const store = memoryStore()
    await rememberedSchemas({ registry: registryWith(ORDER), store, keys }).schemaById(7)
    await expect(
      rememberedSchemas({ registry: registryWith(TRIP), store, keys }).schemaById(7),
    ).rejects.toMatchObject({
      code: 'SCHEMA_ID_REUSED',
      retryable: false,
      message: expect.stringContaining('it was Order (id), and is Trip (zone) now') as string,
      advice: expect.stringContaining('_millrace/shop/000001/_schemas/7.json') as string,
    })
  })

  it('are known where the registry has lost them, and unknown where nobody ever had them', async () => {
    const store = memoryStore()
    await rememberedSchemas({ registry: registryWith(ORDER), store, keys }).schemaById(7)
    const empty = rememberedSchemas({ registry: registryWith(null), store, keys })
    expect(await empty.schemaById(7)).toBe(ORDER)
    expect(await empty.schemaById(8)).toBeNull()
  })

  it('cost no request to the store for ids that nobody knows', async () => {
    const store = memoryStore()
    let requests = 0
    const counted = new Proxy(store, {
      get: (target, name: keyof typeof store) => {
        requests++
        const member = target[name]
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
    const remembered = rememberedSchemas({ registry: registryWith(null), store: counted, keys })
    for (let id = 1; id <= 100; id++) expect(await remembered.schemaById(id)).toBeNull()
    expect(requests).toBe(1)
  })

  it('differ where only a logical type does', async () => {
    const store = memoryStore()
    const decimal = (scale: number) =>
      JSON.stringify({ type: 'bytes', logicalType: 'decimal', precision: 10, scale })
    await rememberedSchemas({ registry: registryWith(decimal(2)), store, keys }).schemaById(7)
    await expect(
      rememberedSchemas({ registry: registryWith(decimal(3)), store, keys }).schemaById(7),
    ).rejects.toMatchObject({ code: 'SCHEMA_ID_REUSED' })
  })

  it('are agreed on by two processes that meet an id at once', async () => {
    const store = memoryStore()
    const both = [ORDER, TRIP].map((schema) =>
      rememberedSchemas({ registry: registryWith(schema), store, keys }),
    )
    const outcomes = await Promise.allSettled(both.map((remembered) => remembered.schemaById(7)))
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })
})
