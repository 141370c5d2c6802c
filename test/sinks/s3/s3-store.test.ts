import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { probeStore } from '../../../src/runtime/probe.ts'
import { systemEntropy } from '../../../src/runtime/system.ts'
import type { ObjectStore } from '../../../src/ports.ts'
import type { S3Options, S3RequestKind } from '../../../sinks/s3/s3-options.ts'
import { s3Store } from '../../../sinks/s3/s3-store.ts'
import { objectStoreContract } from '../../contracts/object-store.ts'
import { findS3, freshBucket, s3Environment } from '../../parts/s3.ts'
import { type FaultProxy, s3ErrorBody, startFaultProxy } from '../../support/fault-proxy.ts'
import { IMPATIENT, SILENT } from '../../support/world.ts'

const server = await findS3()
const bytes = (text: string) => new TextEncoder().encode(text)
const patterned = (length: number) =>
  Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) % 251)
const RETRY = { clock: IMPATIENT, entropy: systemEntropy, log: SILENT, signal: null }

describe.skipIf(server.kind === 'missing')('a store in S3', () => {
  if (server.kind === 'missing') return
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  let proxy: FaultProxy
  const stores: ObjectStore[] = []
  let bucket: string
  const open = (options: Partial<S3Options> = {}): ObjectStore => {
    const credentials = { accessKeyId, secretAccessKey }
    const store = s3Store({ bucket, endpoint, region, credentials, ...options })
    stores.push(store)
    return store
  }
  const throughProxy = (options: Partial<S3Options> = {}) => open({ endpoint: proxy.url, ...options })

  beforeAll(async () => {
    bucket = await freshBucket(server)
    proxy = await startFaultProxy(endpoint)
  })
  afterAll(async () => {
    for (const store of stores) await store.close?.()
    await proxy.close()
  })

  objectStoreContract('s3Store', async () => open({ bucket: await freshBucket(server) }))
  let made = 0
  objectStoreContract('s3Store with a prefix', async () => open({ prefix: `some/lake ${made++}` }))

  describe('puts and gets', () => {
    test('large objects go in parts and come back whole', async () => {
      const kinds: S3RequestKind[] = []
      const store = open({
        prefix: 'large',
        multipartAboveBytes: 6_000_000,
        partBytes: 5 * 1024 * 1024,
        onRequest: (kind) => kinds.push(kind),
      })
      const body = patterned(12_000_000)
      await store.put('a', body)
      expect(kinds.sort()).toEqual(['POST', 'POST', 'PUT', 'PUT', 'PUT'])
      expect(Buffer.compare((await store.get('a'))!, body)).toBe(0)
      expect(await store.list('')).toMatchObject([{ key: 'a', size: 12_000_000 }])
    })

    test('a large object is created once: the last request carries the condition, and the loser leaves no parts', async () => {
      const store = throughProxy({ prefix: 'once', multipartAboveBytes: 100 })
      const outcomes = await Promise.all([1, 2, 3].map((n) => store.putIfAbsent('a', patterned(1_000 + n))))
      expect(outcomes.toSorted()).toEqual(['created', 'exists', 'exists'])
      expect((await store.get('a'))!.length).toBe(1_001 + outcomes.indexOf('created'))
      expect(await store.putIfAbsent('a', patterned(2_000))).toBe('exists')
      const aborts = proxy.seen.filter(({ method, url }) => method === 'DELETE' && url.includes('uploadId'))
      expect(aborts).toHaveLength(3)
    })

    test('tell of every request', async () => {
      const seen: (readonly [S3RequestKind, number])[] = []
      const store = open({ prefix: 'counted', onRequest: (kind, size) => seen.push([kind, size]) })
      await store.put('a', bytes('abc'))
      await store.putIfAbsent('a', bytes('abcd'))
      await store.get('a')
      await store.get('none')
      await store.list('')
      await store.delete('a')
      const listed = seen.find(([kind]) => kind === 'LIST')![1]
      expect(listed).toBeGreaterThan(100)
      expect(seen).toEqual([
        ['PUT', 3],
        ['PUT', 4],
        ['GET', 3],
        ['GET', 0],
        ['LIST', listed],
        ['DELETE', 0],
      ])
    })

    test('say how objects are to be kept', async () => {
      const store = throughProxy({
        prefix: 'kept',
        kmsKeyId: 'alias/lake',
        storageClass: 'INTELLIGENT_TIERING',
      })
      await store.put('bronze/trips/a.parquet', bytes('1'))
      await store.put('bronze/trips/_delta_log/0.json', bytes('1'))
      await store.put('_millrace/taxi/1.json', bytes('1'))
      const sent = proxy.seen.slice(-3).map(({ headers }) => headers)
      expect(sent.map((headers) => headers['x-amz-server-side-encryption'])).toEqual(Array(3).fill('aws:kms'))
      expect(sent[0]!['x-amz-server-side-encryption-aws-kms-key-id']).toBe('alias/lake')
      expect(sent.map((headers) => headers['x-amz-storage-class'])).toEqual([
        'INTELLIGENT_TIERING',
        undefined,
        undefined,
      ])
    })
  })

  describe('lists', () => {
    test('go on where a page ends', async () => {
      const store = open({ prefix: 'pages' })
      const keys = Array.from({ length: 1_203 }, (_, index) => `k/${String(index).padStart(5, '0')}`)
      for (let start = 0; start < keys.length; start += 50) {
        await Promise.all(keys.slice(start, start + 50).map((key) => store.put(key, bytes('1'))))
      }
      const listed = async (startAfter?: string) => (await store.list('k/', startAfter)).map(({ key }) => key)
      expect(await listed()).toEqual(keys)
      expect(await listed('k/00100')).toEqual(keys.slice(101))
      await store.put('k/folder/x', bytes('1'))
      await store.put('k2/y', bytes('1'))
      expect(await store.listFolders!('k/')).toEqual(['folder'])
      expect(await store.listFolders!('')).toEqual(['k', 'k2'])
    })

    test('leave out what consoles make to show a folder', async () => {
      const above = open()
      const store = open({ prefix: 'marked' })
      await store.put('a/b', bytes('1'))
      await fetch(`${endpoint}/${bucket}/marked/a/`, { method: 'PUT' })
      expect(await store.list('')).toMatchObject([{ key: 'a/b', size: 1 }])
      expect((await above.list('marked/')).map(({ key }) => key)).toEqual(['marked/a/b'])
    })
  })

  describe('the start-up probe', () => {
    test('is content with a server that keeps conditions', async () => {
      await probeStore(open({ prefix: 'probe' }), RETRY)
    })

    test('refuses one that ignores them', async () => {
      proxy.plan(() => ({ kind: 'drop-header', name: 'if-none-match' }))
      const probing = probeStore(throughProxy({ prefix: 'probe' }), RETRY)
      await expect(probing).rejects.toMatchObject({ code: 'STORE_NOT_CONDITIONAL' })
    })

    test('refuses one that does not know them', async () => {
      proxy.plan(({ headers }) =>
        headers['if-none-match'] === undefined
          ? null
          : {
              kind: 'answer',
              status: 501,
              body: s3ErrorBody('NotImplemented', 'A header is not implemented.'),
            },
      )
      const probing = probeStore(throughProxy({ prefix: 'probe' }), RETRY)
      await expect(probing).rejects.toMatchObject({ code: 'STORE_NOT_CONDITIONAL', retryable: false })
    })
  })

  test('of two processes that put the same keys exactly one wins each, and its body stays', async () => {
    const program = new URL('race.ts', import.meta.url).pathname
    const race = async (name: string): Promise<readonly boolean[]> => {
      const child = spawn(process.execPath, [program, bucket, name], {
        env: { ...process.env, ...s3Environment(server) },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let text = ''
      child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
      await once(child, 'close')
      return JSON.parse(text) as readonly boolean[]
    }
    const [a, b] = await Promise.all([race('a'), race('b')])
    const store = open({ prefix: 'race' })
    for (const [round, aWon] of a.entries()) {
      expect([round, aWon !== b[round]]).toEqual([round, true])
      expect(new TextDecoder().decode((await store.get(`${round}`)) ?? undefined)).toBe(aWon ? 'a' : 'b')
    }
  })
})
