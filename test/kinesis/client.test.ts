import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { KinesisApi, WireRecord } from '../../src/kinesis/api.ts'
import type { AwsCredentials } from '../../src/kinesis/options.ts'
import { mustBeReady } from '../parts/cache.ts'
import { type KinesisFaultProxy, startKinesisFaults } from '../parts/kinesis-faults.ts'
import { findKinesis, findKinesisPackages } from '../parts/kinesis.ts'
import { clientOf, freshStream, resharder, type TestClient } from './client-kit.ts'

const packages = mustBeReady(await findKinesisPackages())
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const texts = (records: readonly WireRecord[]): string[] =>
  records.map(({ data }) => new TextDecoder().decode(data))

async function readAll(api: KinesisApi, stream: string, shardId: string): Promise<string[]> {
  const place = { stream, shardId }
  const iterator = await api.shardIterator(place, { kind: 'trim-horizon' })
  return texts((await api.getRecords(iterator, 1_000, place)).records)
}

describe.skipIf(packages.kind === 'missing')('a client of Kinesis', () => {
  let endpoint = ''
  let proxy: KinesisFaultProxy
  let client: TestClient
  let stream = ''
  const shardId = 'shardId-000000000000'

  beforeAll(async () => {
    const kinesis = await findKinesis()
    if (kinesis.kind === 'missing') throw new Error(kinesis.reason)
    endpoint = kinesis.endpoint
    proxy = await startKinesisFaults(endpoint)
    client = clientOf(proxy.url)
    stream = await freshStream(client.api)
  }, 60_000)
  afterEach(() => proxy.plan(() => null))
  afterAll(async () => {
    client?.api.close()
    await proxy?.close()
  })

  it('creates, describes, writes and reads', async () => {
    const { api } = client
    const own = await freshStream(api, 2)
    await api.createStream(own, 2)
    const facts = await api.describeStream(own)
    expect(facts).toMatchObject({ stream: own, openShards: 2, retentionMs: 86_400_000, isOnDemand: false })
    expect(facts.createdMs).toBeGreaterThan(1_700_000_000_000)
    const [first, second] = await api.listShards(own)
    const outcomes = await api.putRecords(own, [
      { partitionKey: 'one', explicitHashKey: first!.hashKeyStart, data: bytes('a') },
      { partitionKey: 'two', explicitHashKey: second!.hashKeyEnd, data: bytes('b') },
    ])
    expect(outcomes).toMatchObject([
      { kind: 'stored', shardId: first!.shardId },
      { kind: 'stored', shardId: second!.shardId },
    ])
    const place = { stream: own, shardId: second!.shardId }
    const iterator = await api.shardIterator(place, { kind: 'trim-horizon' })
    const { records, ...answer } = await api.getRecords(iterator, 10, place)
    expect(texts(records)).toEqual(['b'])
    expect(records[0]).toMatchObject({ partitionKey: 'two' })
    expect(Math.abs(records[0]!.arrivalMs - Date.now())).toBeLessThan(60_000)
    expect(answer).toMatchObject({ millisBehindLatest: 0, children: null })
  })

  it('sees splits and merges, and who follows whom', async () => {
    const { api } = client
    const own = await freshStream(api, 2)
    const { split, merge, close } = resharder(endpoint)
    await split(own, shardId)
    await merge(own, 'shardId-000000000003', 'shardId-000000000001')
    close()
    const shards = await api.listShards(own)
    expect(
      shards.map(({ shardId, isClosed, parents }) => [Number(shardId.slice(8)), isClosed, parents.length]),
    ).toEqual([
      [0, true, 0],
      [1, true, 0],
      [2, false, 1],
      [3, true, 1],
      [4, false, 2],
    ])
    const place = { stream: own, shardId }
    const iterator = await api.shardIterator(place, { kind: 'trim-horizon' })
    expect(await api.getRecords(iterator, 10, place)).toMatchObject({
      records: [],
      nextIterator: null,
      children: ['shardId-000000000002', 'shardId-000000000003'],
    })
  })

  it('registers a consumer once, whoever asks', async () => {
    const { api } = client
    const facts = await api.describeStream(stream)
    const others = clientOf(endpoint)
    const [one, other] = await Promise.all([
      api.registerConsumer(facts, 'taxi'),
      others.api.registerConsumer(facts, 'taxi'),
    ])
    expect(one.arn).toContain(`stream/${stream}/consumer/taxi`)
    expect(other).toEqual(one)
    expect(await api.registerConsumer(facts, 'taxi')).toEqual(one)
    await api.deregisterConsumer(one)
    others.api.close()
  })

  it.each([
    ['ProvisionedThroughputExceededException', 400, 'KINESIS_THROTTLED', true],
    ['LimitExceededException', 400, 'KINESIS_THROTTLED', true],
    ['KMSThrottlingException', 400, 'KINESIS_THROTTLED', true],
    ['ExpiredIteratorException', 400, 'KINESIS_ITERATOR_EXPIRED', true],
    ['ResourceInUseException', 400, 'KINESIS_IN_USE', true],
    ['ResourceNotFoundException', 400, 'STREAM_NOT_FOUND', false],
    ['AccessDeniedException', 400, 'KINESIS_FORBIDDEN', false],
    ['KMSAccessDeniedException', 400, 'KINESIS_FORBIDDEN', false],
    ['KMSDisabledException', 400, 'KINESIS_REFUSED', false],
    ['InvalidArgumentException', 400, 'KINESIS_REFUSED', false],
    ['ValidationException', 400, 'KINESIS_REFUSED', false],
    ['InternalFailureException', 500, 'KINESIS_UNAVAILABLE', true],
    ['SomethingNew', 503, 'KINESIS_UNAVAILABLE', true],
    ['SomethingNew', 400, 'KINESIS_REFUSED', false],
  ])('calls %s (%i) %s', async (code, status, expected, retryable) => {
    proxy.plan(({ operation }) =>
      operation === 'GetRecords' ? { kind: 'error', code, status, message: 'it says why' } : null,
    )
    const place = { stream, shardId }
    const iterator = await client.api.shardIterator(place, { kind: 'trim-horizon' })
    const error: unknown = await client.api.getRecords(iterator, 10, place).catch((error: unknown) => error)
    expect(error).toMatchObject({ code: expected, retryable })
    expect((error as Error).message).toContain(`cannot read ${shardId} of stream ${stream}`)
    expect((error as Error).message).toContain('it says why')
    // Each call is one request.
    expect(proxy.seen.filter(({ operation }) => operation === 'GetRecords').length).toBeGreaterThan(0)
  })

  it('names the right, the stream and the region where something is forbidden', async () => {
    proxy.plan(() => ({
      kind: 'error',
      code: 'AccessDeniedException',
      message: 'User: taxi is not authorized',
    }))
    await expect(client.api.listShards(stream)).rejects.toMatchObject({
      advice: `Allow kinesis:ListShards on stream ${stream} in eu-west-1; docs/kinesis.md has the whole policy.`,
    })
  })

  it('calls all that happens to a connection unavailable, and sends nothing twice by itself', async () => {
    const faults = [
      { kind: 'cut-request' },
      { kind: 'cut-answer', afterBytes: 20 },
      { kind: 'truncate-answer', bytes: 20 },
      { kind: 'lost-answer' },
      { kind: 'hang' },
    ] as const
    const hurried = clientOf(proxy.url, { requestTimeoutMs: 300 })
    for (const fault of faults) {
      const before = proxy.seen.length
      proxy.plan(() => fault)
      await expect(hurried.api.describeStream(stream), fault.kind).rejects.toMatchObject({
        code: 'KINESIS_UNAVAILABLE',
        retryable: true,
      })
      expect(proxy.seen.length).toBe(before + 1)
    }
    hurried.api.close()
  })

  it('says of each record that is put what became of it, also where the answer is lost', async () => {
    const { api } = client
    const own = await freshStream(api)
    const entries = ['a', 'b', 'c'].map((text) => ({ partitionKey: text, data: bytes(text) }))
    proxy.plan(({ operation }) =>
      operation === 'PutRecords' ? { kind: 'partial', isRefused: (index) => index === 1 } : null,
    )
    expect(await api.putRecords(own, entries)).toMatchObject([
      { kind: 'stored' },
      { kind: 'refused', code: 'ProvisionedThroughputExceededException' },
      { kind: 'stored' },
    ])
    proxy.plan(({ operation }) => (operation === 'PutRecords' ? { kind: 'lost-answer' } : null))
    await expect(api.putRecords(own, [entries[1]!])).rejects.toMatchObject({ code: 'KINESIS_UNAVAILABLE' })
    expect(await readAll(api, own, shardId)).toEqual(['a', 'c', 'b'])
  })

  it('subscribes to a shard, and says what ends a subscription', async () => {
    const { api } = client
    const own = await freshStream(api)
    await api.putRecords(own, [{ partitionKey: 'a', data: bytes('a') }])
    const facts = await api.describeStream(own)
    // Nobody gets a shard within five seconds of another subscription of the same consumer.
    const read = async (name: string, enough: number): Promise<string[]> => {
      const consumer = await api.registerConsumer(facts, name)
      const { signal } = new AbortController()
      const seen: string[] = []
      for await (const { records } of api.subscribe(consumer, shardId, { kind: 'trim-horizon' }, signal)) {
        seen.push(...texts(records))
        if (seen.length >= enough) break
      }
      return seen
    }
    expect(await read('taxi', 1)).toEqual(['a'])
    const faults = [
      ['refused', { kind: 'error', code: 'ResourceInUseException' }, 'KINESIS_IN_USE'],
      ['refused', { kind: 'error', code: 'AccessDeniedException' }, 'KINESIS_FORBIDDEN'],
      ['lost', { kind: 'lost-answer' }, 'KINESIS_UNAVAILABLE'],
      ['cut', { kind: 'cut-answer', afterBytes: 300 }, 'KINESIS_UNAVAILABLE'],
    ] as const
    for (const [name, fault, code] of faults) {
      proxy.plan(({ operation }) => (operation === 'SubscribeToShard' ? fault : null))
      await expect(read(name, 1_000), fault.kind).rejects.toMatchObject({ code })
    }
  })

  it('asks for other credentials when those that were good are refused, and goes on', async () => {
    let good = 'first'
    let asked = 0
    const rotating = clientOf(proxy.url, {
      credentials: async (): Promise<AwsCredentials> => {
        asked++
        return { accessKeyId: good, secretAccessKey: 'secret', sessionToken: 'token' }
      },
    })
    proxy.plan(({ headers }) =>
      headers.authorization?.includes(`Credential=${good}/`) === true
        ? null
        : { kind: 'error', code: 'ExpiredTokenException', message: 'the token has expired' },
    )
    await rotating.api.listShards(stream)
    await rotating.api.listShards(stream)
    expect(asked).toBe(1)
    good = 'second'
    await Promise.all([rotating.api.listShards(stream), rotating.api.describeStream(stream)])
    expect(asked).toBe(2)
    expect(rotating.counts.get('credentials')).toBe(2)
    rotating.api.close()
  })

  it('waits where rotating credentials are not there yet, and gives up where nobody will give others', async () => {
    let isGood = true
    proxy.plan(() =>
      isGood ? null : { kind: 'error', code: 'UnrecognizedClientException', message: 'the token is invalid' },
    )
    const fixed = clientOf(proxy.url)
    const rotating = clientOf(proxy.url, {
      credentials: async () => ({ accessKeyId: 'test', secretAccessKey: 'test' }),
    })
    for (const { api } of [fixed, rotating]) await api.listShards(stream)
    isGood = false
    await expect(rotating.api.listShards(stream)).rejects.toMatchObject({
      code: 'KINESIS_CREDENTIALS',
      retryable: true,
    })
    await expect(fixed.api.listShards(stream)).rejects.toMatchObject({
      code: 'KINESIS_CREDENTIALS',
      retryable: false,
    })
    const fresh = clientOf(proxy.url, {
      credentials: async () => ({ accessKeyId: 'a', secretAccessKey: 'b' }),
    })
    await expect(fresh.api.listShards(stream)).rejects.toMatchObject({
      code: 'KINESIS_CREDENTIALS',
      retryable: false,
    })
    for (const { api } of [fixed, rotating, fresh]) api.close()
  })
})

describe('a client without a Kinesis', () => {
  it('lists shards page by page, without the name beside a token', async () => {
    const bodies: unknown[] = []
    const pages = [
      { Shards: [{ ShardId: 'shardId-000000000000' }], NextToken: 'more' },
      { Shards: [{ ShardId: 'shardId-000000000001', ParentShardId: 'shardId-000000000000' }] },
    ]
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        bodies.push(JSON.parse(Buffer.concat(chunks).toString()))
        response.end(JSON.stringify(pages[bodies.length - 1]))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { api } = clientOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    expect((await api.listShards('trips')).map(({ shardId, parents }) => [shardId, parents])).toEqual([
      ['shardId-000000000000', []],
      ['shardId-000000000001', ['shardId-000000000000']],
    ])
    expect(bodies).toEqual([{ StreamName: 'trips' }, { NextToken: 'more' }])
    api.close()
    server.close()
  })

  it('goes by the clock of Kinesis where its own is wrong', async () => {
    const anHourLater = new Date(Date.now() + 3_600_000)
    const signed: string[] = []
    const server = createServer((request, response) => {
      signed.push(String(request.headers['x-amz-date']))
      request.resume().on('end', () => {
        response.setHeader('date', anHourLater.toUTCString())
        if (signed.length === 1) {
          response.statusCode = 400
          response.end(JSON.stringify({ __type: 'InvalidSignatureException', message: 'Signature expired' }))
        } else response.end(JSON.stringify({ Shards: [] }))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { api } = clientOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    expect(await api.listShards('trips')).toEqual([])
    expect(signed).toHaveLength(2)
    const [, year, month, day, hour, minute] = /^(....)(..)(..)T(..)(..)/.exec(signed[1]!)!.map(Number)
    const secondMs = Date.UTC(year!, month! - 1, day, hour, minute)
    expect(Math.abs(secondMs - anHourLater.getTime())).toBeLessThan(120_000)
    api.close()
    server.close()
  })

  it('says what is wrong with its options, its region, its credentials, its address', async () => {
    expect(() => clientOf('localhost:4567')).toThrow('the endpoint localhost:4567 is no URL')
    expect(() => clientOf('http://127.0.0.1:1', { requestTimeoutMs: 0 })).toThrow('requestTimeoutMs is 0')
    const sealed = clientOf('http://127.0.0.1:1', {
      credentials: () => Promise.reject(new Error('the vault is sealed')),
    })
    await expect(sealed.api.describeStream('trips')).rejects.toMatchObject({
      code: 'KINESIS_CREDENTIALS',
      retryable: false,
      message: 'cannot look at stream trips: no credentials were found: the vault is sealed',
    })
    const away = clientOf('http://127.0.0.1:1')
    await expect(away.api.describeStream('trips')).rejects.toMatchObject({
      code: 'KINESIS_UNAVAILABLE',
      retryable: true,
    })
    const misspelt = clientOf('http://kinesis.invalid')
    await expect(misspelt.api.describeStream('trips')).rejects.toMatchObject({
      code: 'KINESIS_UNAVAILABLE',
      retryable: false,
    })
    for (const { api } of [sealed, away, misspelt]) api.close()
  })

  it('knows a web page from a Kinesis', async () => {
    const server = createServer((_request, response) => void response.end('<html>Sign in</html>'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { api } = clientOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const error: unknown = await api.describeStream('trips').catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'KINESIS_UNAVAILABLE', retryable: false })
    expect((error as Error).message).not.toContain('\n')
    api.close()
    server.close()
    server.closeAllConnections()
  })
})
