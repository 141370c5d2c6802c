import { messageOf } from '../errors.ts'
import type { Clock } from '../ports.ts'
import type { AwsCredentials, KinesisOptions } from './options.ts'

/** The SDK's own provider, which remembers what it got: those that have an end are renewed five minutes before it. */
export type CredentialsProvider = (options?: { readonly forceRefresh?: boolean }) => Promise<AwsCredentials>

type WallClock = Pick<Clock, 'nowMs'>
/** Of who opens a connection before there is a world to take a clock from. */
const WALL_CLOCK: WallClock = { nowMs: () => Date.now() }

/** A function is asked no more often, unless Kinesis has refused what it gave: the SDK asks before each request while the end is near. */
const ASK_EVERY_MS = 10_000
/** The requests of a hundred shards that are refused again and again are one reason to ask. */
const RENEW_EVERY_MS = 1_000

/** What the SDK takes as `credentials`: it asks a function again before what it gave ends. Null: its own chain. */
export function credentialsFor(
  { credentials }: Pick<KinesisOptions, 'credentials'>,
  clock: WallClock = WALL_CLOCK,
): AwsCredentials | CredentialsProvider | null {
  if (typeof credentials !== 'function') return credentials ?? null
  let last: { readonly given: AwsCredentials; readonly untilMs: number } | null = null
  return async (options) => {
    const nowMs = clock.nowMs()
    if (last !== null && nowMs < last.untilMs && options?.forceRefresh !== true) return last.given
    try {
      const given = checked(await credentials())
      const endMs = given.expiration?.getTime() ?? Number.POSITIVE_INFINITY
      last = { given, untilMs: Math.min(nowMs + ASK_EVERY_MS, endMs) }
      return given
    } catch (error) {
      // So that it is known for what it is, whatever the function throws.
      throw Object.assign(new Error(messageOf(error), { cause: error }), { name: 'CredentialsProviderError' })
    }
  }
}

function checked(credentials: AwsCredentials): AwsCredentials {
  if (!areCredentials(credentials)) {
    throw new Error(
      'the function gave none: it must resolve to { accessKeyId, secretAccessKey, sessionToken? }',
    )
  }
  const { expiration } = credentials
  // JSON has no dates: what is passed on from a service is a text still.
  if (expiration === undefined || expiration instanceof Date) return credentials
  throw new Error(
    `the function gave an expiration that is no Date: new Date(${JSON.stringify(expiration)}) would be one`,
  )
}

export function areCredentials(given: unknown): given is AwsCredentials {
  const { accessKeyId, secretAccessKey } = (given as Partial<AwsCredentials> | undefined) ?? {}
  return typeof accessKeyId === 'string' && typeof secretAccessKey === 'string'
}

/** Credentials that somebody refused, and those that come in their place. */
export class Renewal {
  readonly #provider: CredentialsProvider
  readonly #clock: WallClock
  /** A function can always give others. */
  readonly #isFunction: boolean
  /** Requests that are refused together ask together. */
  #renewing: Promise<AwsCredentials> | null = null
  #renewedMs = Number.NEGATIVE_INFINITY

  constructor(
    provider: CredentialsProvider,
    { credentials }: Pick<KinesisOptions, 'credentials'>,
    clock: WallClock = WALL_CLOCK,
  ) {
    this.#provider = provider
    this.#clock = clock
    this.#isFunction = typeof credentials === 'function'
  }

  /** Those that a request has that is sent now. Throws CredentialsProviderError. */
  current(): Promise<AwsCredentials> {
    return this.#provider()
  }

  /** After `refused`: 'renewed' where there are others now, 'later' where there may be at another time, 'never' where nobody will give others. */
  async renew(refused: AwsCredentials): Promise<'renewed' | 'later' | 'never'> {
    try {
      // Another request may have been refused before, and have asked.
      if (!isSame(await this.#provider(), refused)) return 'renewed'
      const fresh = await this.#renewed()
      if (!isSame(fresh, refused)) return 'renewed'
      return this.#isFunction || fresh.expiration !== undefined ? 'later' : 'never'
    } catch {
      // Whoever gives them is away; the next request will say so.
      return 'later'
    }
  }

  async #renewed(): Promise<AwsCredentials> {
    if (this.#renewing !== null) return await this.#renewing
    const nowMs = this.#clock.nowMs()
    if (nowMs - this.#renewedMs < RENEW_EVERY_MS) return await this.#provider()
    this.#renewedMs = nowMs
    this.#renewing = this.#provider({ forceRefresh: true }).finally(() => (this.#renewing = null))
    return await this.#renewing
  }
}

function isSame(one: AwsCredentials, other: AwsCredentials): boolean {
  return (
    one.accessKeyId === other.accessKeyId &&
    one.secretAccessKey === other.secretAccessKey &&
    one.sessionToken === other.sessionToken
  )
}
