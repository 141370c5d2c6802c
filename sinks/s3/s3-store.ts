import { setTimeout as sleep } from 'node:timers/promises'
import { PipelineError } from '../../src/errors.ts'
import type { ObjectStore, StoredObject } from '../../src/ports.ts'
import { checkKey, compareKeys } from '../object-key.ts'
import { type ListPage, type ListRequest, S3Requests } from './s3-client.ts'
import { s3Error } from './s3-errors.ts'
import { type S3Failure, s3Failure } from './s3-failure.ts'
import { uploadInParts } from './s3-multipart.ts'
import { resolveS3Options, type ResolvedS3Options, type S3Options } from './s3-options.ts'

/** Of a request that may be sent again whatever became of it. The caller's own retry follows, with longer waits. */
const TRIES = 3
/** Of a conditional put that met another one under way (409): the answer comes as soon as that one is done. */
const CONFLICT_TRIES = 8
const WAIT_MS_FIRST = 50

/**
 * Objects in a bucket.
 *
 * `putIfAbsent` is a put with `If-None-Match: *`, sent once: where its answer is lost it throws STORE_AMBIGUOUS, and who calls finds out
 * by reading. 'exists' may still mean our own earlier put, applied late. All else is tried a few times here, with full jitter, since
 * doing it twice does no harm; the bodies of answers are part of the try.
 *
 * Errors. Final: BUCKET_NOT_FOUND, BUCKET_REGION, REGION_MISSING, STORE_FORBIDDEN, STORE_FULL, STORE_CORRUPT, STORE_NOT_CONDITIONAL,
 * STORE_FAILED, CREDENTIALS_INVALID. Retryable: STORE_AMBIGUOUS, STORE_BUSY, CLOCK_SKEWED. Final until the store has once answered, and
 * retryable from then on: CREDENTIALS_MISSING, and STORE_UNREACHABLE where the name of the host or its certificate is the trouble.
 */
export function s3Store(options: S3Options): ObjectStore {
  return new S3Store(resolveS3Options(options, process.env))
}

/** What is done, for a message. */
interface Operation {
  /** As a policy names it. */
  readonly action: string
  /** The key in the bucket, or the prefix of a list. */
  readonly name: string
  readonly kind: 'read' | 'write'
  /** Default: TRIES. */
  readonly tries?: number
}

class S3Store implements ObjectStore {
  readonly description: string
  readonly #options: ResolvedS3Options
  readonly #requests: S3Requests
  /** What is wrong from the first request on is wrong in the configuration; what has worked may come back. */
  #hasAnswered = false

  constructor(options: ResolvedS3Options) {
    this.#options = options
    this.#requests = new S3Requests(options)
    this.description = `s3://${options.bucket}/${options.keyPrefix}`.replace(/\/$/, '')
  }

  async putIfAbsent(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    const name = this.#nameOf(key)
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#write(name, body, true)
        this.#hasAnswered = true
        return 'created'
      } catch (error) {
        const failure = await this.#failureOf(error)
        if (failure.kind === 'exists') return 'exists'
        if (failure.kind !== 'conflict' || attempt >= CONFLICT_TRIES) {
          throw this.#error({ action: 's3:PutObject', name, kind: 'write' }, failure)
        }
      }
      await pause(attempt)
    }
  }

  async put(key: string, body: Uint8Array): Promise<void> {
    const name = this.#nameOf(key)
    // The requests of an upload in parts are tried one by one.
    const tries = body.length > this.#options.multipartAboveBytes ? 1 : TRIES
    const operation: Operation = { action: 's3:PutObject', name, kind: 'write', tries }
    await this.#trying(operation, () => this.#write(name, body, false))
  }

  async get(key: string): Promise<Uint8Array | null> {
    const name = this.#nameOf(key)
    return this.#trying({ action: 's3:GetObject', name, kind: 'read' }, async () => {
      try {
        return await this.#requests.get(name)
      } catch (error) {
        if (s3Failure(error).kind === 'no-such-key') return null
        throw error
      }
    })
  }

  async list(prefix: string, startAfter = ''): Promise<readonly StoredObject[]> {
    const { keyPrefix } = this.#options
    const found: StoredObject[] = []
    const after = startAfter === '' ? '' : keyPrefix + startAfter
    for await (const page of this.#pages({
      prefix: keyPrefix + prefix,
      startAfter: after,
      byFolder: false,
    })) {
      for (const object of page.objects) {
        const { key } = object
        // Consoles make objects of that kind to show a folder.
        if (!key.endsWith('/')) found.push({ ...object, key: key.slice(keyPrefix.length) })
      }
    }
    // S3 lists so. Not every server does.
    return found.sort((a, b) => compareKeys(a.key, b.key))
  }

  async listFolders(prefix: string): Promise<readonly string[]> {
    const full = this.#options.keyPrefix + prefix
    const found: string[] = []
    for await (const page of this.#pages({ prefix: full, startAfter: '', byFolder: true })) {
      for (const folder of page.folders) found.push(folder.slice(full.length, -1))
    }
    return found.filter((name) => name !== '').sort(compareKeys)
  }

  async delete(key: string): Promise<void> {
    const name = this.#nameOf(key)
    const operation: Operation = { action: 's3:DeleteObject', name, kind: 'write' }
    await this.#trying(operation, () => this.#requests.delete(name))
  }

  async close(): Promise<void> {
    this.#requests.close()
  }

  async *#pages(request: Omit<ListRequest, 'next'>): AsyncIterable<ListPage> {
    let next: string | null = null
    do {
      const asked: ListRequest = { ...request, next }
      const operation: Operation = { action: 's3:ListBucket', name: request.prefix, kind: 'read' }
      const page: ListPage = await this.#trying(operation, () => this.#requests.list(asked))
      yield page
      next = page.next
    } while (next !== null)
  }

  #nameOf(key: string): string {
    checkKey(key)
    return this.#options.keyPrefix + key
  }

  async #write(name: string, body: Uint8Array, ifAbsent: boolean): Promise<void> {
    const { multipartAboveBytes, partBytes } = this.#options
    if (body.length <= multipartAboveBytes) return this.#requests.put(name, body, { ifAbsent })
    return uploadInParts(this.#requests, { name, body, ifAbsent, partBytes }, (call) => this.#tries(call))
  }

  /** A request that may be sent again. */
  async #trying<T>(operation: Operation, call: () => Promise<T>): Promise<T> {
    try {
      return await this.#tries(call, operation.tries)
    } catch (error) {
      throw this.#error(operation, await this.#failureOf(error))
    }
  }

  /** Errors are the SDK's. */
  async #tries<T>(call: () => Promise<T>, tries = TRIES): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await call()
        this.#hasAnswered = true
        return result
      } catch (error) {
        if (attempt >= tries || !(await this.#failureOf(error)).isTransient) throw error
      }
      await pause(attempt)
    }
  }

  async #failureOf(error: unknown): Promise<S3Failure> {
    const failure = s3Failure(error)
    if (failure.kind === 'exists') this.#hasAnswered = true
    if (failure.kind !== 'expired') return failure
    try {
      return { ...failure, isTransient: await this.#requests.refreshCredentials() }
    } catch {
      return failure
    }
  }

  #error({ action, name, kind }: Operation, failure: S3Failure): PipelineError {
    const { bucket, endpoint } = this.#options
    return s3Error(failure, { action, bucket, name, endpoint, kind, hasAnswered: this.#hasAnswered })
  }
}

/** Full jitter: many processes that failed together do not come back together. */
async function pause(attempt: number): Promise<void> {
  await sleep(Math.random() * WAIT_MS_FIRST * 2 ** Math.min(attempt, 6))
}
