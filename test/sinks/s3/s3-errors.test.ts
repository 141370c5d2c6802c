import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { PipelineError } from '../../../src/errors.ts'
import type { ObjectStore } from '../../../src/ports.ts'
import { s3 } from '../../../sinks/s3/index.ts'
import type { S3Options } from '../../../sinks/s3/s3-options.ts'
import { s3Store } from '../../../sinks/s3/s3-store.ts'
import { s3ErrorBody } from '../../support/fault-proxy.ts'

/** A server that says what it is told to say, and what the user hears of it. */

interface Answer {
  readonly status: number
  readonly body?: string
  readonly headers?: Record<string, string>
}

let answer: Answer = { status: 200 }
const server = createServer((request, response) => {
  request.resume().once('end', () => {
    response.writeHead(answer.status, { 'content-type': 'application/xml', ...answer.headers })
    response.end(answer.body ?? '')
  })
})
let endpoint: string
const stores: ObjectStore[] = []
beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => void (answer = { status: 200 }))
afterAll(async () => {
  for (const store of stores) await store.close?.()
  server.close()
  server.closeAllConnections()
})

const open = (options: Partial<S3Options> = {}): ObjectStore => {
  const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' }
  const store = s3Store({
    bucket: 'lake',
    prefix: 'taxi',
    endpoint,
    region: 'eu-west-1',
    credentials,
    ...options,
  })
  stores.push(store)
  return store
}
const failing = (status: number, code: string, extra = ''): Answer => ({
  status,
  body: s3ErrorBody(code, 'why it is so', extra),
})
const failureOf = async (work: Promise<unknown>): Promise<PipelineError> => {
  const error: unknown = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof PipelineError)) throw new Error(`not a PipelineError: ${String(error)}`)
  return error
}
const put = (store: ObjectStore) => store.putIfAbsent('bronze/a', new Uint8Array(1))
const HTML = '<html><body>hello</body></html>'

describe('a store in S3 says', () => {
  test.each<[string, Answer, string, RegExp, RegExp]>([
    [
      'that the bucket is missing',
      failing(404, 'NoSuchBucket'),
      'BUCKET_NOT_FOUND',
      /^Cannot write s3:\/\/lake\/taxi\/bronze\/a: there is no bucket 'lake' at http:/,
      /Make the bucket/,
    ],
    [
      'which permission is missing',
      failing(403, 'AccessDenied'),
      'STORE_FORBIDDEN',
      /s3:PutObject is not allowed \(why it is so\)/,
      /Allow s3:PutObject on arn:aws:s3:::lake\/taxi\/bronze\/a/,
    ],
    [
      'that the KMS key may not be used',
      { status: 403, body: s3ErrorBody('AccessDenied', 'not authorized to perform: kms:GenerateDataKey') },
      'STORE_FORBIDDEN',
      /kms:GenerateDataKey/,
      /Allow kms:GenerateDataKey and kms:Decrypt/,
    ],
    [
      'that the KMS key is switched off',
      failing(400, 'KMS.DisabledException'),
      'STORE_FORBIDDEN',
      /KMS.DisabledException/,
      /check that it is enabled/,
    ],
    [
      'that the key is unknown',
      failing(403, 'InvalidAccessKeyId'),
      'CREDENTIALS_INVALID',
      /InvalidAccessKeyId/,
      /AWS_ACCESS_KEY_ID/,
    ],
    [
      'that the secret is wrong',
      failing(403, 'SignatureDoesNotMatch'),
      'CREDENTIALS_INVALID',
      /SignatureDoesNotMatch/,
      /AWS_SECRET_ACCESS_KEY/,
    ],
    [
      'that a session is over',
      failing(400, 'ExpiredToken'),
      'CREDENTIALS_INVALID',
      /have expired/,
      /start again: nothing is lost/,
    ],
    [
      'where the bucket is',
      { ...failing(301, 'PermanentRedirect'), headers: { 'x-amz-bucket-region': 'eu-central-1' } },
      'BUCKET_REGION',
      /'lake' is in the region eu-central-1/,
      /region: 'eu-central-1'/,
    ],
    [
      'for which region to sign',
      failing(400, 'AuthorizationHeaderMalformed', '<Region>us-west-2</Region>'),
      'BUCKET_REGION',
      /us-west-2/,
      /AWS_REGION=us-west-2/,
    ],
    ['that there is no room', failing(507, 'XMinioStorageFull'), 'STORE_FULL', /no room/, /nothing was lost/],
    [
      'that conditions are not known',
      failing(501, 'NotImplemented'),
      'STORE_NOT_CONDITIONAL',
      /NotImplemented/,
      /If-None-Match/,
    ],
    [
      'that a web server is there',
      { status: 200, body: HTML, headers: { 'content-type': 'text/html' } },
      'STORE_UNREACHABLE',
      /cannot be used/,
      /does not speak S3/,
    ],
    [
      'that a web server knows no such page',
      { status: 404, body: HTML },
      'STORE_UNREACHABLE',
      /HTTP 404/,
      /does not speak S3/,
    ],
    [
      'that it is sent elsewhere',
      { status: 302, headers: { location: 'https://elsewhere/' } },
      'STORE_UNREACHABLE',
      /HTTP 302/,
      /does not speak S3/,
    ],
    [
      'what it does not understand',
      failing(400, 'InvalidStorageClass'),
      'STORE_FAILED',
      /InvalidStorageClass/,
      /s3:PutObject/,
    ],
  ])('%s', async (_, said, code, message, advice) => {
    answer = said
    const error = await failureOf(put(open()))
    expect(error).toMatchObject({ code, retryable: false })
    expect(error.message).toMatch(message)
    expect(error.advice).toMatch(advice)
    expect(error.message).not.toContain('\n')
  })

  test('what may not be read or listed', async () => {
    answer = failing(403, 'AccessDenied')
    const store = open()
    const reading = await failureOf(store.get('gold/x'))
    expect(reading.message).toMatch(/^Cannot read s3:\/\/lake\/taxi\/gold\/x: s3:GetObject is not allowed/)
    expect(reading.advice).toMatch(/Without s3:ListBucket/)
    const listing = await failureOf(store.list('gold/'))
    expect(listing.advice).toMatch(/Allow s3:ListBucket on arn:aws:s3:::lake;/)
    expect((await failureOf(store.delete('gold/x'))).message).toMatch(/s3:DeleteObject is not allowed/)
  })

  test('that a read meets no S3', async () => {
    answer = { status: 200, body: HTML }
    expect(await failureOf(open().list(''))).toMatchObject({ code: 'STORE_UNREACHABLE', retryable: false })
    answer = { status: 404, body: HTML }
    expect(await failureOf(open().get('a'))).toMatchObject({ code: 'STORE_UNREACHABLE', retryable: false })
  })

  test('that the clock is wrong, and waits for it', async () => {
    answer = failing(403, 'RequestTimeTooSkewed')
    const error = await failureOf(put(open()))
    expect(error).toMatchObject({ code: 'CLOCK_SKEWED', retryable: true })
    expect(error.advice).toMatch(/NTP/)
  })

  test('that nobody listens there, and waits for it', async () => {
    const error = await failureOf(put(open({ endpoint: 'http://127.0.0.1:1' })))
    expect(error).toMatchObject({ code: 'STORE_AMBIGUOUS', retryable: true })
    expect(error.message).toMatch(/http:\/\/127.0.0.1:1 does not answer \(.*ECONNREFUSED/)
    expect(error.advice).toMatch(/Check that it runs/)
    expect(await failureOf(open({ endpoint: 'http://127.0.0.1:1' }).get('a'))).toMatchObject({
      code: 'STORE_UNREACHABLE',
      retryable: true,
    })
  })

  test('that there is no such host: a mistake at first, an outage later', async () => {
    const error = await failureOf(put(open({ endpoint: 'http://no-such-host.invalid' })))
    expect(error).toMatchObject({ code: 'STORE_UNREACHABLE', retryable: false })
    expect(error.advice).toMatch(/Correct the endpoint/)
    const store = open()
    answer = { status: 200, headers: { etag: '"1"' } }
    await put(store)
    answer = { status: 404, body: HTML }
    expect(await failureOf(store.get('a'))).toMatchObject({ code: 'STORE_UNREACHABLE', retryable: true })
  })

  test('that a server with TLS is spoken to without, or the other way round', async () => {
    const error = await failureOf(put(open({ endpoint: endpoint.replace('http:', 'https:') })))
    expect(error).toMatchObject({ code: 'STORE_UNREACHABLE', retryable: false })
    expect(error.advice).toMatch(/Correct http or https/)
  })

  test('that there are no credentials', async () => {
    const credentials = () =>
      Promise.reject(
        Object.assign(new Error('Could not load credentials'), { name: 'CredentialsProviderError' }),
      )
    const error = await failureOf(put(open({ credentials })))
    expect(error).toMatchObject({ code: 'CREDENTIALS_MISSING', retryable: false })
    expect(error.advice).toMatch(/AWS_ACCESS_KEY_ID/)
  })

  test('nothing of credentials that end, but asks for new ones', async () => {
    let given = 0
    const credentials = () =>
      Promise.resolve({
        accessKeyId: `key-${++given}`,
        secretAccessKey: 'secret',
        expiration: new Date(Date.now() + 3_600_000),
      })
    answer = failing(400, 'ExpiredToken')
    const store = open({ credentials })
    expect(await failureOf(put(store))).toMatchObject({ code: 'CREDENTIALS_INVALID', retryable: true })
    expect(given).toBe(2)
  })

  test('no secret', async () => {
    const credentials = { accessKeyId: 'key', secretAccessKey: 'very-secret', sessionToken: 'session-secret' }
    answer = failing(403, 'SignatureDoesNotMatch')
    const error = await failureOf(put(open({ credentials })))
    expect(JSON.stringify([error.message, error.advice])).not.toMatch(/very-secret|session-secret/)
  })
})

describe('s3() refuses', () => {
  test.each<[string, Partial<S3Options>, RegExp]>([
    ['no bucket', { bucket: '' }, /bucket is ""/],
    ['a bucket with a path', { bucket: 'lake/taxi' }, /prefix: 'some\/folder'/],
    ['a directory bucket', { bucket: 'lake--euw1-az1--x-s3' }, /directory bucket/],
    ['a prefix that is none', { prefix: '/a' }, /empty segment/],
    ['a prefix that leaves too little for keys', { prefix: 'x'.repeat(200) }, /longer than 123 bytes/],
    ['an endpoint that is no URL', { endpoint: 'minio:9000' }, /http:\/\/ or https:\/\//],
    ['a key for an encryption without', { sse: 'AES256', kmsKeyId: 'k' }, /sse is 'AES256'/],
    ['parts that S3 refuses', { partBytes: 1_000_000 }, /partBytes is 1000000/],
    ['a time-out that is none', { requestTimeoutMs: 0 }, /requestTimeoutMs is 0/],
  ])('%s', (_, options, text) => {
    let thrown: unknown
    try {
      s3({ bucket: 'lake', ...options })
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(PipelineError)
    const { message, advice } = thrown as PipelineError
    expect(`${message} ${advice}`).toMatch(text)
  })
})
