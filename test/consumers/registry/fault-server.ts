import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

export interface FaultServer {
  readonly url: string
  /** '<METHOD> <path>' of each request. */
  readonly requests: readonly string[]
  readonly bodies: readonly string[]
  readonly authorizations: readonly (string | undefined)[]
}

export type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void

/** A registry that answers as the test says; `count` is that of the requests before. It goes away with the test. */
export async function faultServer(answer: Answer): Promise<FaultServer> {
  const requests: string[] = []
  const bodies: string[] = []
  const authorizations: (string | undefined)[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const count = requests.length
      requests.push(`${request.method} ${request.url}`)
      bodies.push(Buffer.concat(chunks).toString())
      authorizations.push(request.headers.authorization)
      answer(request, response, count)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, requests, bodies, authorizations }
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' })
  response.end(JSON.stringify(body))
}

export function html(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'text/html', ...headers })
  response.end('<html><body>Please log in</body></html>')
}

export const NO_SCHEMA = { error_code: 40403, message: 'Schema 7 not found' }
