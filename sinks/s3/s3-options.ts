import { PipelineError } from '../../src/errors.ts'
import { checkKey, KEY_BYTES_MAX } from '../object-key.ts'

/** What a request was, for whoever counts them: S3 has one price for GET and others, and another for PUT, POST and LIST. */
export type S3RequestKind = 'GET' | 'PUT' | 'LIST' | 'DELETE' | 'POST'

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  /** When they end. Given by a function, they are then asked for again. */
  readonly expiration?: Date
}

export interface S3Options {
  readonly bucket: string
  /** The folder of the lake in the bucket, without a '/' at its start or end. Default: the whole bucket. */
  readonly prefix?: string
  /** Default: AWS_REGION, AWS_DEFAULT_REGION, the profile's; 'us-east-1' where there is an endpoint. */
  readonly region?: string
  /** 'https://minio.example:9000'. Default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else AWS itself. */
  readonly endpoint?: string
  /** `endpoint/bucket/key` in place of `bucket.endpoint/key`. Default: true where there is an endpoint. */
  readonly pathStyle?: boolean
  /** Default: the usual chain: environment, profile, SSO, web identity, container, instance. */
  readonly credentials?: S3Credentials | (() => Promise<S3Credentials>)
  /** Of the shared configuration files. Default: AWS_PROFILE. */
  readonly profile?: string
  /** Encryption at rest that is asked for in each request. Default: the bucket's; 'aws:kms' where there is a key. */
  readonly sse?: 'AES256' | 'aws:kms' | 'aws:kms:dsse'
  /** Id or ARN of the KMS key. */
  readonly kmsKeyId?: string
  /** Of the data files alone: chains and logs are small, and read often. Default: STANDARD. */
  readonly storageClass?: S3StorageClass
  /** Checksums with every request and answer, or only where S3 demands them, for servers that know none. Default: 'always'. */
  readonly checksums?: 'always' | 'required'
  /** Larger objects are uploaded in parts. Default: 16 MiB. */
  readonly multipartAboveBytes?: number
  /** Of one part, at least 5 MiB. Default: 8 MiB. */
  readonly partBytes?: number
  /** Connections at once. Default: 50. */
  readonly socketsMax?: number
  /** To open a connection. Default: 5 seconds. */
  readonly connectTimeoutMs?: number
  /** From the start of a request to the start of its answer, and then between any two bytes of it. Default: 60 seconds. */
  readonly requestTimeoutMs?: number
  /** Told of every HTTP request: its kind, and the bytes of its body or, for GET and LIST, of the answer's. */
  readonly onRequest?: (kind: S3RequestKind, bytes: number) => void
}

/** Those that are read at once. The archives are not. */
export type S3StorageClass =
  | 'STANDARD'
  | 'INTELLIGENT_TIERING'
  | 'STANDARD_IA'
  | 'ONEZONE_IA'
  | 'GLACIER_IR'
  | 'REDUCED_REDUNDANCY'

/** Options with their defaults. Null: the SDK's own way of finding it. */
export interface ResolvedS3Options {
  readonly bucket: string
  /** '' or 'some/prefix/': goes in front of each key. */
  readonly keyPrefix: string
  readonly region: string | null
  readonly endpoint: string | null
  readonly pathStyle: boolean
  readonly credentials: S3Options['credentials'] | null
  readonly profile: string | null
  readonly sse: 'AES256' | 'aws:kms' | 'aws:kms:dsse' | null
  readonly kmsKeyId: string | null
  readonly storageClass: S3StorageClass | null
  readonly checksums: 'always' | 'required'
  readonly multipartAboveBytes: number
  readonly partBytes: number
  readonly socketsMax: number
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly onRequest: (kind: S3RequestKind, bytes: number) => void
}

const MEBIBYTE = 1024 * 1024
/** S3's own limits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const KEY_BYTES_S3 = 1024
const PREFIX_BYTES_MAX = KEY_BYTES_S3 - KEY_BYTES_MAX - 1
const PART_BYTES_MIN = 5 * MEBIBYTE
const PART_BYTES_MAX = 5 * 1024 * MEBIBYTE

/** @throws PipelineError OPTION_INVALID, STORE_BAD_KEY (the prefix) */
export function resolveS3Options(options: S3Options, env: NodeJS.ProcessEnv): ResolvedS3Options {
  const { bucket, sse, kmsKeyId } = options
  checkBucket(bucket)
  const prefix = options.prefix ?? ''
  if (prefix !== '') checkPrefix(prefix)
  const endpoint = options.endpoint ?? endpointOf(env)
  if (endpoint !== null) checkEndpoint(endpoint)
  if (kmsKeyId !== undefined && sse === 'AES256') {
    throw invalid("kmsKeyId is given, but sse is 'AES256'", "Leave out sse, or say 'aws:kms'.")
  }
  const { partBytes = 8 * MEBIBYTE, multipartAboveBytes = 16 * MEBIBYTE } = options
  checkNumber('partBytes', partBytes, PART_BYTES_MIN, PART_BYTES_MAX)
  // One request cannot carry more.
  checkNumber('multipartAboveBytes', multipartAboveBytes, 1, PART_BYTES_MAX)
  const { socketsMax = 50, connectTimeoutMs = 5_000, requestTimeoutMs = 60_000 } = options
  for (const [name, value] of Object.entries({ socketsMax, connectTimeoutMs, requestTimeoutMs })) {
    checkNumber(name, value, 1, Number.MAX_SAFE_INTEGER)
  }
  return {
    bucket,
    keyPrefix: prefix === '' ? '' : `${prefix}/`,
    region: options.region ?? null,
    endpoint,
    pathStyle: options.pathStyle ?? endpoint !== null,
    credentials: options.credentials ?? null,
    profile: options.profile ?? null,
    sse: sse ?? (kmsKeyId === undefined ? null : 'aws:kms'),
    kmsKeyId: kmsKeyId ?? null,
    storageClass: options.storageClass ?? null,
    checksums: options.checksums ?? 'always',
    multipartAboveBytes,
    partBytes,
    socketsMax,
    connectTimeoutMs,
    requestTimeoutMs,
    onRequest: options.onRequest ?? (() => {}),
  }
}

/** As the AWS SDKs have it. Theirs does not say whether it has found one, on which the style of addresses depends. */
export function endpointOf(env: NodeJS.ProcessEnv): string | null {
  if (env['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] === 'true') return null
  return env['AWS_ENDPOINT_URL_S3'] || env['AWS_ENDPOINT_URL'] || null
}

function checkBucket(bucket: string): void {
  if (typeof bucket !== 'string' || bucket === '' || (bucket.includes('/') && !bucket.startsWith('arn:'))) {
    throw invalid(
      `bucket is ${JSON.stringify(bucket)}`,
      "Give the name of a bucket alone: s3({ bucket: 'lake', prefix: 'some/folder' }).",
    )
  }
  if (bucket.endsWith('--x-s3')) {
    throw invalid(
      `${bucket} is a directory bucket (S3 Express One Zone)`,
      'Those list their keys in no order, which the epoch chains need. Use a general purpose bucket.',
    )
  }
}

function checkPrefix(prefix: string): void {
  checkKey(prefix)
  if (Buffer.byteLength(prefix) > PREFIX_BYTES_MAX) {
    throw invalid(
      `prefix is longer than ${PREFIX_BYTES_MAX} bytes`,
      `A key has at most ${KEY_BYTES_S3} bytes. Choose a shorter prefix.`,
    )
  }
}

function checkEndpoint(endpoint: string): void {
  const protocol = URL.canParse(endpoint) ? new URL(endpoint).protocol : ''
  if (protocol === 'http:' || protocol === 'https:') return
  throw invalid(
    `the endpoint ${endpoint} is no URL`,
    "It begins with http:// or https://, as in 'https://minio.example:9000'.",
  )
}

function checkNumber(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  throw invalid(`${name} is ${value}`, `It is a whole number from ${min} to ${max}.`)
}

function invalid(problem: string, advice: string): PipelineError {
  return new PipelineError('OPTION_INVALID', `s3(): ${problem}`, { advice })
}
