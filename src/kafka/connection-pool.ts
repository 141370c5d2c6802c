import { PipelineError } from '../errors.ts'
import type { Log } from '../ports.ts'
import { AnswerMemory } from './answer-memory.ts'
import { type ApiRange, type Connection, newConnection } from './kafkajs.ts'
import type { KafkaAddress, ResolvedKafkaOptions } from './options.ts'
import { apiVersionsRequest, type BrokerMetadata, type RawRequest } from './requests.ts'
import { WireReader } from './wire.ts'

/** Requests that may wait at the broker have a connection of their own. */
export type Lane = 'default' | 'fetch' | 'group'

interface OpenConnection {
  readonly connection: Connection
  readonly versions: ReadonlyMap<number, ApiRange>
}

/** Where kafkajs would wait for an answer that cannot come any more. */
const CONNECT_GRACE_MS = 1_000

/** Connections by broker and lane, opened when they are needed and again when they are lost. */
export class ConnectionPool {
  /** Of the answers to fetches. */
  readonly memory = new AnswerMemory()
  readonly #options: ResolvedKafkaOptions
  readonly #log: Log
  readonly #open = new Map<string, Promise<OpenConnection>>()
  readonly #brokers = new Map<number, KafkaAddress>()
  /** The address, of those given, that is tried next. */
  #seed = 0
  #isClosed = false

  constructor(options: ResolvedKafkaOptions, log: Log) {
    this.#options = options
    this.#log = log
  }

  learn(brokers: readonly BrokerMetadata[]): void {
    for (const { nodeId, host, port } of brokers) this.#brokers.set(nodeId, { host, port })
  }

  async send<T>(nodeId: number | null, request: RawRequest<T>, lane: Lane): Promise<T> {
    const { key, opened } = await this.#connection(nodeId, lane)
    return this.#exchange(key, opened, request)
  }

  async maxVersion(nodeId: number | null, apiKey: number, lane: Lane): Promise<number> {
    const { opened } = await this.#connection(nodeId, lane)
    return opened.versions.get(apiKey)?.maxVersion ?? -1
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const open = [...this.#open.values()]
    this.#open.clear()
    await Promise.all(
      open.map((opening) =>
        opening.then(
          ({ connection }) => destroy(connection),
          () => undefined,
        ),
      ),
    )
  }

  async #connection(
    nodeId: number | null,
    lane: Lane,
  ): Promise<{ readonly key: string; readonly opened: OpenConnection }> {
    if (nodeId !== null) return this.#connectionTo(this.#addressOf(nodeId), lane)
    // Brokers move: the addresses given come first, those learnt from them after.
    const seeds = this.#options.brokers
    const addresses = seeds.map((_, index) => seeds[(this.#seed + index) % seeds.length]!)
    for (const { host, port } of this.#brokers.values()) {
      if (!addresses.some((known) => known.host === host && known.port === port))
        addresses.push({ host, port })
    }
    let failure: unknown
    for (const address of addresses) {
      try {
        return await this.#connectionTo(address, lane)
      } catch (error) {
        failure = error
        this.#seed = (this.#seed + 1) % seeds.length
      }
    }
    throw failure
  }

  #addressOf(nodeId: number): KafkaAddress {
    const address = this.#brokers.get(nodeId)
    if (address !== undefined) return address
    throw new PipelineError('KAFKA_UNREACHABLE', `the cluster has no broker ${nodeId} at the moment`, {
      retryable: true,
    })
  }

  async #connectionTo(
    address: KafkaAddress,
    lane: Lane,
  ): Promise<{ readonly key: string; readonly opened: OpenConnection }> {
    if (this.#isClosed) throw new PipelineError('KAFKA_CLOSED', 'the connection to Kafka has been closed')
    const key = `${address.host}:${address.port}/${lane}`
    const present = this.#open.get(key)
    if (present !== undefined) {
      const opened = await present
      if (opened.connection.isConnected()) return { key, opened }
      if (this.#open.get(key) === present) this.#open.delete(key)
    }
    let opening = this.#open.get(key)
    if (opening === undefined) {
      opening = this.#openConnection(address, lane)
      this.#open.set(key, opening)
      const started = opening
      started.catch(() => {
        if (this.#open.get(key) === started) this.#open.delete(key)
      })
    }
    return { key, opened: await opening }
  }

  async #openConnection(address: KafkaAddress, lane: Lane): Promise<OpenConnection> {
    const { host, port } = address
    const connection = newConnection(this.#options, this.#log, address, lane === 'fetch' ? this.memory : null)
    try {
      await within(connection.connect(), this.#options.connectTimeoutMs + CONNECT_GRACE_MS, `${host}:${port}`)
      const ranges = await sendOver(connection, apiVersionsRequest())
      const versions = new Map<number, ApiRange>(ranges.map((range) => [range.apiKey, range]))
      connection.setVersions(Object.fromEntries(versions))
      connection.setSupportAuthenticationProtocol(versions.has(SASL_AUTHENTICATE))
      await connection.authenticate()
      return { connection, versions }
    } catch (error) {
      destroy(connection)
      throw withAddress(error, host, port)
    }
  }

  async #exchange<T>(
    key: string,
    { connection, versions }: OpenConnection,
    request: RawRequest<T>,
  ): Promise<T> {
    const { apiKey, apiVersion, apiName } = request
    const range = versions.get(apiKey)
    if (range === undefined || range.maxVersion < apiVersion || range.minVersion > apiVersion) {
      const has = range === undefined ? 'none' : `${range.minVersion} to ${range.maxVersion}`
      throw new PipelineError(
        'KAFKA_TOO_OLD',
        `the broker at ${connection.host}:${connection.port} has ${has} of ${apiName}, not version ${apiVersion}`,
        { advice: 'Millrace speaks with Kafka 2.8 and later.' },
      )
    }
    try {
      return await sendOver(connection, request)
    } catch (error) {
      // A connection that does not answer may never answer again: kafkajs would keep it.
      if (error instanceof Error && error.name === 'KafkaJSRequestTimeoutError') {
        this.#open.delete(key)
        destroy(connection)
      }
      throw error instanceof PipelineError ? error : withAddress(error, connection.host, connection.port)
    }
  }
}

const SASL_AUTHENTICATE = 36

function sendOver<T>(connection: Connection, request: RawRequest<T>): Promise<T> {
  const { apiKey, apiName, apiVersion, isFlexible, timeoutMs = null } = request
  return connection.send<T>({
    request: {
      apiKey,
      apiName,
      apiVersion,
      encode: async () => {
        // Request header v2 is v1, which kafkajs writes, and tagged fields: here none.
        const bytes = isFlexible ? Buffer.concat([Buffer.of(0), request.encode()]) : request.encode()
        return { buf: bytes, buffer: bytes }
      },
    },
    response: {
      // kafkajs looks for a throttle time in what is decoded; a broker mutes the connection by itself.
      decode: async (body) => ({ body }) as T,
      parse: async (decoded) => {
        const { body } = decoded as { readonly body: Buffer }
        return request.decode(isFlexible ? withoutHeaderTags(body) : body)
      },
    },
    requestTimeout: timeoutMs,
    logResponseError: false,
  })
}

/** Response header v1 has tagged fields after the correlation id. */
function withoutHeaderTags(body: Buffer): Buffer {
  const input = new WireReader(body)
  input.skipTags()
  return body.subarray(input.at)
}

/** kafkajs leaves a connection that the server ends at once without an answer. */
async function within<T>(promise: Promise<T>, limitMs: number, address: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_, reject) => {
    const late = (): void => reject(new Error(`Connection timeout: ${address} does not answer`))
    timer = setTimeout(late, limitMs)
  })
  try {
    return await Promise.race([promise, limit])
  } finally {
    clearTimeout(timer)
  }
}

/** Puts `host:port` where kafkajs leaves it out. */
function withAddress(error: unknown, host: string, port: number): unknown {
  if (error instanceof Error && !(error instanceof PipelineError) && !error.message.includes(`${port}`)) {
    error.message = `${error.message} (${host}:${port})`
  }
  return error
}

/** Whatever is on its way fails, and the socket closes at once. */
function destroy(connection: Connection): void {
  connection.rejectRequests(
    Object.assign(new Error('Closed connection'), { name: 'KafkaJSConnectionClosedError' }),
  )
  void connection.disconnect().catch(() => undefined)
  connection.socket?.destroy()
}
