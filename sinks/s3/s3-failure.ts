import { messageOf } from '../../src/errors.ts'

/**
 * What became of a request that failed, from S3's error codes (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html),
 * HTTP statuses and the system's errors.
 */
export interface S3Failure {
  readonly kind: S3FailureKind
  /** Worth sending again at once. */
  readonly isTransient: boolean
  /** False where the server may have done it all the same. */
  readonly isRefused: boolean
  /** 'SlowDown', 'ECONNREFUSED', 'HTTP 502'. */
  readonly code: string
  readonly message: string
  /** Where the bucket is, if the answer says so. */
  readonly region: string | null
  readonly error: unknown
}

export type S3FailureKind =
  /** The condition of a conditional put does not hold: somebody else's object, or our own. */
  | 'exists'
  /** Another conditional put of the same key is under way. */
  | 'conflict'
  | 'no-such-key'
  | 'no-such-bucket'
  | 'forbidden'
  | 'bad-credentials'
  | 'expired'
  | 'no-credentials'
  | 'clock'
  | 'other-region'
  | 'no-region'
  | 'busy'
  | 'full'
  | 'corrupt'
  | 'no-conditions'
  | 'key-service'
  /** Nobody is at that address, or nobody whom we trust. */
  | 'no-such-host'
  | 'untrusted'
  /** No connection, a broken one, no answer in time. */
  | 'network'
  /** The server says that it has failed. */
  | 'server'
  /** Something answers that is not S3. */
  | 'not-s3'
  | 'other'

/** What the SDK's errors may carry. */
interface SdkError {
  readonly name?: string
  readonly Code?: string
  /** Of the system. */
  readonly code?: string
  readonly errors?: readonly SdkError[]
  readonly Region?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> }
}

const BY_CODE: Readonly<Record<string, S3FailureKind>> = {
  PreconditionFailed: 'exists',
  ConditionalRequestConflict: 'conflict',
  OperationAborted: 'conflict',
  NoSuchKey: 'no-such-key',
  NoSuchBucket: 'no-such-bucket',
  AccessDenied: 'forbidden',
  AccountProblem: 'forbidden',
  AllAccessDisabled: 'forbidden',
  InvalidObjectState: 'forbidden',
  InvalidAccessKeyId: 'bad-credentials',
  SignatureDoesNotMatch: 'bad-credentials',
  InvalidToken: 'bad-credentials',
  InvalidSecurity: 'bad-credentials',
  ExpiredToken: 'expired',
  ExpiredTokenException: 'expired',
  TokenRefreshRequired: 'expired',
  CredentialsProviderError: 'no-credentials',
  TokenProviderError: 'no-credentials',
  RequestTimeTooSkewed: 'clock',
  RequestExpired: 'clock',
  PermanentRedirect: 'other-region',
  AuthorizationHeaderMalformed: 'other-region',
  IllegalLocationConstraintException: 'other-region',
  SlowDown: 'busy',
  SlowDownRead: 'busy',
  SlowDownWrite: 'busy',
  ServiceUnavailable: 'busy',
  Throttling: 'busy',
  ThrottlingException: 'busy',
  RequestLimitExceeded: 'busy',
  TooManyRequestsException: 'busy',
  RequestTimeout: 'network',
  TemporaryRedirect: 'network',
  InternalError: 'server',
  // The upload is gone: it was joined, by a request whose answer was lost, or given up.
  NoSuchUpload: 'server',
  BadDigest: 'corrupt',
  InvalidDigest: 'corrupt',
  XAmzContentChecksumMismatch: 'corrupt',
  XAmzContentSHA256Mismatch: 'corrupt',
  IncompleteBody: 'network',
  QuotaExceeded: 'full',
  XMinioStorageFull: 'full',
  XMinioAdminBucketQuotaExceeded: 'full',
  NotImplemented: 'no-conditions',
  StrangeAnswer: 'not-s3',
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

const TRANSIENT: ReadonlySet<S3FailureKind> = new Set([
  'busy',
  'network',
  'server',
  'conflict',
  'clock',
  'corrupt',
])
/** Not sent, or sent and perhaps done. */
const UNKNOWN_OUTCOME: ReadonlySet<S3FailureKind> = new Set(['network', 'server', 'not-s3', 'other'])
const REDIRECT = 300
const CLIENT_ERROR = 400
const SERVER_ERROR = 500

export function s3Failure(error: unknown): S3Failure {
  const known = (typeof error === 'object' && error !== null ? error : {}) as SdkError
  const status = known.$metadata?.httpStatusCode ?? known.$response?.statusCode ?? 0
  const headers = known.$response?.headers
  const code = codeOf(known, status)
  const region = known.Region ?? headers?.['x-amz-bucket-region'] ?? null
  const kind = kindOf(code, status, region, messageOf(error))
  // A gateway in between that answers 503 may have passed the request on: only S3's own word counts.
  const isRefused = !UNKNOWN_OUTCOME.has(kind) && !(kind === 'busy' && code.startsWith('HTTP'))
  return {
    kind,
    isTransient: TRANSIENT.has(kind),
    isRefused,
    code,
    message: textOf(known, error),
    region,
    error,
  }
}

function codeOf(error: SdkError, status: number): string {
  const candidates = [error.Code, error.name, error.code, ...(error.errors ?? []).map((inner) => inner.code)]
  const known = candidates.find((candidate) => candidate !== undefined && BY_CODE[candidate] !== undefined)
  if (known !== undefined) return known
  const kms = candidates.find((candidate) => candidate?.startsWith('KMS.'))
  if (kms !== undefined) return kms
  // Several addresses of one host were tried.
  const system = error.code ?? error.errors?.find((inner) => inner.code !== undefined)?.code
  if (system !== undefined) return system
  if (status === 0) return error.name ?? 'Error'
  const named = error.Code ?? error.name
  return named === undefined || /^(Error|S3ServiceException|UnknownError|Unknown|NotFound|\d+)$/.test(named)
    ? `HTTP ${status}`
    : named
}

function kindOf(code: string, status: number, region: string | null, message: string): S3FailureKind {
  const byCode = BY_CODE[code]
  // Signed for another region, or not signed well at all: the former names the region.
  if (code === 'AuthorizationHeaderMalformed' && region === null) return 'bad-credentials'
  if (byCode !== undefined) return byCode
  if (code.startsWith('KMS.')) return 'key-service'
  if (message.startsWith('Checksum mismatch')) return 'corrupt'
  if (message.startsWith('Region is missing')) return 'no-region'
  // A page of a gateway, which the SDK cannot parse: its status says enough.
  if (status >= CLIENT_ERROR) return kindOfStatus(status, region)
  if (/Deserialization error/i.test(message) || message.includes('$response')) return 'not-s3'
  return status === 0 ? kindOfSystem(code) : kindOfStatus(status, region)
}

function kindOfSystem(code: string): S3FailureKind {
  // Whatever else Node says of sockets: ECONNREFUSED, ECONNRESET, ETIMEDOUT, EPIPE, EAI_AGAIN, EHOSTUNREACH.
  return /^E[A-Z_]+$/.test(code) || code === 'TimeoutError' || code === 'AbortError' ? 'network' : 'other'
}

function kindOfStatus(status: number, region: string | null): S3FailureKind {
  if (status === 412) return 'exists'
  if (status === 409) return 'conflict'
  if (status === 403 || status === 401) return 'forbidden'
  if (status === 404 || status === 405) return 'not-s3'
  if (status === 429 || status === 503) return 'busy'
  if (status === 501) return 'no-conditions'
  if (status === 507) return 'full'
  if (status >= SERVER_ERROR) return 'server'
  if (status >= CLIENT_ERROR) return 'other'
  if (status >= REDIRECT) return region === null ? 'not-s3' : 'other-region'
  // A good status, and yet not to be understood.
  return 'not-s3'
}

function textOf(known: SdkError, error: unknown): string {
  // An error of several has no text of its own.
  const inner = known.errors?.[0]
  const text = messageOf(error) || (inner === undefined ? '' : messageOf(inner))
  const [line = ''] = text === 'UnknownError' ? [] : text.split('\n')
  return line.replace(/^@smithy\/node-http-handler - (\[ERROR\] )?/, '').replace(/\.$/, '')
}
