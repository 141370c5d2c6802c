import { createServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { confluentRegistry } from '../../../consumers/registry/index.ts'
import { selfSigned } from '../../parts/certificate.ts'
import { json } from './fault-server.ts'

const own = selfSigned('registry')
const client = selfSigned('client')

async function secureRegistry(options: ServerOptions = {}): Promise<string> {
  const server = createServer({ ...own, ...options }, (request, response) => {
    const { authorized } = request.socket as TLSSocket
    json(response, 200, { schema: JSON.stringify({ type: 'string', known: authorized }) })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('a registry with TLS', () => {
  it('is believed where its authority is', async () => {
    const url = await secureRegistry()
    expect(await confluentRegistry({ url, tls: { ca: own.cert } }).schemaById(1)).toContain('string')
    await expect(confluentRegistry({ url }).schemaById(1)).rejects.toMatchObject({
      code: 'REGISTRY_TLS',
      retryable: false,
      advice: expect.stringContaining('tls.ca') as string,
    })
  })

  it('is shown the certificate of the client', async () => {
    const url = await secureRegistry({ requestCert: true, rejectUnauthorized: true, ca: client.cert })
    const tls = { ca: own.cert, cert: client.cert, key: client.key }
    expect(await confluentRegistry({ url, tls }).schemaById(1)).toContain('"known":true')
    await expect(confluentRegistry({ url, tls: { ca: own.cert } }).schemaById(1)).rejects.toMatchObject({
      code: 'REGISTRY_TLS',
    })
  })

  it('is not spoken to without it', async () => {
    const url = await secureRegistry()
    await expect(
      confluentRegistry({ url: url.replace('https', 'http') }).schemaById(1),
    ).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
    })
  })
})
