import { messageOf } from '../errors.ts'

/**
 * What became of a request that failed, from the errors of Kinesis (https://docs.aws.amazon.com/kinesis/latest/APIReference/CommonErrors.html and those of each
 * action), HTTP statuses and the system's errors.
 */
export interface KinesisFailure {
  readonly kind: KinesisFailureKind
  /** 'ProvisionedThroughputExceededException', 'ECONNREFUSED', 'HTTP 502'. */
  readonly code: string
  readonly message: string
  /** Kinesis has answered, or something that speaks like it. */
  readonly isAnswer: boolean
  /** The signature was refused because this machine's clock is wrong, which the SDK makes up for from now on. */
  readonly isClockCorrected: boolean
}

export type KinesisFailureKind =
  | 'throttled'
  | 'iterator-expired'
  | 'in-use'
  | 'not-found'
  | 'forbidden'
  | 'key-forbidden'
  | 'key-service'
  /** Those that were sent have ended, or are wrong. */
  | 'bad-credentials'
  | 'no-credentials'
  | 'clock'
  | 'no-region'
  /** Nobody is at that address, or nobody whom we trust. */
  | 'no-such-host'
  | 'untrusted'
  /** No connection, or a broken one. */
  | 'network'
  | 'timeout'
  /** Kinesis says that it has failed. */
  | 'server'
  /** An answer that cannot be read. */
  | 'strange'
  | 'refused'

/** Thrown where an answer lacks what each answer has. */
export class StrangeAnswer extends Error {
  constructor(what: string) {
    super(what)
    this.name = 'StrangeAnswer'
  }
}

const BY_CODE: Readonly<Record<string, KinesisFailureKind>> = {
  ProvisionedThroughputExceededException: 'throttled',
  LimitExceededException: 'throttled',
  KMSThrottlingException: 'throttled',
  ThrottlingException: 'throttled',
  Throttling: 'throttled',
  ThrottledException: 'throttled',
  RequestThrottledException: 'throttled',
  RequestLimitExceeded: 'throttled',
  TooManyRequestsException: 'throttled',
  SlowDown: 'throttled',
  ExpiredIteratorException: 'iterator-expired',
  ResourceInUseException: 'in-use',
  ResourceNotFoundException: 'not-found',
  AccessDeniedException: 'forbidden',
  AccessDenied: 'forbidden',
  NotAuthorized: 'forbidden',
  OptInRequired: 'forbidden',
  KMSAccessDeniedException: 'key-forbidden',
  KMSDisabledException: 'key-service',
  KMSInvalidStateException: 'key-service',
  KMSNotFoundException: 'key-service',
  KMSOptInRequired: 'key-service',
  ExpiredTokenException: 'bad-credentials',
  ExpiredToken: 'bad-credentials',
  UnrecognizedClientException: 'bad-credentials',
  InvalidClientTokenId: 'bad-credentials',
  InvalidSignatureException: 'bad-credentials',
  SignatureDoesNotMatch: 'bad-credentials',
  IncompleteSignature: 'bad-credentials',
  IncompleteSignatureException: 'bad-credentials',
  MissingAuthenticationToken: 'bad-credentials',
  MissingAuthenticationTokenException: 'bad-credentials',
  CredentialsProviderError: 'no-credentials',
  TokenProviderError: 'no-credentials',
  RequestExpired: 'clock',
  RequestTimeTooSkewed: 'clock',
  // A list that took longer than five minutes.
  ExpiredNextTokenException: 'server',
  InternalFailure: 'server',
  InternalFailureException: 'server',
  InternalServerError: 'server',
  ServiceUnavailable: 'server',
  ServiceUnavailableException: 'server',
  StrangeAnswer: 'strange',
  TimeoutError: 'timeout',
  AbortError: 'network',
  ENOTFOUND: 'no-such-host',
  ERR_INVALID_URL: 'no-such-host',
  EPROTO: 'untrusted',
  CERT_HAS_EXPIRED: 'untrusted',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'untrusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'untrusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'untrusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'untrusted',
  ERR_TLS_CERT_ALTNAME_INVALID: 'untrusted',
}

/** What the SDK's errors, and those of sockets, may carry. */
interface SdkError {
  readonly name?: unknown
  readonly code?: unknown
  readonly errors?: readonly SdkError[]
  readonly $metadata?: { readonly httpStatusCode?: number; readonly clockSkewCorrected?: boolean }
  readonly $response?: { readonly statusCode?: number }
}

export function failureOf(thrown: unknown): KinesisFailure {
  const error = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as SdkError
  const status = error.$response?.statusCode ?? error.$metadata?.httpStatusCode ?? null
  // What comes below the first line is advice of the SDK for programmers.
  const message = messageOf(thrown).split('\n', 1)[0]!
  const name = typeof error.name === 'string' ? error.name : ''
  // Node tries several addresses, and says of each why not.
  const code = systemCode(error) ?? systemCode(error.errors?.[0])
  const kind =
    BY_CODE[name] ??
    (code === null ? undefined : (BY_CODE[code] ?? 'network')) ??
    (message.includes('Region is missing') ? 'no-region' : undefined) ??
    (name === 'SyntaxError' ? kindOfText(message, status) : kindOfStatus(status))
  const isPlain = name === '' || name === 'Error' || name === 'SyntaxError' || name === 'UnknownError'
  return {
    kind,
    code: isPlain ? (code ?? (status === null ? name : `HTTP ${status}`)) : name,
    message,
    isAnswer: status !== null && kind !== 'strange',
    isClockCorrected: error.$metadata?.clockSkewCorrected === true,
  }
}

/** What is no JSON: the answer of something between, or one that broke off. */
function kindOfText(message: string, status: number | null): KinesisFailureKind {
  if (status !== null && status >= 500) return 'server'
  return /end of (?:JSON|data)|\bUnterminated|\bExpected/.test(message) ? 'network' : 'strange'
}

function systemCode(error: SdkError | undefined): string | null {
  return typeof error?.code === 'string' ? error.code : null
}

function kindOfStatus(status: number | null): KinesisFailureKind {
  if (status === null) return 'network'
  if (status === 429) return 'throttled'
  if (status >= 500) return 'server'
  // A proxy, a wrong path: an answer without an error of Kinesis.
  return status === 403 ? 'forbidden' : status >= 400 ? 'refused' : 'strange'
}
