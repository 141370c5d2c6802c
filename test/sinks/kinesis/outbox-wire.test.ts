import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { deadLetterStream } from '../../../sinks/kinesis/index.ts'
import type { StreamLetter } from '../../../sinks/kinesis/letter-content.ts'
import type { WireRecord } from '../../../src/kinesis/api.ts'
import type { OutboxTask } from '../../../src/ports.ts'
import { clientOf, freshStream, resharder, type TestClient } from '../../kinesis/client-kit.ts'
import { mustBeReady } from '../../parts/cache.ts'
import {
  anyOf,
  atFirst,
  type KinesisFaultProxy,
  sometimes,
  startKinesisFaults,
} from '../../parts/kinesis-faults.ts'
import { findKinesis, findKinesisPackages, KINESIS_CREDENTIALS } from '../../parts/kinesis.ts'
import { codeOf } from '../topic/outbox-kit.ts'
import { lettersOf, QUICK, recordsOf } from './stream-kit.ts'

const packages = mustBeReady(await findKinesisPackages())

const letterIn = ({ data }: WireRecord): StreamLetter =>
  JSON.parse(new TextDecoder().decode(data)) as StreamLetter

describe.skipIf(packages.kind === 'missing')('dead letters to a stand-in', () => {
  let endpoint = ''
  let proxy: KinesisFaultProxy
  let client: TestClient

  beforeAll(async () => {
    const kinesis = await findKinesis()
    if (kinesis.kind === 'missing') throw new Error(kinesis.reason)
    endpoint = kinesis.endpoint
    proxy = await startKinesisFaults(endpoint)
    client = clientOf(endpoint)
  }, 60_000)
  afterEach(() => proxy.plan(() => null))
  afterAll(async () => {
    client?.api.close()
    await proxy?.close()
  })

  const outboxTo = (stream: string, more: { readonly createStreams?: { readonly shards: number } } = {}) =>
    deadLetterStream({
      stream,
      region: 'eu-west-1',
      endpoint: proxy.url,
      credentials: KINESIS_CREDENTIALS,
      requestTimeoutMs: 2_000,
      ...more,
    }).open(QUICK)

  /** Tries as the runtime does, and dies where it is told to. */
  async function publishAll(task: OutboxTask, stream: string, epochs: readonly number[]): Promise<void> {
    for (const epoch of epochs) {
      const keys = Array.from({ length: 40 }, (_, index) => `k${(index * 7) % 6}`)
      while ((await codeOf(task.publish(lettersOf(epoch, keys, stream)))) !== 'resolved');
    }
  }

  it('arrive in the order of their keys, whatever is refused, cut or lost, killed, and split', async () => {
    const stream = await freshStream(client.api, 2)
    proxy.plan(
      anyOf(
        atFirst('PutRecords', 1, { kind: 'hang' }, 5),
        sometimes('PutRecords', 0.1, { kind: 'lost-answer' }, 3),
        sometimes('PutRecords', 0.1, { kind: 'cut-request' }, 5),
        sometimes('PutRecords', 0.1, { kind: 'cut-answer', afterBytes: 40 }, 7),
        sometimes('PutRecords', 0.2, { kind: 'partial', isRefused: (index) => index % 3 === 1 }, 9),
        sometimes('PutRecords', 0.1, { kind: 'partial', isRefused: () => true, code: 'InternalFailure' }, 11),
        sometimes('PutRecords', 0.1, undefined, 13),
      ),
    )
    const first = outboxTo(stream)
    await first.open([stream], [])
    await publishAll(await first.claim('taxi', 'trips-3'), stream, [0, 1])
    // Killed in the middle of an epoch: what it has sent by then nobody knows.
    const dying = (await first.claim('taxi', 'trips-3')).publish(
      lettersOf(2, ['k0', 'k1', 'k0', 'k1', 'k0'], stream),
    )
    await first.close()
    await codeOf(dying)
    const { split, close } = resharder(endpoint)
    await split(stream, 'shardId-000000000000')
    close()
    const second = outboxTo(stream)
    await second.open([stream], [])
    await publishAll(await second.claim('taxi', 'trips-3'), stream, [2, 3])
    await second.close()

    const seen = new Set<string>()
    const firsts = new Map<string, number[]>()
    for (const record of await recordsOf(client.api, stream)) {
      const { id } = letterIn(record)
      if (seen.has(id)) continue
      seen.add(id)
      const [epoch, index] = id.split('/').slice(-2)
      firsts.set(record.partitionKey, [
        ...(firsts.get(record.partitionKey) ?? []),
        Number(epoch) * 1_000 + Number(index),
      ])
    }
    expect(seen.size).toBe(4 * 40)
    expect(firsts.size).toBe(6)
    for (const [, order] of firsts) expect(order).toEqual(order.toSorted((a, b) => a - b))
  }, 60_000)

  it('that are as large as the stream takes are taken', async () => {
    const stream = await freshStream(client.api)
    const outbox = outboxTo(stream)
    await outbox.open([stream], [])
    const [message] = lettersOf(0, ['large'], stream).messages
    const rest = message!.headers.reduce(
      (sum, { key, value }) => sum + 3 * key.length + value!.length + 10,
      0,
    )
    const value = new Uint8Array(outbox.messageBytesMax - rest - message!.key!.length).fill(255)
    const epoch = { ...lettersOf(0, [], stream), messages: [{ ...message!, value }] }
    await (await outbox.claim('taxi', 'trips-3')).publish(epoch)
    await outbox.close()
    const [record] = await recordsOf(client.api, stream)
    expect(Buffer.from(letterIn(record!).value!, 'base64').length).toBe(value.length)
  })

  it('find out at the start whether there is a stream, and make one where they are asked to', async () => {
    const name = `made-${await freshStream(client.api)}`
    const without = outboxTo(name)
    expect(await codeOf(without.open([name], []))).toBe('STREAM_NOT_FOUND')
    await without.close()
    const outbox = outboxTo(name, { createStreams: { shards: 2 } })
    await outbox.open([name], [])
    await (await outbox.claim('taxi', 'trips-3')).publish(lettersOf(0, ['a', 'b'], name))
    await outbox.close()
    expect(await client.api.describeStream(name)).toMatchObject({ openShards: 2 })
    expect(await recordsOf(client.api, name)).toHaveLength(2)
  })

  it('say what is missing where nobody may write', async () => {
    const stream = await freshStream(client.api)
    proxy.plan(
      atFirst('PutRecords', 1, { kind: 'error', code: 'AccessDeniedException', message: 'not authorized' }),
    )
    const outbox = outboxTo(stream)
    await outbox.open([stream], [])
    const task = await outbox.claim('taxi', 'trips-3')
    await expect(task.publish(lettersOf(0, ['a'], stream))).rejects.toMatchObject({
      code: 'KINESIS_FORBIDDEN',
      advice: expect.stringContaining('kinesis:PutRecords'),
    })
    await outbox.close()
  })
})
