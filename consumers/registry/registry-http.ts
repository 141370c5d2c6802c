import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { messageOf, PipelineError } from '../../src/errors.ts'

/** Certificates in PEM. What is left out is as Node has it. */
export interface RegistryTls {
  /** Of the authority that signed the registry's certificate, where systems do not know it. */
  readonly ca?: string | Uint8Array
  /** The client's own, for mutual TLS. */
  readonly cert?: string | Uint8Array
  readonly key?: string | Uint8Array
  readonly passphrase?: string
  /** The name in the registry's certificate, where it is not the host of the URL. */
  readonly servername?: string
  /** False accepts any certificate: for a try on one's own machine. */
  readonly rejectUnauthorized?: boolean
}

export type RegistryAuth =
  | { readonly username: string; readonly password: string }
  /** Sent as a bearer token. A function is asked before each request, so that a token may be renewed. */
  | { readonly token: string | (() => string | Promise<string>) }

export interface RegistryHttpOptions {
  readonly url: URL
  /** The URL without secrets. */
  readonly description: string
  readonly auth: RegistryAuth | null
  readonly tls: RegistryTls
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

export interface RegistryAnswer {
  readonly status: number
  /** Parsed where the registry answered with JSON, else undefined. */
  readonly json: unknown
  readonly text: string
  readonly location: string | undefined
}

/** A schema of megabytes is a page of something else. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024
const SOCKETS_MAX = 8
const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json'

/**
 * One request and its answer, whatever its status. Node's own client and not `fetch`, which takes no certificates without a
 * package. Redirects are not followed: they would take the credentials elsewhere. Throws REGISTRY_UNREACHABLE (retryable) and
 * REGISTRY_TLS.
 */
export class RegistryHttp {
  readonly #options: RegistryHttpOptions
  readonly #agent: HttpAgent

  constructor(options: RegistryHttpOptions) {
    this.#options = options
    const sockets = { keepAlive: true, maxSockets: SOCKETS_MAX }
    this.#agent =
      options.url.protocol === 'https:'
        ? new HttpsAgent({ ...sockets, ...tlsOptions(options.tls) })
        : new HttpAgent(sockets)
  }

  async call(method: 'GET' | 'POST', path: string, body?: object): Promise<RegistryAnswer> {
    const authorization = await authorizationOf(this.#options.auth)
    const send = () =>
      this.#send(method, path, body === undefined ? null : JSON.stringify(body), authorization)
    try {
      return await send()
    } catch (error) {
      // The registry closed an idle connection just as it was used again: that says nothing about the registry.
      if (error instanceof StaleSocketError) return send()
      throw error
    }
  }

  #send(
    method: string,
    path: string,
    body: string | null,
    authorization: string | null,
  ): Promise<RegistryAnswer> {
    const { url, headers, timeoutMs } = this.#options
    const target = new URL(url.pathname.replace(/\/$/, '') + path, url)
    return new Promise((resolve, reject) => {
      const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(target, {
        method,
        agent: this.#agent,
        headers: {
          accept: `${CONTENT_TYPE}, application/json`,
          ...(body === null
            ? {}
            : { 'content-type': CONTENT_TYPE, 'content-length': Buffer.byteLength(body) }),
          ...(authorization === null ? {} : { authorization }),
          ...headers,
        },
      })
      // Over the whole exchange: a registry that sends a byte now and then is as good as one that sends none.
      const timer = setTimeout(
        () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)),
        timeoutMs,
      )
      const fail = (error: Error): void => {
        clearTimeout(timer)
        const isStale = request.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET'
        reject(isStale ? new StaleSocketError() : this.#failure(error))
      }
      request.once('error', fail)
      request.once('response', (response) => {
        readAnswer(response).then((answer) => {
          clearTimeout(timer)
          resolve(answer)
        }, fail)
      })
      request.end(body ?? undefined)
    })
  }

  #failure(cause: Error): PipelineError {
    const { description } = this.#options
    const code = (cause as NodeJS.ErrnoException).code ?? ''
    if (TLS_CODES.test(code)) {
      return new PipelineError(
        'REGISTRY_TLS',
        `${description}: no secure connection to the schema registry: ${reasonOf(cause)}`,
        {
          cause,
          advice:
            'Give the certificate of its authority as tls.ca, and the client’s own as tls.cert and tls.key.',
        },
      )
    }
    return new PipelineError(
      'REGISTRY_UNREACHABLE',
      `${description}: the schema registry cannot be reached: ${reasonOf(cause)}`,
      { cause, retryable: true, advice: 'Check the URL, and that the registry runs.' },
    )
  }
}

/** What Node calls certificates that do not hold, and a handshake with something that speaks no TLS. */
const TLS_CODES =
  /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_OSSL_|EPROTO$|HOSTNAME_MISMATCH)/

class StaleSocketError extends Error {}

/** Node tries all addresses of a name, and then has an error without a message that holds one for each. */
function reasonOf(error: Error): string {
  const inner = error instanceof AggregateError ? (error.errors[0] as unknown) : error
  return messageOf(inner)
}

function tlsOptions(tls: RegistryTls): object {
  const asBuffer = (pem: string | Uint8Array | undefined) =>
    pem === undefined || typeof pem === 'string' ? pem : Buffer.from(pem)
  const { ca, cert, key, ...rest } = tls
  const pems = { ca: asBuffer(ca), cert: asBuffer(cert), key: asBuffer(key) }
  return { ...rest, ...Object.fromEntries(Object.entries(pems).filter(([, pem]) => pem !== undefined)) }
}

async function authorizationOf(auth: RegistryAuth | null): Promise<string | null> {
  if (auth === null) return null
  if ('token' in auth) return `Bearer ${typeof auth.token === 'string' ? auth.token : await auth.token()}`
  return `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`
}

async function readAnswer(response: IncomingMessage): Promise<RegistryAnswer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is longer than ${ANSWER_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    json = undefined
  }
  return { status: response.statusCode ?? 0, json, text, location: response.headers.location }
}
