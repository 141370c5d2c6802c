import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

/** What goes wrong with one request. Bodies of requests are passed on as they come unless the fault says otherwise. */
export type Fault =
  /** Answered by the proxy; nothing reaches the server. */
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly body?: string
      readonly headers?: Record<string, string>
    }
  /** The server does it, and nobody hears of it. */
  | { readonly kind: 'lost-answer' }
  /** The connection breaks after so many bytes of the request's body, which the server never sees. */
  | { readonly kind: 'cut-request'; readonly afterBytes: number }
  /** The answer breaks off after so many bytes of its body. */
  | { readonly kind: 'cut-answer'; readonly afterBytes: number }
  /** The answer stops after so many bytes of its body, and the connection stays. */
  | { readonly kind: 'stall-answer'; readonly afterBytes: number }
  /** Never answered. */
  | { readonly kind: 'hang' }
  /** Passed on without this header. */
  | { readonly kind: 'drop-header'; readonly name: string }
  /** One byte of the answer's body is another one. */
  | { readonly kind: 'flip-answer' }

export interface SeenRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: http.IncomingHttpHeaders
}

export interface FaultProxy {
  readonly url: string
  /** All requests so far. */
  readonly seen: readonly SeenRequest[]
  /** Asked for each request; null lets it pass. */
  plan(faultFor: (request: SeenRequest) => Fault | null): void
  close(): Promise<void>
}

/** An HTTP proxy in front of a server, on a free port of this machine. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(target)
  const agent = new http.Agent({ keepAlive: true })
  const seen: SeenRequest[] = []
  let faultFor: (request: SeenRequest) => Fault | null = () => null
  const server = http.createServer((request, response) => {
    const { method = '', url = '', headers } = request
    const asked = { method, url, headers }
    seen.push(asked)
    const fault = faultFor(asked)
    if (fault?.kind === 'answer') {
      request.resume().once('end', () => {
        response.writeHead(fault.status, { 'content-type': 'application/xml', ...fault.headers })
        response.end(method === 'HEAD' ? '' : (fault.body ?? ''))
      })
      return
    }
    if (fault?.kind === 'hang') {
      request.resume()
      return
    }
    if (fault?.kind === 'cut-request') {
      let bytes = 0
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes >= fault.afterBytes) request.socket.resetAndDestroy()
      })
      // A shorter one is cut at its end.
      request.once('end', () => request.socket.resetAndDestroy())
      return
    }
    const passed = { ...headers }
    if (fault?.kind === 'drop-header') delete passed[fault.name]
    const onward = http.request({ hostname, port, method, path: url, headers: passed, agent }, (answer) => {
      pass(answer, response, fault)
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    plan: (plan) => void (faultFor = plan),
    close: async () => {
      agent.destroy()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function pass(answer: http.IncomingMessage, response: http.ServerResponse, fault: Fault | null): void {
  if (fault?.kind === 'lost-answer') {
    answer.resume().once('end', () => response.socket?.resetAndDestroy())
    return
  }
  response.writeHead(answer.statusCode ?? 500, answer.headers)
  if (fault?.kind === 'flip-answer') {
    answer.once('data', (chunk: Buffer) => (chunk[0] = chunk[0]! ^ 1))
  }
  if (fault?.kind === 'cut-answer' || fault?.kind === 'stall-answer') {
    let left = fault.afterBytes
    // So that the headers arrive by themselves.
    response.flushHeaders()
    answer.on('data', (chunk: Buffer) => {
      if (left <= 0) return
      response.write(chunk.subarray(0, left), () => {
        if (left <= 0 && fault.kind === 'cut-answer') response.socket?.resetAndDestroy()
      })
      left -= chunk.length
    })
    answer.once('end', () => {
      if (left > 0 && fault.kind === 'cut-answer') response.socket?.resetAndDestroy()
    })
    return
  }
  answer.pipe(response)
}

/** The body of an error of S3. */
export function s3ErrorBody(code: string, message = 'injected', extra = ''): string {
  return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message>${extra}<RequestId>test</RequestId></Error>`
}
