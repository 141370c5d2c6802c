import { messageOf } from '../errors.ts'
import type { AwsCredentials, KinesisOptions } from './options.ts'

/** The SDK's own provider, which remembers what it got: those that have an end are renewed five minutes before it. */
export type CredentialsProvider = (options?: { readonly forceRefresh?: boolean }) => Promise<AwsCredentials>

/** What the SDK takes as `credentials`: it asks a function again before what it gave ends. Null: its own chain. */
export function credentialsFor({
  credentials,
}: KinesisOptions): AwsCredentials | (() => Promise<AwsCredentials>) | null {
  if (typeof credentials !== 'function') return credentials ?? null
  return async () => {
    try {
      return checked(await credentials())
    } catch (error) {
      // So that it is known for what it is, whatever the function throws.
      throw Object.assign(new Error(messageOf(error), { cause: error }), { name: 'CredentialsProviderError' })
    }
  }
}

function checked(credentials: AwsCredentials): AwsCredentials {
  const { accessKeyId, secretAccessKey } = (credentials as AwsCredentials | undefined) ?? {}
  if (typeof accessKeyId === 'string' && typeof secretAccessKey === 'string') return credentials
  throw new Error(
    'the function gave none: it must resolve to { accessKeyId, secretAccessKey, sessionToken? }',
  )
}

/** Credentials that somebody refused, and those that come in their place. */
export class Renewal {
  readonly #provider: CredentialsProvider
  /** A function can always give others. */
  readonly #isFunction: boolean
  /** Requests that are refused together ask together. */
  #renewing: Promise<AwsCredentials> | null = null

  constructor(provider: CredentialsProvider, { credentials }: KinesisOptions) {
    this.#provider = provider
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
      this.#renewing ??= this.#provider({ forceRefresh: true }).finally(() => (this.#renewing = null))
      const fresh = await this.#renewing
      if (!isSame(fresh, refused)) return 'renewed'
      return this.#isFunction || fresh.expiration !== undefined ? 'later' : 'never'
    } catch {
      // Whoever gives them is away; the next request will say so.
      return 'later'
    }
  }
}

function isSame(one: AwsCredentials, other: AwsCredentials): boolean {
  return (
    one.accessKeyId === other.accessKeyId &&
    one.secretAccessKey === other.secretAccessKey &&
    one.sessionToken === other.sessionToken
  )
}
