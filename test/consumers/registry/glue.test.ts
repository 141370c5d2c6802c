import { describe, expect, it } from 'vitest'
import { type GlueRegistryOptions, glueRegistry } from '../../../consumers/registry/index.ts'
import { WriterSchemas } from '../../../src/engine/writer-schemas.ts'
import { findGlue, registerInGlue } from '../../parts/moto.ts'
import { type Answer, faultServer, html } from './fault-server.ts'

const UUID = '0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b'
const ORDER = '{"type":"record","name":"Order","fields":[{"name":"id","type":"long"}]}'
const ORDER_2 = ORDER.replace(']}', ',{"name":"total","type":"double","default":0}]}')
const glue = await findGlue()

describe.skipIf(glue.kind === 'missing')('the AWS Glue Schema Registry', () => {
  if (glue.kind === 'missing') return
  const open = (options: GlueRegistryOptions = {}) => glueRegistry({ ...glue, unknownAfterMs: 0, ...options })

  it('gives each version of a schema by its UUID, as it was registered', async () => {
    const [first, second] = await registerInGlue(glue, 'evolving', [ORDER, ORDER_2])
    const registry = open()
    expect(first).not.toBe(second)
    expect(await registry.schemaByUuid(first!)).toBe(ORDER)
    expect(await registry.schemaByUuid(second!)).toBe(ORDER_2)
  })

  it('has no version that nobody registered, and no ids', async () => {
    expect(await open().schemaByUuid(UUID)).toBeNull()
    expect(await open().schemaById(1)).toBeNull()
  })

  it('says of a schema that is not Avro of which kind it is', async () => {
    const [uuid] = await registerInGlue(glue, 'json', ['{"type":"object"}'], 'JSON')
    const schemas = new WriterSchemas({ kind: 'string', logical: null })
    schemas.learn(uuid!, await open().schemaByUuid(uuid!))
    expect(schemas.get(uuid!)).toEqual({
      kind: 'refused',
      reason: 'incompatible-schema',
      message: `schema version ${uuid} is a JSON schema; only Avro can be read`,
    })
  })

  it('is asked once for each version, however many ask', async () => {
    let asked = 0
    const [uuid] = await registerInGlue(glue, 'once', [ORDER])
    const server = await faultServer((_, response) => {
      asked++
      response.end(JSON.stringify({ SchemaVersionId: uuid, SchemaDefinition: ORDER, DataFormat: 'AVRO' }))
    })
    const registry = open({ endpoint: server.url })
    expect(await Promise.all([registry.schemaByUuid(uuid!), registry.schemaByUuid(uuid!)])).toEqual([
      ORDER,
      ORDER,
    ])
    expect(await registry.schemaByUuid(uuid!)).toBe(ORDER)
    expect(asked).toBe(1)
  })
})

async function registryThat(answer: Answer, options: GlueRegistryOptions = {}) {
  const server = await faultServer(answer)
  const credentials = { accessKeyId: 'one', secretAccessKey: 'secret' }
  const registry = glueRegistry({
    endpoint: server.url,
    region: 'eu-west-1',
    credentials,
    unknownAfterMs: 0,
    ...options,
  })
  return { server, registry }
}

const refuse =
  (status: number, name: string): Answer =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
    response.end(JSON.stringify({ __type: name, Message: `${name} it is` }))
  }

const found: Answer = (_, response) => {
  response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' })
  response.end(JSON.stringify({ SchemaDefinition: ORDER, DataFormat: 'AVRO', Status: 'AVAILABLE' }))
}

describe('a Glue that does not answer as it should', () => {
  it.each([
    ['is not to be asked', refuse(400, 'AccessDeniedException'), 'REGISTRY_FORBIDDEN', false],
    [
      'has never heard of the credentials',
      refuse(400, 'UnrecognizedClientException'),
      'REGISTRY_FORBIDDEN',
      false,
    ],
    ['is asked too often', refuse(400, 'ThrottlingException'), 'REGISTRY_UNAVAILABLE', true],
    ['has failed', refuse(500, 'InternalServiceException'), 'REGISTRY_UNAVAILABLE', true],
    ['is behind a gateway that gives up', (_, response) => html(response, 502), 'REGISTRY_UNAVAILABLE', true],
    ['breaks off', (request) => request.socket.destroy(), 'REGISTRY_UNREACHABLE', true],
    ['takes too long', () => {}, 'REGISTRY_UNREACHABLE', true],
    ['refuses the request', refuse(400, 'InvalidInputException'), 'REGISTRY_REFUSED', false],
    ['is a login page', (_, response) => html(response, 200), 'REGISTRY_INVALID', false],
    ['is another server', (_, response) => html(response, 404), 'REGISTRY_INVALID', false],
    ['gives no schema', (_, response) => response.end('{}'), 'REGISTRY_INVALID', false],
  ] as const satisfies readonly (readonly [string, Answer, string, boolean])[])(
    'because it %s',
    async (_, answer, code, retryable) => {
      const { registry } = await registryThat(answer, { timeoutMs: 500 })
      await expect(registry.schemaByUuid(UUID)).rejects.toMatchObject({ code, retryable })
    },
  )

  it('is waited for where it has answered before, and asked again for what it did not give', async () => {
    let isBroken = true
    const { registry } = await registryThat((request, response, count) => {
      if (count > 0 && isBroken) html(response, 200)
      else found(request, response, count)
    })
    expect(await registry.schemaByUuid(UUID)).toBe(ORDER)
    const other = UUID.replace('0', 'a')
    await expect(registry.schemaByUuid(other)).rejects.toMatchObject({
      code: 'REGISTRY_INVALID',
      retryable: true,
    })
    isBroken = false
    expect(await registry.schemaByUuid(other)).toBe(ORDER)
  })

  it('gets the credentials that follow those that have ended', async () => {
    let given = 0
    const { server, registry } = await registryThat(
      (request, response, count) => {
        const isFirst = request.headers.authorization?.includes('Credential=key-1/') === true
        if (isFirst) refuse(400, 'ExpiredTokenException')(request, response, count)
        else found(request, response, count)
      },
      { credentials: () => Promise.resolve({ accessKeyId: `key-${++given}`, secretAccessKey: 'secret' }) },
    )
    expect(await registry.schemaByUuid(UUID)).toBe(ORDER)
    expect(server.requests).toHaveLength(2)
  })

  it('that has nobody who may ask is told apart from one that refuses', async () => {
    const { server, registry } = await registryThat(found, {
      credentials: () => Promise.reject(new Error('the vault is sealed')),
    })
    await expect(registry.schemaByUuid(UUID)).rejects.toMatchObject({
      code: 'REGISTRY_FORBIDDEN',
      message: expect.stringContaining('the vault is sealed') as string,
    })
    expect(server.requests).toEqual([])
  })

  it('is not waited for without end where the credentials do not come', async () => {
    const { registry } = await registryThat(found, {
      credentials: () => new Promise(() => {}),
      timeoutMs: 50,
    })
    await expect(registry.schemaByUuid(UUID)).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      message: expect.stringContaining('no answer within 50 ms') as string,
    })
  })

  it('is not at an address that is none', () => {
    expect(() => glueRegistry({ endpoint: 'localhost:5000' })).toThrow('is no URL')
  })
})
