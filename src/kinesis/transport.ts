import { NodeHttp2Handler, NodeHttpHandler } from '@smithy/node-http-handler'

export interface TransportOptions {
  /** For one request up to its answer, and between two parts of one. Not for subscriptions, which are open for minutes. */
  readonly requestTimeoutMs: number
  readonly connectTimeoutMs: number
}

/** What the SDK takes as its `requestHandler`. */
export type Transport = Pick<
  NodeHttpHandler,
  'metadata' | 'handle' | 'destroy' | 'updateHttpClientConfig' | 'httpHandlerConfigs'
>

/**
 * How requests travel. The SDK's own choice is HTTP/2 with a connection for each request; we take HTTP/1.1 with connections that are kept, as SDKs of other languages do.
 * Only subscriptions need HTTP/2: over TLS they have it, each on a connection of its own. Over plain http, where only stand-ins listen, they use HTTP/1.1 too: the
 * SDK says goodbye (GOAWAY) as soon as a subscription has begun, and goes on reading; stand-ins hang up on hearing it, Kinesis does not.
 */
export function kinesisTransport({ requestTimeoutMs, connectTimeoutMs }: TransportOptions): Transport {
  const requests = new NodeHttpHandler({
    requestTimeout: requestTimeoutMs,
    throwOnRequestTimeout: true,
    socketTimeout: requestTimeoutMs,
    connectionTimeout: connectTimeoutMs,
    // One each for the requests of as many shards.
    httpAgent: { maxSockets: SOCKETS_MAX },
    httpsAgent: { maxSockets: SOCKETS_MAX },
  })
  // Silence on a subscription is for its reader to judge: nobody else knows whether anything was due.
  const plainSubscriptions = new NodeHttpHandler({
    connectionTimeout: connectTimeoutMs,
    httpAgent: { keepAlive: false, maxSockets: Number.POSITIVE_INFINITY },
  })
  const subscriptions = new NodeHttp2Handler({ disableConcurrentStreams: true })
  return {
    metadata: requests.metadata,
    handle: (request, options: Parameters<NodeHttp2Handler['handle']>[1] = {}) => {
      if (options.isEventStream !== true) return requests.handle(request, options)
      return request.protocol === 'https:'
        ? subscriptions.handle(request, options)
        : plainSubscriptions.handle(request, options)
    },
    destroy: () => {
      requests.destroy()
      plainSubscriptions.destroy()
      subscriptions.destroy()
    },
    // By these the SDK would put its own time-outs, which suit no subscription, in place of ours.
    updateHttpClientConfig: () => {},
    httpHandlerConfigs: () => ({}),
  }
}

const SOCKETS_MAX = 256
