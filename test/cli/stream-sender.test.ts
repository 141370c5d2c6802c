import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { Aggregate } from '../../consumers/kinesis/aggregate.ts'
import { StreamSender } from '../../src/cli/stream-sender.ts'
import { PipelineError } from '../../src/errors.ts'
import { FakeKinesis } from '../kinesis/fake-kinesis.ts'
import { StepClock } from '../kinesis/step-clock.ts'

const SHARD = { stream: 'trips', shardId: 'shardId-000000000000' }
const entropy = { nonce: () => 'x', random: () => 0.5 }

describe('a sender to a stream', () => {
  let clock: StepClock
  let api: FakeKinesis

  beforeEach(() => {
    clock = new StepClock()
    api = new FakeKinesis({ clock, latencyMs: 5 })
    api.addStream('trips')
  })

  const newSender = (aggregate = false) =>
    new StreamSender({ api, stream: 'trips', aggregate, clock, entropy })

  const send = (sender: StreamSender, key: string, text: string): Promise<void> =>
    sender.send({ partitionKey: key, data: new TextEncoder().encode(text) }, key)

  const done = async <T>(promise: Promise<T>): Promise<T> => {
    let isOver = false
    promise.then(
      () => (isOver = true),
      () => (isOver = true),
    )
    await clock.until(() => isOver)
    return promise
  }

  async function stored(): Promise<readonly { readonly key: string; readonly text: string }[]> {
    const iterator = await done(api.shardIterator(SHARD, { kind: 'trim-horizon' }))
    const { records } = await done(api.getRecords(iterator, 10_000))
    return records.flatMap(({ partitionKey: key, data }) =>
      partsOf(data).map((part) => ({ key, text: new TextDecoder().decode(part) })),
    )
  }

  it.each([
    ['one by one', false],
    ['in aggregates', true],
  ])('keeps the order of each key, whichever entries are refused: %s', async (_, aggregate) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(5), { minLength: 1, maxLength: 80 }),
        fc.array(fc.nat(9), { minLength: 1, maxLength: 40 }),
        async (keys, refusals) => {
          clock = new StepClock()
          api = new FakeKinesis({ clock, latencyMs: 5 })
          api.addStream('trips')
          let asked = 0
          api.plan(({ operation }) =>
            operation === 'putRecords' && asked < 30
              ? { kind: 'partial', isRefused: () => refusals[asked++ % refusals.length]! < 4 }
              : null,
          )
          const sender = newSender(aggregate)
          const sent = keys.map((key, index) => send(sender, `k${key}`, `${index}`))
          await done(sender.flush())
          await Promise.all(sent)
          const records = await stored()
          expect(records).toHaveLength(keys.length)
          for (const key of new Set(keys)) {
            const expected = keys.flatMap((each, index) => (each === key ? [`${index}`] : []))
            expect(records.filter((record) => record.key === `k${key}`).map(({ text }) => text)).toEqual(
              expected,
            )
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  it('puts again what nobody answered for: each at least once, and counts it', async () => {
    let calls = 0
    api.plan(({ operation }) =>
      operation === 'putRecords' && calls++ === 1 ? { kind: 'lost-answer' } : null,
    )
    const sender = newSender()
    for (let index = 0; index < 9; index++) void send(sender, `k${index % 3}`, `${index}`)
    await done(sender.flush())
    const records = await stored()
    expect(new Set(records.map(({ text }) => text)).size).toBe(9)
    expect(records.length).toBe(9 + sender.repeated)
    expect(sender.repeated).toBeGreaterThan(0)
    expect(sender.throttled).toBe(0)
  })

  it('sends many in one request, and few requests at once', async () => {
    const sender = newSender()
    for (let index = 0; index < 2_000; index++) void send(sender, `k${index}`, 'x')
    await done(sender.flush())
    expect(await stored()).toHaveLength(2_000)
    expect(api.callsOf('putRecords').length).toBeLessThan(8)
  })

  it('makes few entries of few keys where it may, none above what readers expect of an aggregate', async () => {
    const sender = newSender(true)
    const text = 'x'.repeat(1_000)
    for (let index = 0; index < 900; index++) void send(sender, `k${index % 3}`, `${index} ${text}`)
    await done(sender.flush())
    const records = await stored()
    expect(records).toHaveLength(900)
    expect(new Set(records.map((record) => record.text)).size).toBe(900)
    // A megabyte, in aggregates of 50 KiB at most.
    expect(sender.storedEntries).toBeGreaterThanOrEqual(18)
    expect(sender.storedEntries).toBeLessThan(40)
  })

  it.each([
    ['of few keys', false, ['a', 'a', 'a', 'b', 'c'], 2],
    ['of few keys, in aggregates', true, ['a', 'a', 'a', 'b', 'c'], 0],
    ['of a key each', false, ['a', 'b', 'c', 'd', 'e'], 0],
  ] as const)('counts what others have overtaken: %s', async (_, aggregate, keys, overtaken) => {
    const sender = newSender(aggregate)
    // The first one is under way while the others come.
    for (const [index, key] of ['first', ...keys].entries()) void send(sender, key, `${index}`)
    await done(sender.flush())
    expect(sender.overtaken).toBe(overtaken)
  })

  it('waits while there is much that is not stored', async () => {
    const sender = newSender()
    for (let index = 0; index < 2_000; index++) void send(sender, `k${index}`, 'x')
    let hasRoom = false
    const ready = sender.ready().then(() => (hasRoom = true))
    expect(hasRoom).toBe(false)
    await done(ready)
    expect(api.callsOf('putRecords').length).toBeLessThan(10)
  })

  it('fails where waiting does not help, and where it has helped for too long nothing', async () => {
    const forbidden = new PipelineError('KINESIS_FORBIDDEN', 'no')
    api.plan(() => ({ kind: 'throw', error: forbidden }))
    const refused = newSender()
    const sent = [0, 1].map((index) => send(refused, 'k', `${index}`).catch((error: unknown) => error))
    await done(refused.flush())
    expect(await Promise.all(sent)).toEqual([forbidden, forbidden])
    await expect(send(refused, 'k', 'late')).rejects.toBe(forbidden)

    api.plan(() => ({ kind: 'partial', isRefused: () => true }))
    const throttled = newSender()
    const waiting = send(throttled, 'k', 'x').catch((error: unknown) => error)
    expect(await done(waiting)).toMatchObject({
      code: 'KINESIS_THROTTLED',
      advice: expect.stringContaining('--rate') as string,
    })
    expect(throttled.throttled).toBeGreaterThan(10)
  })
})

/** The records in an aggregate, or the one that it is. */
function partsOf(data: Uint8Array): readonly Uint8Array[] {
  const aggregate = new Aggregate()
  if (!aggregate.parse(data, null)) return [data]
  return Array.from({ length: aggregate.count }, (_, i) =>
    data.subarray(aggregate.dataStart[i], aggregate.dataEnd[i]),
  )
}
