import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  type CompletedPart,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { StoredObject } from '../../src/ports.ts'
import type { ResolvedS3Options, S3RequestKind } from './s3-options.ts'

/** A part that has been uploaded, as the request that joins them wants it. */
export type UploadedPart = CompletedPart

export interface ListPage {
  /** Keys as the bucket has them, prefix and all. */
  readonly objects: readonly StoredObject[]
  /** What lies between the prefix and the next '/', with it. Empty unless asked for. */
  readonly folders: readonly string[]
  /** For the next page; null where this is the last. */
  readonly next: string | null
}

export interface ListRequest {
  readonly prefix: string
  readonly startAfter: string
  /** Folders in place of what lies in them. */
  readonly byFolder: boolean
  readonly next: string | null
}

/**
 * The operations of S3 that are used, one HTTP request each: the SDK's own tries are off, because one that hides a lost answer turns a
 * put that has won into 412, and because it does not cover the body of an answer. Keys are those of the bucket. Errors are the SDK's.
 */
export class S3Requests {
  readonly #client: S3Client
  readonly #options: ResolvedS3Options

  constructor(options: ResolvedS3Options) {
    this.#options = options
    this.#client = new S3Client(clientConfig(options))
    countRequests(this.#client, options.onRequest)
  }

  /** Throws an error named PreconditionFailed where `ifAbsent` and the key is taken. */
  async put(key: string, body: Uint8Array, { ifAbsent }: { readonly ifAbsent: boolean }): Promise<void> {
    const { ETag } = await this.#client.send(
      new PutObjectCommand({
        ...this.#place(key),
        ...this.#atRest(key),
        Body: body,
        ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
      }),
    )
    // Every S3 gives one. Something that answers 200 to everything has stored nothing.
    if (ETag === undefined) throw strangeAnswer('a put without an ETag')
  }

  async get(key: string): Promise<Uint8Array> {
    const { Body, ContentLength } = await this.#client.send(new GetObjectCommand(this.#place(key)))
    if (Body === undefined) throw strangeAnswer('an object without a body')
    const body = await Body.transformToByteArray()
    if (ContentLength !== undefined && body.length !== ContentLength) {
      throw Object.assign(new Error(`the answer ended after ${body.length} of ${ContentLength} bytes`), {
        code: 'ECONNRESET',
      })
    }
    return body
  }

  async list({ prefix, startAfter, byFolder, next }: ListRequest): Promise<ListPage> {
    const answer = await this.#client.send(
      new ListObjectsV2Command({
        Bucket: this.#options.bucket,
        Prefix: prefix,
        // XML has no way to say some characters.
        EncodingType: 'url',
        ...(byFolder ? { Delimiter: '/' } : {}),
        ...(next === null
          ? startAfter === ''
            ? {}
            : { StartAfter: startAfter }
          : { ContinuationToken: next }),
      }),
    )
    if (answer.KeyCount === undefined && answer.Contents === undefined && answer.Name === undefined) {
      throw strangeAnswer('a list without contents')
    }
    const text =
      answer.EncodingType === 'url'
        ? (encoded: string) => decodeURIComponent(encoded.replaceAll('+', ' '))
        : (plain: string) => plain
    const { NextContinuationToken } = answer
    if (answer.IsTruncated === true && NextContinuationToken === undefined) {
      throw strangeAnswer('a part of a list without saying how it goes on')
    }
    return {
      objects: (answer.Contents ?? []).map(({ Key, Size, LastModified }) => ({
        key: text(Key ?? ''),
        size: Size ?? 0,
        ...(LastModified === undefined ? {} : { modifiedMs: LastModified.getTime() }),
      })),
      folders: (answer.CommonPrefixes ?? []).map(({ Prefix }) => text(Prefix ?? '')),
      next: answer.IsTruncated === true ? (NextContinuationToken ?? null) : null,
    }
  }

  async delete(key: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand(this.#place(key)))
  }

  /** Gives the upload's id. */
  async createUpload(key: string): Promise<string> {
    const checksums = this.#options.checksums === 'always'
    const { UploadId } = await this.#client.send(
      new CreateMultipartUploadCommand({
        ...this.#place(key),
        ...this.#atRest(key),
        // Of the whole, so that it can be checked when the object is read.
        ...(checksums ? { ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' } : {}),
      }),
    )
    if (UploadId === undefined) throw strangeAnswer('an upload without an id')
    return UploadId
  }

  async uploadPart(
    key: string,
    uploadId: string,
    partNumber: number,
    body: Uint8Array,
  ): Promise<UploadedPart> {
    const { ETag, ChecksumCRC32 } = await this.#client.send(
      new UploadPartCommand({
        ...this.#place(key),
        UploadId: uploadId,
        PartNumber: partNumber,
        Body: body,
        ...(this.#options.checksums === 'always' ? { ChecksumAlgorithm: 'CRC32' } : {}),
      }),
    )
    if (ETag === undefined) throw strangeAnswer('a part without an ETag')
    return { PartNumber: partNumber, ETag, ...(ChecksumCRC32 === undefined ? {} : { ChecksumCRC32 }) }
  }

  /** Throws an error named PreconditionFailed where `ifAbsent` and the key is taken. */
  async completeUpload(
    key: string,
    uploadId: string,
    parts: readonly UploadedPart[],
    { ifAbsent, size }: { readonly ifAbsent: boolean; readonly size: number },
  ): Promise<void> {
    const { ETag } = await this.#client.send(
      new CompleteMultipartUploadCommand({
        ...this.#place(key),
        UploadId: uploadId,
        MultipartUpload: { Parts: [...parts] },
        MpuObjectSize: size,
        ...(this.#options.checksums === 'always' ? { ChecksumType: 'FULL_OBJECT' } : {}),
        ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
      }),
    )
    if (ETag === undefined) throw strangeAnswer('a finished upload without an ETag')
  }

  async abortUpload(key: string, uploadId: string): Promise<void> {
    await this.#client.send(new AbortMultipartUploadCommand({ ...this.#place(key), UploadId: uploadId }))
  }

  /** Asks for credentials anew. False where they have no end: then the same ones would come. */
  async refreshCredentials(): Promise<boolean> {
    const { credentials } = this.#client.config
    const { expiration } = await credentials()
    if (expiration === undefined) return false
    await credentials({ forceRefresh: true })
    return true
  }

  close(): void {
    this.#client.destroy()
  }

  #place(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#options.bucket, Key: key }
  }

  /** How an object is kept. */
  #atRest(key: string) {
    const { sse, kmsKeyId, storageClass, keyPrefix } = this.#options
    return {
      ...(sse === null ? {} : { ServerSideEncryption: sse }),
      ...(kmsKeyId === null ? {} : { SSEKMSKeyId: kmsKeyId }),
      // One request to KMS for many objects.
      ...(sse === 'aws:kms' ? { BucketKeyEnabled: true } : {}),
      ...(storageClass === null || !isDataFile(key.slice(keyPrefix.length))
        ? {}
        : { StorageClass: storageClass }),
    }
  }
}

function isDataFile(key: string): boolean {
  return !key.startsWith('_millrace/') && !key.includes('/_delta_log/')
}

function clientConfig(options: ResolvedS3Options): S3ClientConfig {
  const { endpoint, credentials, profile } = options
  const checksums = options.checksums === 'always' ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED'
  const agent = { keepAlive: true, maxSockets: options.socketsMax }
  return {
    region: regionFinder(options),
    forcePathStyle: options.pathStyle,
    ...(endpoint === null ? {} : { endpoint }),
    ...(credentials === null || credentials === undefined ? {} : { credentials }),
    ...(profile === null ? {} : { profile }),
    maxAttempts: 1,
    requestChecksumCalculation: checksums,
    responseChecksumValidation: checksums,
    // It would take a connection of its own for each large request, outside the limit.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: options.connectTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      throwOnRequestTimeout: true,
      socketTimeout: options.requestTimeoutMs,
      // It would write to the console when requests wait for a connection, which is what the limit is for.
      logger: SILENT,
      httpAgent: agent,
      httpsAgent: agent,
    },
  }
}

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

/** The SDK asks before each request. */
function regionFinder(options: ResolvedS3Options): () => Promise<string> {
  let found: string | null = null
  return async () => (found ??= await regionOf(options))
}

/** As the SDK finds it; beside that AWS_DEFAULT_REGION, which other AWS tools read. A server of one's own seldom has regions. */
async function regionOf({ region, endpoint, profile }: ResolvedS3Options): Promise<string> {
  if (region !== null) return region
  const client = new S3Client(profile === null ? {} : { profile })
  try {
    return await client.config.region()
  } catch (error) {
    const other = process.env['AWS_DEFAULT_REGION']
    if (other !== undefined && other !== '') return other
    if (endpoint !== null) return 'us-east-1'
    throw error
  } finally {
    client.destroy()
  }
}

/** What of a request and an answer is looked at. */
interface HttpMessage {
  readonly method?: string
  readonly query?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
}

function countRequests(client: S3Client, onRequest: (kind: S3RequestKind, bytes: number) => void): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as HttpMessage
      const kind = kindOf(request)
      const isRead = kind === 'GET' || kind === 'LIST'
      try {
        const result = await next(args)
        onRequest(kind, lengthOf(isRead ? (result.response as HttpMessage) : request))
        return result
      } catch (error) {
        // It was sent, and is paid for.
        onRequest(kind, isRead ? 0 : lengthOf(request))
        throw error
      }
    },
    { name: 'millraceCountRequests', step: 'finalizeRequest', priority: 'low' },
  )
}

function kindOf({ method, query }: HttpMessage): S3RequestKind {
  if (method === 'PUT' || method === 'POST' || method === 'DELETE') return method
  return query?.['list-type'] === undefined ? 'GET' : 'LIST'
}

function lengthOf({ headers }: HttpMessage): number {
  return Number(headers?.['content-length'] ?? 0)
}

/** The name by which s3-failure.ts knows an answer that is not S3's. */
function strangeAnswer(what: string): Error {
  return Object.assign(new Error(what), { name: 'StrangeAnswer' })
}
