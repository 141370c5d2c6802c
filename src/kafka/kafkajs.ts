import { createRequire } from 'node:module'
import net from 'node:net'
import tls from 'node:tls'
import kafkajs, {
  type Admin,
  type Kafka,
  type KafkaConfig,
  type LogEntry,
  type Message,
  type Producer,
  type ProducerConfig,
  type TopicMessages,
  type Transaction,
} from 'kafkajs'
import type { Log } from '../ports.ts'
import { AnswerAssembler } from './answer-assembler.ts'
import { AnswerMemory } from './answer-memory.ts'
import { oauthBearer } from './oauth-bearer.ts'
import type { KafkaAddress, ResolvedKafkaOptions } from './options.ts'

/**
 * The only file that imports kafkajs. Beside its public parts it takes its connection (sockets, TLS, SASL, request queue), over which
 * client.ts sends requests of its own: kafkajs 2.2.4 is pinned and has no `exports` map, so its inner modules can be named.
 */
export type { Admin, Kafka, Message, Producer, ProducerConfig, TopicMessages, Transaction }
export const { CompressionTypes, CompressionCodecs, Partitioners, AssignerProtocol } = kafkajs

const load = createRequire(import.meta.url)

/** What of kafkajs's connection is used. */
export interface Connection {
  readonly host: string
  readonly port: number
  readonly socket?: { destroy(error?: Error): void }
  readonly requestQueue: {
    fulfillRequest(answer: { correlationId: number; payload: Buffer; size: number }): void
  }
  connect(): Promise<unknown>
  disconnect(): Promise<unknown>
  authenticate(): Promise<void>
  isConnected(): boolean
  setVersions(versions: Readonly<Record<number, ApiRange>>): void
  setSupportAuthenticationProtocol(isSupported: boolean): void
  rejectRequests(error: Error): void
  send<T>(call: {
    request: { apiKey: number; apiVersion: number; apiName: string; encode(): Promise<EncodedBody> }
    response: { decode(body: Buffer): Promise<T>; parse(decoded: T): Promise<T> }
    requestTimeout?: number | null
    logResponseError?: boolean
  }): Promise<T>
}

export interface ApiRange {
  readonly minVersion: number
  readonly maxVersion: number
}

/** What kafkajs's encoder looks like to its request writer. */
interface EncodedBody {
  readonly buf: Buffer
  readonly buffer: Buffer
}

interface ConnectionOptions {
  readonly host: string
  readonly port: number
  readonly logger: unknown
  readonly socketFactory: unknown
  readonly ssl: unknown
  readonly sasl: unknown
  readonly clientId: string
  readonly connectionTimeout: number
  readonly requestTimeout: number
}

const ConnectionClass = load('kafkajs/src/network/connection') as new (
  options: ConnectionOptions,
) => Connection

/**
 * One connection, not yet connected. `bulk`: its answers are large, and lie in this memory. kafkajs keeps every piece that a socket gives and puts them together in the
 * end, which costs more than all the rest of reading; here one buffer takes the pieces, and each answer is put together as it comes.
 */
export function newConnection(
  options: ResolvedKafkaOptions,
  log: Log,
  { host, port }: KafkaAddress,
  bulk: AnswerMemory | null,
): Connection {
  const config = configOf(options, log)
  const connection: Connection = new ConnectionClass({
    host,
    port,
    logger: new kafkajs.Kafka(config).logger(),
    socketFactory: bulk !== null ? (request: SocketRequest) => openSocket(request, receive) : openSocket,
    ssl: config.ssl ?? null,
    sasl: config.sasl ?? null,
    clientId: options.clientId,
    connectionTimeout: options.connectTimeoutMs,
    requestTimeout: options.requestTimeoutMs,
  })
  const assembler = new AnswerAssembler(bulk ?? new AnswerMemory(), (answer) => {
    const correlationId = answer.readInt32BE()
    const payload = answer.subarray(CORRELATION_ID_BYTES)
    connection.requestQueue.fulfillRequest({ correlationId, payload, size: answer.length })
  })
  const receive = (piece: Buffer): void => {
    try {
      assembler.push(piece)
    } catch (error) {
      connection.socket?.destroy(error instanceof Error ? error : undefined)
    }
  }
  return connection
}

const CORRELATION_ID_BYTES = 4

/** For its admin client and its producers. */
export function newKafka(options: ResolvedKafkaOptions, log: Log): Kafka {
  return new kafkajs.Kafka(configOf(options, log))
}

function configOf(options: ResolvedKafkaOptions, log: Log): KafkaConfig {
  const { sasl, tls: ssl } = options
  return {
    brokers: options.brokers.map(({ host, port }) => `${host}:${port}`),
    clientId: options.clientId,
    connectionTimeout: options.connectTimeoutMs,
    authenticationTimeout: options.requestTimeoutMs,
    requestTimeout: options.requestTimeoutMs,
    // Whoever calls has a backoff of their own: kafkajs would hold a call for up to half a minute without a word.
    retry: { retries: 2, initialRetryTime: 50, maxRetryTime: 500, multiplier: 2, factor: 0.2 },
    socketFactory: (request: SocketRequest) => openSocket(request),
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => (entry) => writeTo(log, entry),
    ...(ssl === null ? {} : { ssl: tlsOptions(ssl) }),
    ...(sasl === null ? {} : { sasl: saslOptions(sasl) }),
  } as KafkaConfig
}

function tlsOptions(tls: NonNullable<ResolvedKafkaOptions['tls']>): tls.ConnectionOptions {
  const { ca, ...rest } = tls
  return { ...rest, ...(ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : [...ca] }) }
}

/** A fresh object for each connection: kafkajs writes into it. */
function saslOptions(sasl: NonNullable<ResolvedKafkaOptions['sasl']>): object {
  if (sasl.mechanism !== 'oauthbearer') return { ...sasl }
  return { mechanism: 'oauthbearer', authenticationProvider: oauthBearer(sasl.token) }
}

const KEEP_ALIVE_MS = 60_000

interface SocketRequest {
  readonly host: string
  readonly port: number
  readonly ssl: tls.ConnectionOptions | null | undefined
  readonly onConnect: () => void
}

const RECEIVE_BYTES = 256 * 1024

/** As kafkajs does, and without Nagle's delay. With `receive` the socket has no 'data' events. */
function openSocket(
  { host, port, ssl, onConnect }: SocketRequest,
  receive?: (piece: Buffer) => void,
): net.Socket {
  const servername = net.isIP(host) === 0 ? { servername: host } : {}
  const onread = receive === undefined ? {} : { onread: intoOneBuffer(receive) }
  const socket = ssl
    ? tls.connect({ host, port, ...onread, ...servername, ...ssl }, onConnect)
    : net.connect({ host, port, ...onread }, onConnect)
  return socket.setKeepAlive(true, KEEP_ALIVE_MS).setNoDelay(true)
}

function intoOneBuffer(receive: (piece: Buffer) => void): net.OnReadOpts {
  const buffer = Buffer.allocUnsafeSlow(RECEIVE_BYTES)
  return {
    buffer,
    callback: (bytes) => {
      receive(buffer.subarray(0, bytes))
      return true
    },
  }
}

/**
 * kafkajs logs at error level what is tried again a moment later and thrown if it fails for good: for us that is 'debug', because whoever
 * gets the error says it once, and better.
 */
function writeTo(log: Log, { namespace, log: entry }: LogEntry): void {
  const { message, timestamp: _timestamp, logger: _logger, stack: _stack, ...fields } = entry
  log.debug({ ...fields, from: `kafkajs ${namespace}` }, message)
}

interface RequestQueue {
  throttledUntil: number
  throttleCheckTimeoutId: NodeJS.Timeout | null
  readonly pending: readonly unknown[]
  checkPendingRequests(): void
}

const CHECK_PENDING_MS = 10

/**
 * kafkajs sets a timer after each answer, for a time that lies 57 years back where nothing was ever throttled; Node 24 then prints a
 * TimeoutNegativeWarning. This is the same method with a timer only where a request waits for one.
 */
const queueClass = load('kafkajs/src/network/requestQueue') as {
  prototype: RequestQueue & { scheduleCheckPendingRequests(this: RequestQueue): void }
}
queueClass.prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
  if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return
  const throttledMs = this.throttledUntil - Date.now()
  this.throttleCheckTimeoutId = setTimeout(
    () => {
      this.throttleCheckTimeoutId = null
      this.checkPendingRequests()
    },
    throttledMs > 0 ? throttledMs : CHECK_PENDING_MS,
  )
}
