import { describe, expect, test } from 'vitest'
import { deadLetterStream, kinesisStreams } from '../../../sinks/kinesis/index.ts'
import { KINESIS_COUNTS } from '../../../src/kinesis/counts.ts'
import { PipelineError } from '../../../src/errors.ts'
import type { Log } from '../../../src/ports.ts'
import { lettersOf, outboxOn, QUICK, TestRegistry, TestStreams } from './stream-kit.ts'

const idsIn = (streams: TestStreams, stream = 'dead'): readonly string[] =>
  streams.in(stream).map(({ data }) => {
    const { id } = JSON.parse(new TextDecoder().decode(data)) as { id: string }
    return id.split('/').slice(-2).join('/')
  })

async function claimed(streams: TestStreams) {
  const outbox = outboxOn(streams)
  await outbox.open(['dead'], [])
  return outbox.claim()
}

describe('an outbox in Kinesis', () => {
  test('puts an epoch with few requests, a key once in each', async () => {
    const streams = new TestStreams(['dead'])
    const task = await claimed(streams)
    await task.publish(lettersOf(0, ['a', 'b', 'a', 'c', 'a']))
    expect(streams.requests).toBe(3)
    expect(idsIn(streams)).toEqual(['0/0', '0/1', '0/3', '0/2', '0/4'])
  })

  test('puts again what is refused, and counts it', async () => {
    const streams = new TestStreams(['dead'])
    let requests = 0
    streams.fateOf = () =>
      requests++ === 0
        ? {
            refused: new Map([
              [0, 'ProvisionedThroughputExceededException'],
              [1, 'InternalFailure'],
            ]),
          }
        : {}
    const said: object[] = []
    const log: Log = { ...QUICK.log, info: (fields) => void said.push(fields) }
    const outbox = outboxOn(streams, undefined, { world: { ...QUICK, log } })
    await outbox.open(['dead'], [])
    await (await outbox.claim()).publish(lettersOf(0, ['a', 'b', 'c', 'a']))
    expect(idsIn(streams).toSorted()).toEqual(['0/0', '0/1', '0/2', '0/3'])
    await outbox.close()
    expect(said).toEqual([{ kinesis: 'a Kinesis of the test', throttled: 1, lostConnections: 1 }])
    expect(KINESIS_COUNTS).toContain('throttled')
  })

  test('puts again what nobody knows of, with the id that it had', async () => {
    const streams = new TestStreams(['dead'])
    let requests = 0
    streams.fateOf = () => ({ lost: requests++ === 0 })
    await (await claimed(streams)).publish(lettersOf(0, ['a', 'b']))
    expect(idsIn(streams)).toEqual(['0/0', '0/1', '0/0', '0/1'])
  })

  test('says when nothing is stored for a while, and goes on where it was when it is called again', async () => {
    const streams = new TestStreams(['dead'])
    streams.fateOf = (entries) => ({
      refused: new Map(
        entries.flatMap(({ partitionKey }, index) =>
          partitionKey.includes('hot') ? [[index, 'ProvisionedThroughputExceededException']] : [],
        ),
      ),
    })
    let nowMs = 0
    const clock = { nowMs: () => (nowMs += 1_000), sleep: () => Promise.resolve() }
    const outbox = outboxOn(streams, undefined, { world: { ...QUICK, clock } })
    await outbox.open(['dead'], [])
    const task = await outbox.claim()
    const epoch = lettersOf(0, ['hot', 'cold', 'cold'])
    await expect(task.publish(epoch)).rejects.toMatchObject({ code: 'KINESIS_THROTTLED', retryable: true })
    expect(idsIn(streams)).toEqual(['0/1', '0/2'])
    streams.fateOf = () => ({})
    await task.publish(epoch)
    expect(idsIn(streams)).toEqual(['0/1', '0/2', '0/0'])
  })

  test('throws at once what no waiting mends', async () => {
    const streams = new TestStreams(['dead'])
    streams.fateOf = () => ({ failure: new PipelineError('KINESIS_FORBIDDEN', 'no') })
    await expect((await claimed(streams)).publish(lettersOf(0, ['a']))).rejects.toMatchObject({
      code: 'KINESIS_FORBIDDEN',
    })
    expect(streams.requests).toBe(1)
  })

  test('knows of no marker, and finds nothing: only the chain knows', async () => {
    const task = await claimed(new TestStreams(['dead']))
    expect([task.marker, await task.findPublished('l', [1], ['dead'])]).toEqual([null, new Set()])
  })

  test('finds at the start what streams there are, what they take, and whose they are', async () => {
    const streams = new TestStreams(['dead'])
    await expect(outboxOn(streams).open(['dead', 'gone'], [])).rejects.toMatchObject({
      code: 'STREAM_NOT_FOUND',
      message: expect.stringContaining('no stream gone'),
      advice: expect.stringContaining('createStreams'),
    })
    const outbox = outboxOn(streams, undefined, { shards: 2 })
    await outbox.open(['dead', 'gone'], [])
    expect(streams.callsOf('createStream').map(({ stream }) => stream)).toEqual(['gone'])
    expect((await streams.describeStream('gone')).openShards).toBe(2)
    expect(await outbox.clusterId()).toBe('kinesis:arn:aws:kinesis:test-1:000000000000')
    // Base64 takes four bytes for three.
    expect(outbox.messageBytesMax).toBe(737_280)
  })
})

describe('the options of streams', () => {
  const registry = new TestRegistry()

  test.each([
    ['no shards', () => kinesisStreams({ registry, createStreams: { shards: 0 } })],
    ['a stream without a name', () => deadLetterStream({ stream: '' })],
    ['a name that no stream has', () => deadLetterStream({ stream: 'dead letters' })],
  ])('with %s are refused', (_, make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }))
  })
})
