import { PipelineError } from '../errors.ts'
import type { Clock, Log } from '../ports.ts'
import type { KinesisCounts } from './counts.ts'
import { areCredentials, credentialsFor, type CredentialsProvider, Renewal } from './credentials.ts'
import { failureOf } from './failure.ts'
import { kinesisFault } from './faults.ts'
import type { AwsCredentials, KinesisOptions } from './options.ts'
import { KinesisClient } from './sdk.ts'
import { kinesisTransport } from './transport.ts'

/** What a request is about, for the message of its error. */
export interface RequestPlace {
  /** The action of the API: 'GetRecords'. */
  readonly operation: string
  readonly stream: string
  readonly shardId?: string
  readonly consumer?: string
}

/** Default of `requestTimeoutMs`. */
const REQUEST_TIMEOUT_MS = 10_000
const CONNECT_TIMEOUT_MS = 5_000

/**
 * Requests by the SDK's client, whose own tries are off: whoever reads or writes counts and waits by itself. What it throws becomes a PipelineError. Credentials that are
 * refused are asked for anew, and a request is sent once more where there are others.
 */
export class KinesisRequests {
  /** For people: 'Kinesis in eu-west-1'. */
  readonly description: string
  readonly #client: KinesisClient
  readonly #log: Log
  readonly #counts: KinesisCounts | null
  readonly #region: string | null
  readonly #renewal: Renewal
  #hasAnswered = false
  /** Some credentials have been good. */
  #wasTrusted = false

  constructor(
    options: KinesisOptions,
    { clock, log }: { readonly clock: Clock; readonly log: Log },
    counts: KinesisCounts | null,
  ) {
    const endpoint = endpointOf(options)
    const region = options.region ?? setting('AWS_REGION') ?? setting('AWS_DEFAULT_REGION')
    this.description =
      endpoint === null ? `Kinesis${region === null ? '' : ` in ${region}`}` : `Kinesis at ${endpoint}`
    this.#region = region
    this.#log = log
    this.#counts = counts
    this.#client = makeClient(options, clock, endpoint, region)
    this.#renewal = new Renewal(this.#client.config.credentials as CredentialsProvider, options, clock)
  }

  async send<Answer>(place: RequestPlace, call: (client: KinesisClient) => Promise<Answer>): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      let credentials: AwsCredentials | null = null
      try {
        credentials = await this.#renewal.current()
        const answer = await call(this.#client)
        this.#answered()
        return answer
      } catch (error) {
        const { fault, isRenewed } = await this.#failed(error, place, credentials)
        if (!isRenewed || attempt > 1) throw fault
      }
    }
  }

  /** The same for answers that come one after the other, without a second try: whoever reads them knows where to go on. */
  async *stream<Answer>(
    place: RequestPlace,
    call: (client: KinesisClient) => AsyncIterable<Answer>,
  ): AsyncGenerator<Answer, void, undefined> {
    let credentials: AwsCredentials | null = null
    try {
      credentials = await this.#renewal.current()
      for await (const answer of call(this.#client)) {
        this.#answered()
        yield answer
      }
    } catch (error) {
      throw (await this.#failed(error, place, credentials)).fault
    }
  }

  close(): void {
    this.#client.destroy()
  }

  #answered(): void {
    this.#hasAnswered = true
    this.#wasTrusted = true
  }

  async #failed(
    error: unknown,
    place: RequestPlace,
    credentials: AwsCredentials | null,
  ): Promise<{ readonly fault: PipelineError; readonly isRenewed: boolean }> {
    const failure = failureOf(error)
    const wasTrusted = this.#wasTrusted
    this.#hasAnswered ||= failure.isAnswer
    let renewal: 'renewed' | 'later' | 'never' = 'later'
    if (failure.kind === 'bad-credentials' || failure.kind === 'no-credentials') {
      if (wasTrusted) this.#counts?.add('credentials')
      if (failure.isClockCorrected) renewal = 'renewed'
      else if (credentials !== null) renewal = await this.#renewal.renew(credentials)
      // Where there are none to be had, whoever waits for them says so.
      const level = renewal === 'renewed' ? 'info' : 'debug'
      this.#log[level](
        { operation: place.operation, error: failure.code, renewal },
        'Kinesis has refused the credentials',
      )
    }
    const fault = kinesisFault(error, {
      ...place,
      server: this.description,
      region: this.#region,
      hasAnswered: this.#hasAnswered,
      canRenew: wasTrusted && renewal !== 'never',
    })
    return { fault, isRenewed: renewal === 'renewed' }
  }
}

function makeClient(
  options: KinesisOptions,
  clock: Clock,
  endpoint: string | null,
  region: string | null,
): KinesisClient {
  const { requestTimeoutMs = REQUEST_TIMEOUT_MS } = options
  if (!(requestTimeoutMs > 0)) {
    throw invalid(`requestTimeoutMs is ${requestTimeoutMs}`, 'It is a number of milliseconds above 0.')
  }
  const credentials = credentialsFor(options, clock)
  if (credentials !== null && typeof credentials !== 'function' && !areCredentials(credentials)) {
    throw invalid(
      'credentials has no accessKeyId, or no secretAccessKey',
      'Give both, as text, or leave credentials out: they are looked for where AWS tools look.',
    )
  }
  if (region !== null && !/^[\w-]+$/.test(region)) {
    throw invalid(`${JSON.stringify(region)} is no name of a region`, "As in 'eu-west-1'.")
  }
  // A server of one's own seldom has regions. Without one, the SDK looks into the profile.
  const signed = region ?? (endpoint === null ? null : 'us-east-1')
  return new KinesisClient({
    ...(signed === null ? {} : { region: signed }),
    ...(endpoint === null ? {} : { endpoint }),
    ...(credentials === null ? {} : { credentials }),
    maxAttempts: 1,
    requestHandler: kinesisTransport({
      requestTimeoutMs,
      connectTimeoutMs: Math.min(requestTimeoutMs, CONNECT_TIMEOUT_MS),
    }),
  })
}

/** As the SDKs have it; null: that of the region, or of the profile. */
function endpointOf({ endpoint }: KinesisOptions): string | null {
  const isIgnored = setting('AWS_IGNORE_CONFIGURED_ENDPOINT_URLS') === 'true'
  const configured = isIgnored ? null : (setting('AWS_ENDPOINT_URL_KINESIS') ?? setting('AWS_ENDPOINT_URL'))
  const address = endpoint ?? configured
  if (address === null) return null
  const protocol = URL.canParse(address) ? new URL(address).protocol : ''
  if (protocol === 'http:' || protocol === 'https:') return address
  throw invalid(
    `the endpoint ${address} is no URL`,
    "It begins with http:// or https://, as in 'https://kinesis.example:4567'.",
  )
}

function setting(name: string): string | null {
  return process.env[name] || null
}

function invalid(problem: string, advice: string): PipelineError {
  return new PipelineError('OPTION_INVALID', `kinesis(): ${problem}`, { advice })
}
