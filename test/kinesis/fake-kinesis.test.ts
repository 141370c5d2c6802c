import { describe, expect, it } from 'vitest'
import { FakeKinesis } from './fake-kinesis.ts'
import { StepClock } from './step-clock.ts'

const textOf = ({ data }: { readonly data: Uint8Array }): string => new TextDecoder().decode(data)

describe('the Kinesis of the tests', () => {
  it('hands a shard on to its children when it has been read to its end', async () => {
    const clock = new StepClock()
    const api = new FakeKinesis({ clock })
    api.addStream('trips', 2)
    const [first, second] = await api.listShards('trips')
    api.put('trips', 'a', { shardId: first!.shardId })
    const children = api.split('trips', first!.shardId)
    const grandchild = api.merge('trips', children[1]!, second!.shardId)
    const iterator = await api.shardIterator(
      { stream: 'trips', shardId: first!.shardId },
      { kind: 'trim-horizon' },
    )
    const answer = await api.getRecords(iterator, 10)
    expect(answer.records.map(textOf)).toEqual(['a'])
    expect(answer.children).toEqual(children)
    expect(answer.nextIterator).toBeNull()
    const shards = await api.listShards('trips')
    expect(shards.map(({ shardId, isClosed }) => [shardId, isClosed])).toEqual([
      [first!.shardId, true],
      [second!.shardId, true],
      [children[0], false],
      [children[1], true],
      [grandchild, false],
    ])
    expect(shards.at(-1)!.parents).toEqual([children[1], second!.shardId])
  })

  it('forgets records, iterators and closed shards in their time', async () => {
    const clock = new StepClock()
    const api = new FakeKinesis({ clock, retentionMs: 3_600_000 })
    api.addStream('trips')
    const place = { stream: 'trips', shardId: 'shardId-000000000000' }
    api.put('trips', 'old')
    const iterator = await api.shardIterator(place, { kind: 'trim-horizon' })
    await clock.advance(3_000_000)
    await expect(api.getRecords(iterator, 10)).rejects.toMatchObject({ code: 'KINESIS_ITERATOR_EXPIRED' })
    api.put('trips', 'new')
    api.split('trips', place.shardId)
    await clock.advance(1_000_000)
    const fresh = await api.shardIterator(place, { kind: 'trim-horizon' })
    expect((await api.getRecords(fresh, 10)).records.map(textOf)).toEqual(['new'])
    await clock.advance(3_000_000)
    await expect(api.shardIterator(place, { kind: 'trim-horizon' })).rejects.toMatchObject({
      code: 'STREAM_NOT_FOUND',
    })
    expect((await api.listShards('trips')).map(({ shardId }) => shardId)).toEqual([
      'shardId-000000000001',
      'shardId-000000000002',
    ])
  })

  it('gives a subscription to who asks last, and ends it after five minutes', async () => {
    const clock = new StepClock()
    const api = new FakeKinesis({ clock })
    api.addStream('trips')
    const consumer = await api.registerConsumer(await api.describeStream('trips'), 'taxi')
    const seen: string[] = []
    let end: unknown = null
    const subscribe = async (name: string): Promise<void> => {
      const shard = 'shardId-000000000000'
      const { signal } = new AbortController()
      for await (const { records } of api.subscribe(consumer, shard, { kind: 'trim-horizon' }, signal)) {
        seen.push(...records.map((record) => `${name} ${textOf(record)}`))
      }
    }
    const first = subscribe('first').catch((error: unknown) => (end = error))
    api.put('trips', 'a')
    await clock.advance(1_000)
    await expect(subscribe('early')).rejects.toMatchObject({ code: 'KINESIS_IN_USE' })
    await clock.advance(4_000)
    const second = subscribe('second')
    await first
    expect(end).toMatchObject({ code: 'KINESIS_IN_USE' })
    api.put('trips', 'b')
    await clock.advance(300_000)
    await second
    expect(seen).toEqual(['first a', 'second a', 'second b'])
  })
})
