import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { isRetryable } from '../../../src/runtime/retry.ts'
import type { ObjectStore } from '../../../src/ports.ts'
import type { S3Options } from '../../../sinks/s3/s3-options.ts'
import { s3Store } from '../../../sinks/s3/s3-store.ts'
import { findS3, freshBucket } from '../../parts/s3.ts'
import {
  type Fault,
  type FaultProxy,
  s3ErrorBody,
  type SeenRequest,
  startFaultProxy,
} from '../../support/fault-proxy.ts'

const server = await findS3()
const bytes = (text: string) => new TextEncoder().encode(text)
const text = (body: Uint8Array | null) => (body === null ? null : new TextDecoder().decode(body))
const busy: Fault = { kind: 'answer', status: 503, body: s3ErrorBody('SlowDown') }
const failed: Fault = { kind: 'answer', status: 500, body: s3ErrorBody('InternalError') }
const isWrite = ({ method }: SeenRequest) => method === 'PUT' || method === 'POST'
const isPart = ({ url }: SeenRequest) => url.includes('partNumber')
const isJoin = ({ method, url }: SeenRequest) => method === 'POST' && url.includes('uploadId')

describe.skipIf(server.kind === 'missing')('a store in S3 that fails', () => {
  if (server.kind === 'missing') return
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  let proxy: FaultProxy
  let made = 0
  const stores: ObjectStore[] = []
  let bucket: string
  beforeAll(async () => {
    bucket = await freshBucket(server)
    proxy = await startFaultProxy(endpoint)
  })
  afterEach(() => proxy.plan(() => null))
  afterAll(async () => {
    for (const store of stores) await store.close?.()
    await proxy.close()
  })
  const open = (options: Partial<S3Options> = {}): ObjectStore => {
    const store = s3Store({
      bucket,
      prefix: `fault-${made++}`,
      endpoint: proxy.url,
      region,
      credentials: { accessKeyId, secretAccessKey },
      requestTimeoutMs: 400,
      ...options,
    })
    stores.push(store)
    return store
  }
  /** The first `times` requests of a kind meet the fault. */
  const plan = (fault: Fault, times: number, isMeant: (request: SeenRequest) => boolean = () => true) => {
    let left = times
    proxy.plan((request) => (isMeant(request) && left-- > 0 ? fault : null))
  }
  const sentSince = (count: number) => proxy.seen.length - count

  describe('a conditional put', () => {
    test('whose answer is lost is sent once, is ambiguous, and is found by reading', async () => {
      const store = open()
      plan({ kind: 'lost-answer' }, 1)
      const before = proxy.seen.length
      await expect(store.putIfAbsent('k', bytes('mine'))).rejects.toMatchObject({
        code: 'STORE_AMBIGUOUS',
        retryable: true,
      })
      expect(sentSince(before)).toBe(1)
      expect(text(await store.get('k'))).toBe('mine')
      expect(await store.putIfAbsent('k', bytes('mine'))).toBe('exists')
    })

    test.each([
      ['the server fails', failed, 'STORE_AMBIGUOUS'],
      [
        'a gateway answers for it',
        { kind: 'answer', status: 502, body: '<html>' } as const,
        'STORE_AMBIGUOUS',
      ],
      [
        'a gateway is overloaded',
        { kind: 'answer', status: 503, body: '<html>' } as const,
        'STORE_AMBIGUOUS',
      ],
      ['the connection breaks', { kind: 'cut-request', afterBytes: 1 } as const, 'STORE_AMBIGUOUS'],
      ['nobody answers', { kind: 'hang' } as const, 'STORE_AMBIGUOUS'],
      ['the server refuses for now', busy, 'STORE_BUSY'],
    ])('where %s', async (_, fault, code) => {
      const store = open()
      plan(fault, 1)
      const before = proxy.seen.length
      await expect(store.putIfAbsent('k', bytes('a'))).rejects.toMatchObject({ code, retryable: true })
      expect(sentSince(before)).toBe(1)
      expect(await store.get('k')).toBeNull()
      expect(await store.putIfAbsent('k', bytes('b'))).toBe('created')
    })

    test('that meets another one waits for it', async () => {
      const store = open()
      plan({ kind: 'answer', status: 409, body: s3ErrorBody('ConditionalRequestConflict') }, 3)
      expect(await store.putIfAbsent('k', bytes('a'))).toBe('created')
      plan({ kind: 'answer', status: 409, body: s3ErrorBody('ConditionalRequestConflict') }, 3)
      expect(await store.putIfAbsent('k', bytes('b'))).toBe('exists')
    })

    test('of a large object: the parts are sent again, the join is not', async () => {
      const store = open({ multipartAboveBytes: 100 })
      plan(failed, 2, isPart)
      expect(await store.putIfAbsent('parts', new Uint8Array(200))).toBe('created')
      plan({ kind: 'lost-answer' }, 1, isJoin)
      const before = proxy.seen.length
      await expect(store.putIfAbsent('join', new Uint8Array(200))).rejects.toMatchObject({
        code: 'STORE_AMBIGUOUS',
      })
      expect(proxy.seen.slice(before).filter(isJoin)).toHaveLength(1)
      expect((await store.get('join'))!.length).toBe(200)
      expect(await store.putIfAbsent('join', new Uint8Array(300))).toBe('exists')
    })
  })

  describe('what may be sent again', () => {
    test.each<[string, Fault]>([
      ['is told to slow down', busy],
      ['meets a failure', failed],
      ['loses its connection', { kind: 'cut-request', afterBytes: 0 }],
      ['loses its answer', { kind: 'lost-answer' }],
      ['waits in vain', { kind: 'hang' }],
    ])('%s, and is', async (_, fault) => {
      const store = open()
      for (const work of [
        () => store.put('k', bytes('v')),
        () => store.list(''),
        () => store.delete('other'),
      ]) {
        // Without a body there is nothing to cut.
        plan(fault, 2, fault.kind === 'cut-request' ? isWrite : undefined)
        await work()
      }
      expect(text(await store.get('k'))).toBe('v')
    })

    test('is not sent for ever: the caller waits longer', async () => {
      const store = open()
      plan(failed, Infinity)
      const before = proxy.seen.length
      const writing = store.put('k', bytes('v'))
      await expect(writing).rejects.toMatchObject({ code: 'STORE_AMBIGUOUS', retryable: true })
      await expect(store.get('k')).rejects.toMatchObject({ code: 'STORE_UNREACHABLE', retryable: true })
      expect(sentSince(before)).toBe(6)
    })

    test('a large upload that cannot be finished leaves no parts and no object', async () => {
      const store = open({ multipartAboveBytes: 100 })
      plan(failed, Infinity, isPart)
      const before = proxy.seen.length
      await expect(store.put('k', new Uint8Array(200))).rejects.toMatchObject({ code: 'STORE_AMBIGUOUS' })
      expect(proxy.seen.slice(before).map(({ method }) => method)).toEqual([
        'POST',
        'PUT',
        'PUT',
        'PUT',
        'DELETE',
      ])
      expect(await store.get('k')).toBeNull()
    })
  })

  describe('an answer', () => {
    const body = Uint8Array.from({ length: 400_000 }, (_, index) => index % 253)
    const isGet = ({ method, url }: SeenRequest) => method === 'GET' && !url.includes('list-type')

    test.each<[string, Fault]>([
      ['breaks off', { kind: 'cut-answer', afterBytes: 100_000 }],
      ['stops', { kind: 'stall-answer', afterBytes: 100_000 }],
      ['is damaged', { kind: 'flip-answer' }],
    ])('that %s is asked for again', async (_, fault) => {
      const store = open()
      await store.put('k', body)
      plan(fault, 2, isGet)
      expect(Buffer.compare((await store.get('k'))!, body)).toBe(0)
    })

    test('that stays damaged is never passed on', async () => {
      const store = open()
      await store.put('k', body)
      plan({ kind: 'flip-answer' }, Infinity, isGet)
      await expect(store.get('k')).rejects.toMatchObject({ code: 'STORE_CORRUPT', retryable: false })
    })

    test('that stays away can be waited for', async () => {
      const store = open()
      await store.put('k', body)
      plan({ kind: 'stall-answer', afterBytes: 100_000 }, 3, isGet)
      const error: unknown = await store.get('k').catch((thrown: unknown) => thrown)
      expect(isRetryable(error)).toBe(true)
      expect(Buffer.compare((await store.get('k'))!, body)).toBe(0)
    })
  })

  test('a storm loses nothing: of many writers that retry, each key has one winner', async () => {
    // Every third request meets a fault, in turn.
    const faults: readonly Fault[] = [
      busy,
      failed,
      { kind: 'lost-answer' },
      { kind: 'cut-request', afterBytes: 1 },
    ]
    let count = 0
    proxy.plan((request) =>
      isWrite(request) && ++count % 3 === 0 ? faults[(count / 3) % faults.length]! : null,
    )
    const store = open({ requestTimeoutMs: 30_000 })
    const wins = new Map<string, string>()
    const claim = async (key: string, writer: string): Promise<void> => {
      for (;;) {
        const outcome = await store.putIfAbsent(key, bytes(writer)).catch((error: unknown) => {
          if (!isRetryable(error)) throw error
          return 'unknown' as const
        })
        const stored = text(await store.get(key))
        if (outcome === 'created' && stored !== writer)
          throw new Error(`${writer} was told that it won ${key}`)
        if (stored === null) continue
        if (stored === writer) {
          if (wins.has(key)) throw new Error(`${key} was won twice`)
          wins.set(key, writer)
        }
        return
      }
    }
    const keys = Array.from({ length: 20 }, (_, index) => `k${index}`)
    await Promise.all(keys.flatMap((key) => ['a', 'b', 'c'].map((writer) => claim(key, `${key}-${writer}`))))
    expect(wins.size).toBe(keys.length)
  })
})
