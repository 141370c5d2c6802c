import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type ConfluentRegistryOptions, confluentRegistry } from '../../../consumers/registry/index.ts'
import { WriterSchemas } from '../../../src/engine/writer-schemas.ts'
import { type Answer, faultServer, html, json, NO_SCHEMA } from './fault-server.ts'

const LONG = '"long"'

async function registryThat(answer: Answer, options: Partial<ConfluentRegistryOptions> = {}) {
  const server = await faultServer(answer)
  return { server, registry: confluentRegistry({ url: server.url, unknownAfterMs: 0, ...options }) }
}

describe('a schema by its id', () => {
  it('is asked for once, however many ask, and kept', async () => {
    const { server, registry } = await registryThat((_, response) => json(response, 200, { schema: LONG }))
    expect(await Promise.all([registry.schemaById(1), registry.schemaById(1)])).toEqual([LONG, LONG])
    expect(await registry.schemaById(1)).toBe(LONG)
    expect(await registry.schemaById(2)).toBe(LONG)
    expect(server.requests).toEqual(['GET /schemas/ids/1', 'GET /schemas/ids/2'])
  })

  it('keeps the path of the URL, and sends credentials and headers that no message shows', async () => {
    const server = await faultServer((_, response) => json(response, 500, {}))
    const { host } = new URL(server.url)
    const registry = confluentRegistry({ url: `http://me:s%40fe@${host}/apis/ccompat/v7/` })
    expect(registry.description).toBe(`${server.url}/apis/ccompat/v7`)
    await expect(registry.schemaById(1)).rejects.toThrow(
      `${server.url}/apis/ccompat/v7: the schema registry answers 500`,
    )
    expect(server.requests).toEqual(['GET /apis/ccompat/v7/schemas/ids/1'])
    expect(server.authorizations).toEqual([`Basic ${Buffer.from('me:s@fe').toString('base64')}`])
  })

  it('may be asked for with a token that is renewed', async () => {
    let token = 0
    const { server, registry } = await registryThat((_, response) => json(response, 200, { schema: LONG }), {
      auth: { token: () => `token-${++token}` },
    })
    await registry.schemaById(1)
    await registry.schemaById(2)
    expect(server.authorizations).toEqual(['Bearer token-1', 'Bearer token-2'])
  })

  it('is unknown only where the registry says that, and only for a while', async () => {
    let isRegistered = false
    const { server, registry } = await registryThat(
      (_, response) =>
        isRegistered ? json(response, 200, { schema: LONG }) : json(response, 404, NO_SCHEMA),
      { unknownForMs: 50 },
    )
    expect(await registry.schemaById(7)).toBeNull()
    isRegistered = true
    expect(await registry.schemaById(7)).toBeNull()
    expect(server.requests).toHaveLength(1)
    await sleep(60)
    expect(await registry.schemaById(7)).toBe(LONG)
  })

  it('is asked for again while a follower may be behind its leader', async () => {
    const { server, registry } = await registryThat(
      (_, response, count) =>
        count < 2 ? json(response, 404, NO_SCHEMA) : json(response, 200, { schema: LONG }),
      { unknownAfterMs: 2_000 },
    )
    expect(await registry.schemaById(7)).toBe(LONG)
    expect(server.requests).toHaveLength(3)
  })

  it('is not waited for when one after the other is unknown: that is garbage', async () => {
    const { server, registry } = await registryThat((_, response) => json(response, 404, NO_SCHEMA), {
      unknownAfterMs: 30,
    })
    for (let id = 1; id <= 3; id++) expect(await registry.schemaById(id)).toBeNull()
    const before = server.requests.length
    for (let id = 11; id <= 60; id++) expect(await registry.schemaById(id)).toBeNull()
    expect(server.requests.length - before).toBe(50)
  })

  it('of another kind than Avro makes dead letters that say so', async () => {
    const { registry } = await registryThat((_, response) =>
      json(response, 200, { schema: 'syntax = "proto3";', schemaType: 'PROTOBUF' }),
    )
    const schemas = new WriterSchemas({ kind: 'string', logical: null })
    schemas.learn(7, await registry.schemaById(7))
    expect(schemas.get(7)).toEqual({
      kind: 'refused',
      reason: 'incompatible-schema',
      message: 'schema 7 is a PROTOBUF schema; only Avro can be read',
    })
  })
})

describe('schemas that refer to others', () => {
  const subjects: Record<string, unknown> = {
    '/schemas/ids/1': {
      schema: JSON.stringify({
        type: 'record',
        name: 'Order',
        namespace: 'shop',
        fields: [
          { name: 'billTo', type: 'shop.common.Address' },
          { name: 'shipTo', type: ['null', 'shop.common.Address'] },
          { name: 'tags', type: { type: 'array', items: 'Tag' } },
          { name: 'country', type: 'shop.common.Country' },
        ],
      }),
      references: [
        { name: 'shop.common.Address', subject: 'address', version: 3 },
        { name: 'Tag', subject: 'tag', version: 1 },
      ],
    },
    '/subjects/address/versions/3': {
      schema: JSON.stringify({
        type: 'record',
        name: 'Address',
        namespace: 'shop.common',
        fields: [
          { name: 'street', type: 'string' },
          { name: 'country', type: 'Country' },
        ],
      }),
      references: [{ name: 'shop.common.Country', subject: 'country', version: 1 }],
    },
    '/subjects/country/versions/1': {
      schema: '{"type":"enum","name":"shop.common.Country","symbols":["CH","DE"]}',
    },
    '/subjects/tag/versions/1': {
      schema: '{"type":"record","name":"Tag","fields":[{"name":"text","type":"string"}]}',
    },
  }

  it('become one schema, each type where it is named first', async () => {
    const { registry } = await registryThat((request, response) => {
      const found = subjects[request.url!]
      return found === undefined ? json(response, 404, NO_SCHEMA) : json(response, 200, found)
    })
    expect(JSON.parse((await registry.schemaById(1))!)).toEqual({
      type: 'record',
      name: 'Order',
      namespace: 'shop',
      fields: [
        {
          name: 'billTo',
          type: {
            type: 'record',
            name: 'Address',
            namespace: 'shop.common',
            fields: [
              { name: 'street', type: 'string' },
              {
                name: 'country',
                type: { type: 'enum', name: 'Country', namespace: 'shop.common', symbols: ['CH', 'DE'] },
              },
            ],
          },
        },
        { name: 'shipTo', type: ['null', 'shop.common.Address'] },
        {
          name: 'tags',
          type: {
            type: 'array',
            items: { type: 'record', name: 'Tag', namespace: '', fields: [{ name: 'text', type: 'string' }] },
          },
        },
        { name: 'country', type: 'shop.common.Country' },
      ],
    })
  })

  it('are an error where one is missing: it is the registry that is wrong, not the record', async () => {
    const { registry } = await registryThat((request, response) =>
      request.url === '/schemas/ids/1'
        ? json(response, 200, subjects[request.url])
        : json(response, 404, NO_SCHEMA),
    )
    await expect(registry.schemaById(1)).rejects.toMatchObject({ code: 'REGISTRY_INVALID' })
  })
})

describe('a registry that does not answer as it should', () => {
  const cases: readonly (readonly [string, Answer, object])[] = [
    [
      '500',
      (_, response) => json(response, 500, { error_code: 50001, message: 'store down' }),
      {
        code: 'REGISTRY_UNAVAILABLE',
        retryable: true,
        message: expect.stringContaining('answers 500: store down'),
      },
    ],
    ['503 in HTML', (_, response) => html(response, 503), { code: 'REGISTRY_UNAVAILABLE', retryable: true }],
    ['429', (_, response) => json(response, 429, {}), { code: 'REGISTRY_UNAVAILABLE', retryable: true }],
    [
      'a hang',
      () => {},
      {
        code: 'REGISTRY_UNREACHABLE',
        retryable: true,
        message: expect.stringContaining('no answer within 100 ms'),
      },
    ],
    [
      'half an answer',
      (_, response) => void response.writeHead(200, { 'content-length': '100' }).write('{'),
      {
        code: 'REGISTRY_UNREACHABLE',
        retryable: true,
      },
    ],
    [
      'a reset',
      (request) => void request.socket.resetAndDestroy(),
      { code: 'REGISTRY_UNREACHABLE', retryable: true },
    ],
    [
      '401',
      (_, response) => json(response, 401, { error_code: 401, message: 'Unauthorized' }),
      {
        code: 'REGISTRY_FORBIDDEN',
        retryable: false,
        advice: expect.stringContaining('auth'),
      },
    ],
    ['403', (_, response) => html(response, 403), { code: 'REGISTRY_FORBIDDEN', retryable: false }],
    [
      '404 of another server',
      (_, response) => html(response, 404),
      { code: 'REGISTRY_INVALID', retryable: false },
    ],
    [
      '404 in JSON of another server',
      (_, response) => json(response, 404, { error: 'Not Found' }),
      {
        code: 'REGISTRY_INVALID',
        retryable: false,
      },
    ],
    [
      'a login page',
      (_, response) => html(response, 200),
      {
        code: 'REGISTRY_INVALID',
        message: expect.stringContaining('Please log in'),
      },
    ],
    [
      'a redirect',
      (_, response) => html(response, 302, { location: 'https://login.example/?next=secret' }),
      {
        code: 'REGISTRY_INVALID',
        message: expect.stringContaining('302, to https://login.example/:'),
      },
    ],
    ['JSON of another kind', (_, response) => json(response, 200, {}), { code: 'REGISTRY_INVALID' }],
  ]

  it.each(cases)('%s is an error, never an unknown id', async (_, answer, expected) => {
    const { registry } = await registryThat(answer, { timeoutMs: 100 })
    await expect(registry.schemaById(7)).rejects.toMatchObject(expected)
  })

  it('an address where nobody listens is an error that waiting may mend', async () => {
    const registry = confluentRegistry({ url: 'http://127.0.0.1:1' })
    await expect(registry.schemaById(7)).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      retryable: true,
      message: expect.stringContaining('ECONNREFUSED') as string,
    })
  })

  it('a page of a proxy is waited out where the registry has answered before', async () => {
    const { registry } = await registryThat((_, response, count) =>
      count === 1 ? html(response, 404) : json(response, 200, { schema: LONG }),
    )
    await registry.schemaById(1)
    await expect(registry.schemaById(2)).rejects.toMatchObject({ code: 'REGISTRY_INVALID', retryable: true })
    expect(await registry.schemaById(2)).toBe(LONG)
  })

  it('an error is not kept', async () => {
    const { registry } = await registryThat((_, response, count) =>
      count === 0 ? json(response, 500, {}) : json(response, 200, { schema: LONG }),
    )
    await expect(registry.schemaById(1)).rejects.toThrow()
    expect(await registry.schemaById(1)).toBe(LONG)
  })

  it('a URL that is none is refused without showing it', () => {
    expect(() => confluentRegistry({ url: 'user:secret@host' })).toThrow(
      expect.objectContaining({
        code: 'OPTION_INVALID',
        message: expect.not.stringContaining('secret') as string,
      }) as Error,
    )
  })
})

describe('registering', () => {
  it('looks the schema up first, and asks once', async () => {
    const { server, registry } = await registryThat((_, response) =>
      json(response, 200, { id: 4, subject: 's' }),
    )
    expect(await registry.register('a/b-value', LONG)).toBe(4)
    expect(await registry.register('a/b-value', LONG)).toBe(4)
    expect(server.requests).toEqual(['POST /subjects/a%2Fb-value'])
    expect(server.bodies).toEqual([JSON.stringify({ schema: LONG })])
  })

  it('registers what is not there', async () => {
    const { server, registry } = await registryThat((_, response, count) =>
      count === 0
        ? json(response, 404, { error_code: 40401, message: 'no subject' })
        : json(response, 200, { id: 5 }),
    )
    expect(await registry.register('s', LONG)).toBe(5)
    expect(server.requests).toEqual(['POST /subjects/s', 'POST /subjects/s/versions'])
  })

  it('says why a schema is incompatible', async () => {
    const { registry } = await registryThat((request, response) => {
      if (request.url === '/subjects/s') return json(response, 404, { error_code: 40403, message: 'none' })
      if (request.url === '/subjects/s/versions')
        return json(response, 409, { error_code: 409, message: 'not compatible' })
      return json(response, 200, {
        is_compatible: false,
        messages: ['READER_FIELD_MISSING_DEFAULT_VALUE: shop'],
      })
    })
    await expect(registry.register('s', LONG)).rejects.toMatchObject({
      code: 'SCHEMA_INCOMPATIBLE',
      retryable: false,
      message: expect.stringContaining('READER_FIELD_MISSING_DEFAULT_VALUE: shop; not compatible') as string,
    })
  })

  it('passes on why a schema is refused, and tries again after an outage', async () => {
    const { registry } = await registryThat((_, response, count) =>
      count === 0
        ? json(response, 503, {})
        : json(response, 422, { error_code: 42201, message: 'Invalid Avro schema' }),
    )
    await expect(registry.register('s', LONG)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' })
    await expect(registry.register('s', LONG)).rejects.toMatchObject({
      code: 'REGISTRY_REFUSED',
      message: expect.stringContaining('Invalid Avro schema') as string,
    })
  })
})
