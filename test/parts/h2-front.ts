import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Certificate, selfSigned } from './certificate.ts'
import {
  type Call,
  FanOutServer,
  type FanOutServerTimes,
  type Response,
  type SeenSubscription,
  type SubscribeRequest,
  type SubscriptionFault,
} from './fan-out-server.ts'

export interface FanOutFrontOptions {
  /** Default: as in Kinesis: five minutes, five seconds, five seconds. */
  readonly times?: Partial<FanOutServerTimes>
  /** Absent: plain HTTP/1.1. Present: TLS, with HTTP/2 for those who ask for it. */
  readonly certificate?: Certificate
}

export interface FanOutFront {
  readonly endpoint: string
  /** All subscriptions that were asked for. */
  readonly seen: readonly SeenSubscription[]
  /** Asked for each subscription that the shard is free for; null lets it be. */
  plan(faultFor: (subscription: SeenSubscription) => SubscriptionFault | null): void
  /** How many are open now. */
  readonly openSubscriptions: () => number
  /** Resolves when none is open. */
  untilNoneIsOpen(): Promise<void>
  close(): Promise<void>
}

const TIMES: FanOutServerTimes = { subscriptionMs: 300_000, heldMs: 5_000, quietMs: 5_000, pollMs: 100 }

/**
 * Stands in front of a stand-in of Kinesis (HTTP/1.1), hands on all requests but SubscribeToShard, and serves that by itself, over HTTP/2 too. Started by hand:
 * `node test/parts/h2-front.ts http://127.0.0.1:4567`.
 */
export async function startFanOutFront(
  target: string,
  { certificate, times }: FanOutFrontOptions = {},
): Promise<FanOutFront> {
  const agent = new http.Agent({ keepAlive: true })
  const fanOut = new FanOutServer({ ...TIMES, ...times })
  const seen: SeenSubscription[] = []
  const sockets = new Set<Socket>()
  const open = new Set<Response>()
  let faultFor: (subscription: SeenSubscription) => SubscriptionFault | null = () => null

  const handle = async (request: Request, response: Response): Promise<void> => {
    const body = await bodyOf(request)
    const operation = String(request.headers['x-amz-target'] ?? '').replace(/^.*\./, '')
    if (operation !== 'SubscribeToShard') return await handOn(agent, target, request, body, response)
    const subscribe = JSON.parse(body.toString()) as SubscribeRequest
    const subscription = {
      shardId: subscribe.ShardId,
      from: subscribe.StartingPosition.Type,
      httpVersion: request.httpVersion,
      index: seen.filter(({ shardId }) => shardId === subscribe.ShardId).length,
    }
    seen.push(subscription)
    const call: Call = (name, input) => ask(agent, target, request, name, input)
    // Over HTTP/2 a request has no socket that may be destroyed.
    const { remotePort } = request.socket
    const hangUp = (): void => {
      for (const socket of sockets) if (socket.remotePort === remotePort) socket.destroy()
    }
    open.add(response)
    response.on('close', () => open.delete(response))
    await fanOut.serve({ call, response, hangUp }, subscribe, () => faultFor(subscription))
  }
  const listener = (request: Request, response: Response): void => {
    response.on('error', () => {})
    handle(request, response).catch(() => response.destroy())
  }
  const server =
    certificate === undefined
      ? http.createServer(listener)
      : http2.createSecureServer({ ...certificate, allowHTTP1: true }, listener)
  server.on(certificate === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    seen,
    plan: (next) => {
      faultFor = next
    },
    openSubscriptions: () => open.size,
    untilNoneIsOpen: async () => {
      for (const response of open) await once(response, 'close')
    },
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      agent.destroy()
      await closed
    },
  }
}

type Request = http.IncomingMessage | http2.Http2ServerRequest

async function bodyOf(request: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Those that mean something to the stand-in, which checks no signature. */
function headersFor(request: Request, target: string, bytes: number): http.OutgoingHttpHeaders {
  const headers = Object.entries(request.headers).filter(
    ([name]) => !name.startsWith(':') && name !== 'connection' && name !== 'transfer-encoding',
  )
  return { ...Object.fromEntries(headers), host: new URL(target).host, 'content-length': bytes }
}

async function handOn(
  agent: http.Agent,
  target: string,
  request: Request,
  body: Buffer,
  response: Response,
): Promise<void> {
  const { method = 'GET', url = '/' } = request
  const headers = headersFor(request, target, body.length)
  const answer = await send(agent, target, { method, path: url, headers }, body)
  const { 'content-type': type = 'application/json', date } = answer.headers
  response.writeHead(answer.statusCode ?? 502, {
    'content-type': type,
    ...(date === undefined ? {} : { date }),
  })
  response.end(await bodyOf(answer))
}

async function ask(
  agent: http.Agent,
  target: string,
  request: Request,
  operation: string,
  input: object,
): ReturnType<Call> {
  const body = Buffer.from(JSON.stringify(input))
  const headers = {
    ...headersFor(request, target, body.length),
    'x-amz-target': `Kinesis_20131202.${operation}`,
  }
  const answer = await send(agent, target, { method: 'POST', path: '/', headers }, body)
  return {
    status: answer.statusCode ?? 502,
    body: JSON.parse((await bodyOf(answer)).toString()) as Awaited<ReturnType<Call>>['body'],
  }
}

function send(
  agent: http.Agent,
  target: string,
  options: http.RequestOptions,
  body: Buffer,
): Promise<http.IncomingMessage> {
  const { hostname, port } = new URL(target)
  return new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, agent, ...options }, resolve)
    request.on('error', reject)
    request.end(body)
  })
}

if (import.meta.main) {
  const [target = 'http://127.0.0.1:4567', protocol = 'http'] = process.argv.slice(2)
  const certificate = protocol === 'https' ? selfSigned('kinesis') : undefined
  const { endpoint } = await startFanOutFront(target, certificate === undefined ? {} : { certificate })
  process.stdout.write(`AWS_ENDPOINT_URL_KINESIS=${endpoint}\n`)
  if (certificate !== undefined) {
    const path = join(mkdtempSync(join(tmpdir(), 'millrace-front-')), 'ca.pem')
    writeFileSync(path, certificate.cert)
    process.stdout.write(`NODE_EXTRA_CA_CERTS=${path}\n`)
  }
}
