import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

export interface SeenRequest {
  /** 'GetRecords'. */
  readonly operation: string
  /** On a clock that begins anywhere. */
  readonly atMs: number
  /** Also where the request has an iterator only; null where it is about none. */
  readonly shardId: string | null
}

/** One request to Kinesis on its way. */
export interface KinesisRequest extends SeenRequest {
  readonly headers: http.IncomingHttpHeaders
  readonly body: Readonly<Record<string, unknown>>
}

/** What goes wrong with one request. */
export type KinesisFault =
  /** Answered on the way; Kinesis does not see it. 'ProvisionedThroughputExceededException', 'ExpiredTokenException', … */
  | { readonly kind: 'error'; readonly code: string; readonly message?: string; readonly status?: number }
  /** Of PutRecords: these are refused, the others are stored. */
  | { readonly kind: 'partial'; readonly isRefused: (index: number) => boolean; readonly code?: string }
  /** Kinesis does it, and nobody hears of it. */
  | { readonly kind: 'lost-answer' }
  /** The connection breaks; Kinesis does not see the request. */
  | { readonly kind: 'cut-request' }
  /** The answer breaks off after so many bytes of its body. */
  | { readonly kind: 'cut-answer'; readonly afterBytes: number }
  /** The same, with a connection that ends as if that were all. */
  | { readonly kind: 'truncate-answer'; readonly bytes: number }
  /** Never answered. */
  | { readonly kind: 'hang' }

export type FaultPlan = (request: KinesisRequest) => KinesisFault | null

export interface KinesisFaultProxy {
  readonly url: string
  /** All requests so far. */
  readonly seen: readonly SeenRequest[]
  /** Asked for each request; null lets it pass. */
  plan(faultFor: FaultPlan): void
  /** Ends all connections as they are. */
  cutConnections(): void
  close(): Promise<void>
}

const THROTTLED: KinesisFault = {
  kind: 'error',
  code: 'ProvisionedThroughputExceededException',
  message: 'Rate exceeded for shard, says the proxy',
}

/** An HTTP proxy in front of a Kinesis stand-in, on a free port of the loopback, for what stand-ins cannot do. It knows what is said: requests in AWS's JSON. */
export async function startKinesisFaults(target: string): Promise<KinesisFaultProxy> {
  const { hostname, port } = new URL(target)
  const agent = new http.Agent({ keepAlive: true })
  const seen: SeenRequest[] = []
  const shards = new IteratorShards()
  let faultFor: FaultPlan = () => null

  const pass = (request: http.IncomingMessage, body: Buffer): Promise<http.IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { method, url } = request
      const headers = { ...request.headers, 'content-length': String(body.length) }
      const onward = http.request({ hostname, port, method, path: url, headers, agent }, resolve)
      onward.once('error', reject)
      onward.end(body)
    })

  const serve = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const bytes = await bytesOf(request)
    const asked = readRequest(request, bytes, shards)
    const { operation, atMs, shardId } = asked
    seen.push({ operation, atMs, shardId })
    const fault = faultFor(asked)
    if (fault?.kind === 'hang') return
    if (fault?.kind === 'cut-request') return void request.socket.resetAndDestroy()
    if (fault?.kind === 'error') return answerError(response, fault)
    if (fault?.kind === 'partial') return await answerPartly(request, response, asked, fault, pass)
    const answer = await pass(request, bytes)
    if (asked.operation === 'SubscribeToShard') return stream(answer, response, fault)
    const body = await bytesOf(answer)
    shards.learn(asked, answer, body)
    if (fault?.kind === 'lost-answer') return void request.socket.resetAndDestroy()
    if (fault?.kind === 'cut-answer') {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      response.write(body.subarray(0, fault.afterBytes), () => request.socket.resetAndDestroy())
      return
    }
    const whole = fault?.kind === 'truncate-answer' ? body.subarray(0, fault.bytes) : body
    response.writeHead(answer.statusCode ?? 500, {
      ...answer.headers,
      'content-length': String(whole.length),
    })
    response.end(whole)
  }

  const server = http.createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    plan: (plan) => void (faultFor = plan),
    cutConnections: () => server.closeAllConnections(),
    close: async () => {
      agent.destroy()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

// ---------------------------------------------------------------------------------------------- plans

/** The first fault that one of the plans has. */
export function anyOf(...plans: readonly FaultPlan[]): FaultPlan {
  return (request) => {
    for (const plan of plans) {
      const fault = plan(request)
      if (fault !== null) return fault
    }
    return null
  }
}

/** A fault for some requests of an operation, the same ones in each run. `probability` in [0, 1]. */
export function sometimes(
  operation: string,
  probability: number,
  fault: KinesisFault = THROTTLED,
  seed = 1,
): FaultPlan {
  let state = seed
  return (request) => {
    if (request.operation !== operation) return null
    // Numerical Recipes' generator: no need of a better one.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32 < probability ? fault : null
  }
}

/** A fault for the first `count` requests of an operation after `skip`. */
export function atFirst(operation: string, count: number, fault: KinesisFault, skip = 0): FaultPlan {
  let index = 0
  return (request) => {
    if (request.operation !== operation) return null
    const mine = index++
    return mine >= skip && mine < skip + count ? fault : null
  }
}

/** Throttles who asks the same shard (or, without one, the same operation) more often than that within a second. */
export function throttleAbove(operation: string, perSecond: number): FaultPlan {
  const times = new Map<string, number[]>()
  return ({ atMs, shardId, ...request }) => {
    if (request.operation !== operation) return null
    const key = shardId ?? ''
    const recent = (times.get(key) ?? []).filter((time) => time > atMs - 1_000)
    times.set(key, recent)
    if (recent.length >= perSecond) return THROTTLED
    recent.push(atMs)
    return null
  }
}

// --------------------------------------------------------------------------------------------- within

/** Which shard an iterator is of: requests do not say. */
class IteratorShards {
  readonly #shards = new Map<string, string>()

  shardOf(body: Readonly<Record<string, unknown>>): string | null {
    const { ShardId, ShardIterator } = body
    if (typeof ShardId === 'string') return ShardId
    return typeof ShardIterator === 'string' ? (this.#shards.get(ShardIterator) ?? null) : null
  }

  learn({ shardId }: KinesisRequest, { statusCode }: http.IncomingMessage, body: Buffer): void {
    if (shardId === null || statusCode !== 200) return
    const { ShardIterator, NextShardIterator } = JSON.parse(body.toString()) as Record<string, unknown>
    for (const iterator of [ShardIterator, NextShardIterator]) {
      if (typeof iterator === 'string') this.#shards.set(iterator, shardId)
    }
    // Nobody uses those that are older.
    for (const iterator of this.#shards.keys()) {
      if (this.#shards.size <= 10_000) break
      this.#shards.delete(iterator)
    }
  }
}

function readRequest(
  { headers }: http.IncomingMessage,
  bytes: Buffer,
  shards: IteratorShards,
): KinesisRequest {
  const operation = String(headers['x-amz-target'] ?? '')
    .split('.')
    .at(-1)!
  const body = (bytes.length === 0 ? {} : JSON.parse(bytes.toString())) as Record<string, unknown>
  return { operation, atMs: performance.now(), headers, body, shardId: shards.shardOf(body) }
}

function answerError(response: http.ServerResponse, fault: KinesisFault & { readonly kind: 'error' }): void {
  const { code, message = 'injected by the proxy', status = 400 } = fault
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': 'proxy' })
  response.end(JSON.stringify({ __type: code, message }))
}

interface PutAnswer {
  readonly Records: readonly { readonly ErrorCode?: string }[]
}

/** Only what is not refused goes on to Kinesis. */
async function answerPartly(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  { body }: KinesisRequest,
  fault: KinesisFault & { readonly kind: 'partial' },
  pass: (request: http.IncomingMessage, body: Buffer) => Promise<http.IncomingMessage>,
): Promise<void> {
  const entries = body['Records'] as readonly unknown[]
  const kept = entries.filter((_, index) => !fault.isRefused(index))
  let outcomes: PutAnswer['Records'] = []
  if (kept.length > 0) {
    const answer = await pass(request, Buffer.from(JSON.stringify({ ...body, Records: kept })))
    const text = (await bytesOf(answer)).toString()
    if (answer.statusCode !== 200) {
      response.writeHead(answer.statusCode ?? 500, { 'content-type': 'application/x-amz-json-1.1' })
      response.end(text)
      return
    }
    outcomes = (JSON.parse(text) as PutAnswer).Records
  }
  let next = 0
  const Records = entries.map((_, index) =>
    fault.isRefused(index)
      ? { ErrorCode: fault.code ?? 'ProvisionedThroughputExceededException', ErrorMessage: 'Rate exceeded' }
      : outcomes[next++]!,
  )
  const FailedRecordCount = Records.filter(({ ErrorCode }) => ErrorCode !== undefined).length
  response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': 'proxy' })
  response.end(JSON.stringify({ FailedRecordCount, Records, EncryptionType: 'NONE' }))
}

/** Events are passed on as they come. */
function stream(
  answer: http.IncomingMessage,
  response: http.ServerResponse,
  fault: KinesisFault | null,
): void {
  if (fault?.kind === 'lost-answer') return void response.socket?.resetAndDestroy()
  response.writeHead(answer.statusCode ?? 500, answer.headers)
  response.flushHeaders()
  response.once('close', () => answer.destroy())
  answer.once('error', () => response.destroy())
  if (fault?.kind !== 'cut-answer' && fault?.kind !== 'truncate-answer') {
    answer.pipe(response)
    return
  }
  let left = fault.kind === 'cut-answer' ? fault.afterBytes : fault.bytes
  answer.on('data', (chunk: Buffer) => {
    if (left <= 0) return
    response.write(chunk.subarray(0, left))
    left -= chunk.length
    if (left > 0) return
    if (fault.kind === 'truncate-answer') response.end()
    else response.socket?.resetAndDestroy()
  })
  answer.once('end', () => response.end())
}

async function bytesOf(message: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
