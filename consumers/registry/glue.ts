import type { GetSchemaVersionResponse, GlueClient } from '@aws-sdk/client-glue'
import { assert, PipelineError } from '../../src/errors.ts'
import { credentialsFor, Renewal } from '../../src/kinesis/credentials.ts'
import { failureOf, StrangeAnswer } from '../../src/kinesis/failure.ts'
import type { AwsCredentials } from '../../src/kinesis/options.ts'
import { glueError } from './glue-error.ts'
import type { UuidRegistry } from './registries.ts'
import { UnknownIds } from './unknown-ids.ts'

export interface GlueRegistryOptions {
  /** Default: that of the environment or the profile. */
  readonly region?: string
  /** Another address than that of the region: a stand-in, a VPC endpoint. */
  readonly endpoint?: string
  /** Default: those that the AWS SDK finds (environment, profile, role). A function is asked again when they end, or are refused. */
  readonly credentials?: AwsCredentials | (() => Promise<AwsCredentials>)
  /** For one request. Default 10,000. */
  readonly timeoutMs?: number
  /** For how long an unknown schema version is asked for again before it counts as unknown. Default 2,000; 0 believes the first answer. */
  readonly unknownAfterMs?: number
  /** For how long it then stays unknown without another request. Default 30,000. */
  readonly unknownForMs?: number
}

const TIMEOUT_MS = 10_000
const UNKNOWN_AFTER_MS = 2_000
const UNKNOWN_FOR_MS = 30_000

/**
 * The AWS Glue Schema Registry, by the UUIDs of schema versions (GetSchemaVersion). It has no ids: name it beside another registry with `registries(…)` where records
 * are in Confluent's frame too.
 *
 * A schema version is asked for once and kept, because it never changes. Null means that Glue itself answered EntityNotFound, for `unknownAfterMs` long; anything
 * else is an error: REGISTRY_UNREACHABLE and REGISTRY_UNAVAILABLE (retryable: they hold the input back), REGISTRY_TLS, REGISTRY_FORBIDDEN (retryable where credentials
 * come from somewhere that may give others), REGISTRY_REFUSED, and REGISTRY_INVALID where something else than Glue answers.
 */
export function glueRegistry(options: GlueRegistryOptions = {}): UuidRegistry {
  return new GlueRegistry(options)
}

class GlueRegistry implements UuidRegistry {
  readonly knowsIds = false
  readonly description: string
  readonly #options: GlueRegistryOptions
  readonly #timeoutMs: number
  readonly #unknown: UnknownIds
  /** By UUID, the requests that are under way among them. */
  readonly #schemas = new Map<string, Promise<string | null>>()
  #connection: Promise<Connection> | null = null
  #hasAnswered = false

  constructor(options: GlueRegistryOptions) {
    const { region, endpoint, timeoutMs = TIMEOUT_MS } = options
    assert(timeoutMs > 0, `timeoutMs is ${timeoutMs}`)
    const where =
      endpoint === undefined
        ? region === undefined
          ? ''
          : ` in ${region}`
        : ` at ${withoutSecrets(endpoint)}`
    this.description = `the AWS Glue Schema Registry${where}`
    this.#options = options
    this.#timeoutMs = timeoutMs
    this.#unknown = new UnknownIds({
      afterMs: options.unknownAfterMs ?? UNKNOWN_AFTER_MS,
      forMs: options.unknownForMs ?? UNKNOWN_FOR_MS,
    })
  }

  schemaById(): Promise<null> {
    return Promise.resolve(null)
  }

  schemaByUuid(uuid: string): Promise<string | null> {
    const known = this.#schemas.get(uuid)
    if (known !== undefined) return known
    if (this.#unknown.has(uuid)) return Promise.resolve(null)
    const asking = this.#unknown.confirm(uuid, () => this.#askFor(uuid))
    this.#schemas.set(uuid, asking)
    // Only what the registry has is for ever.
    const forget = (): void => void this.#schemas.delete(uuid)
    asking.then((json) => json === null && forget(), forget)
    return asking
  }

  async #askFor(uuid: string): Promise<string | null> {
    let connection: Connection
    try {
      this.#connection ??= connect(this.#options)
      connection = await this.#connection
    } catch (error) {
      this.#connection = null
      throw this.#errorOf(error, false)
    }
    const { renewal } = connection
    for (let tries = 0; ; tries++) {
      let sent: AwsCredentials | null = null
      let mayRenew = false
      try {
        // Over all of it: whoever gives credentials may hang as well.
        const late = AbortSignal.timeout(this.#timeoutMs)
        sent = await within(renewal.current(), late)
        const schema = schemaIn(await within(connection.getSchemaVersion(uuid, late), late))
        this.#hasAnswered = true
        return schema
      } catch (error) {
        if (error instanceof Error && error.name === 'EntityNotFoundException') {
          this.#hasAnswered = true
          return null
        }
        if (sent !== null && failureOf(error).kind === 'bad-credentials') {
          const renewed = await renewal.renew(sent)
          if (renewed === 'renewed' && tries === 0) continue
          mayRenew = renewed !== 'never'
        }
        throw this.#errorOf(error, mayRenew)
      }
    }
  }

  #errorOf(error: unknown, mayRenew: boolean): PipelineError {
    const failure = failureOf(error)
    const name = error instanceof Error ? error.name : ''
    const seen =
      name === 'AbortError' || name === 'TimeoutError'
        ? { ...failure, kind: 'network' as const, message: `no answer within ${this.#timeoutMs} ms` }
        : // What is no JSON is not of Glue.
          name === 'SyntaxError'
          ? { ...failure, kind: 'strange' as const }
          : failure
    return glueError(this.description, seen, mayRenew || this.#hasAnswered, error)
  }
}

interface Connection {
  readonly renewal: Renewal
  getSchemaVersion(uuid: string, signal: AbortSignal): Promise<GetSchemaVersionResponse>
}

/** Loads the client when the first record of Glue comes: it is large, and most pipelines never need it. */
async function connect(options: GlueRegistryOptions): Promise<Connection> {
  const { region, endpoint } = options
  const { GetSchemaVersionCommand, GlueClient } = await import('@aws-sdk/client-glue')
  const credentials = credentialsFor(options)
  const client: GlueClient = new GlueClient({
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === null ? {} : { credentials }),
    // Whoever asks tries again, and says so.
    maxAttempts: 1,
  })
  return {
    renewal: new Renewal(client.config.credentials, options),
    getSchemaVersion: (uuid, abortSignal) =>
      client.send(new GetSchemaVersionCommand({ SchemaVersionId: uuid }), { abortSignal }),
  }
}

async function within<T>(promise: Promise<T>, late: AbortSignal): Promise<T> {
  const tooLate = new Promise<never>((_, reject) =>
    late.addEventListener('abort', () => reject(late.reason as Error), { once: true }),
  )
  return Promise.race([promise, tooLate])
}

function schemaIn({ SchemaDefinition: schema, DataFormat: format }: GetSchemaVersionResponse): string {
  if (schema === undefined) throw new StrangeAnswer('its answer has no schema')
  // Of another kind: the caller is told which, and makes dead letters of its records.
  return format === undefined || format === 'AVRO' ? schema : JSON.stringify({ schemaType: format, schema })
}

function withoutSecrets(endpoint: string): string {
  try {
    const url = new URL(endpoint)
    if (url.protocol === 'http:' || url.protocol === 'https:') return url.origin
  } catch {
    // As where it begins with something else.
  }
  throw new PipelineError('OPTION_INVALID', `the endpoint of the AWS Glue Schema Registry is no URL`, {
    advice: "Give one with its protocol: 'https://glue.eu-west-1.amazonaws.com'.",
  })
}
