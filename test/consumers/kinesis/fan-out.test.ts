import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { fanOut, type FanOutOptions } from '../../../consumers/kinesis/fan-out.ts'
import type { SubscriptionEvent } from '../../../src/kinesis/subscription.ts'
import { FanOutConsumer } from '../../../consumers/kinesis/fan-out-consumer.ts'
import { PipelineError } from '../../../src/errors.ts'
import type { KinesisApi, ShardStart } from '../../../src/kinesis/api.ts'
import { KinesisCounts } from '../../../src/kinesis/counts.ts'
import {
  credentialsExpired,
  type FakeFault,
  inUse,
  refused,
  throttled,
  unavailable,
} from '../../kinesis/fake-faults.ts'
import { FakeKinesis } from '../../kinesis/fake-kinesis.ts'
import { StepClock } from '../../kinesis/step-clock.ts'
import { listLog, TestTarget } from './shard-target-kit.ts'

const MINUTE_MS = 60_000
const SHARD = { stream: 'trips', shardId: 'shardId-000000000000' }

type Events = ReturnType<KinesisApi['subscribe']>

/** A stream of one shard, and readers of it by fan-out. */
class FanOutKit {
  readonly clock = new StepClock()
  readonly kinesis = new FakeKinesis({ clock: this.clock, recordsMax: 2 })
  readonly counts = new KinesisCounts()
  readonly log: string[] = []
  /** Of each call of subscribe. */
  readonly starts: ShardStart[] = []
  readonly put: string[] = []
  /** What the server makes of a subscription. */
  altered = (events: Events): Events => events
  /** What the source's list says of the shard. */
  isClosed = false

  constructor() {
    this.kinesis.addStream('trips')
  }

  /** A reader of its own, until the test is over. */
  read({ name = 'taxi', start }: { readonly name?: string; readonly start?: ShardStart } = {}): TestTarget {
    const { clock, kinesis, counts } = this
    const log = listLog(this.log)
    const consumer = new FanOutConsumer({
      api: kinesis,
      stream: () => kinesis.describeStream('trips'),
      name,
      clock,
      log,
    })
    const api: FanOutOptions['api'] = {
      listShards: (stream) => kinesis.listShards(stream),
      shardIterator: (place, start) => kinesis.shardIterator(place, start),
      getRecords: (iterator, recordsMax) => kinesis.getRecords(iterator, recordsMax),
      subscribe: (consumer, shardId, start, signal) => {
        this.starts.push(start)
        return this.altered(kinesis.subscribe(consumer, shardId, start, signal))
      },
    }
    const entropy = { nonce: () => 'nonce', random: () => 0.5 }
    const target = new TestTarget(SHARD, start)
    const isClosed = (): boolean => this.isClosed
    const fetch = fanOut({ api, consumer, clock, entropy, log, counts, isClosed })
    const done = fetch(target)
    onTestFinished(async () => {
      target.stop()
      await done
    })
    return target
  }

  write(count: number): void {
    for (let i = 0; i < count; i++) {
      this.put.push(this.kinesis.put('trips', `record ${this.put.length}`).sequenceNumber)
    }
  }

  /** The next faults of calls to subscribe, in turn. */
  plan(...faults: readonly (FakeFault | null)[]): void {
    const left = [...faults]
    this.kinesis.plan(({ operation }) => (operation === 'subscribe' ? (left.shift() ?? null) : null))
  }
}

describe('a shard that is read by enhanced fan-out', () => {
  it('gives each record once across subscriptions, which end every five minutes', async () => {
    const kit = new FanOutKit()
    const target = kit.read()
    for (let minute = 0; minute < 21; minute++) {
      kit.write(3)
      await kit.clock.advance(MINUTE_MS)
    }
    expect(target.sequenceNumbers).toEqual(kit.put)
    expect(kit.counts.toJSON()).toEqual({ resubscriptions: 4 })
    expect(kit.log).toEqual(['info: reading with enhanced fan-out'])
  })

  it('goes on from the continuation where no record has come', async () => {
    const kit = new FanOutKit()
    const target = kit.read({ start: { kind: 'time', timeMs: kit.clock.nowMs() } })
    await kit.clock.advance(6 * MINUTE_MS)
    expect(kit.starts.map(({ kind }) => kind)).toEqual(['time', 'after'])
    kit.write(2)
    await kit.clock.advance(10 * MINUTE_MS)
    expect(target.sequenceNumbers).toEqual(kit.put)
    expect(target.answers.at(-1)).toMatchObject({ records: [], millisBehindLatest: 0 })
  })

  it('goes on behind the last record where Kinesis does not take the continuation', async () => {
    const kit = new FanOutKit()
    kit.plan(null, { kind: 'throw', error: refused('StartingSequenceNumber is invalid') })
    const target = kit.read()
    kit.write(2)
    // Sequence numbers go on where no record has come to this shard.
    kit.kinesis.addStream('other')
    await kit.clock.advance(6 * MINUTE_MS)
    kit.write(2)
    await kit.clock.advance(MINUTE_MS)
    expect(target.sequenceNumbers).toEqual(kit.put)
    expect(kit.starts[2]).toEqual({ kind: 'after', sequenceNumber: kit.put[1] })
    expect(kit.starts[1]).not.toEqual(kit.starts[2])
  })

  it('comes once from a server that repeats the last event, and gives a continuation that is no place', async () => {
    const kit = new FanOutKit()
    let last: SubscriptionEvent | null = null
    kit.altered = async function* (events) {
      if (last !== null) yield last
      for await (const event of events) {
        const altered = { ...event, continuationSequenceNumber: '0' }
        if (event.records.length > 0) last = altered
        yield altered
      }
    }
    const target = kit.read()
    for (let minute = 0; minute < 12; minute++) {
      kit.write(3)
      await kit.clock.advance(MINUTE_MS)
    }
    expect(target.sequenceNumbers).toEqual(kit.put)
    expect(kit.starts.slice(1).map((start) => 'sequenceNumber' in start && start.sequenceNumber)).toEqual([
      kit.put[14],
      kit.put[29],
    ])
  })

  it('is told of its end, and of the shards that follow', async () => {
    const kit = new FanOutKit()
    const target = kit.read()
    kit.write(5)
    const children = kit.kinesis.split('trips', SHARD.shardId)
    await kit.clock.advance(10 * MINUTE_MS)
    expect(target.sequenceNumbers).toEqual(kit.put)
    expect(target.children).toEqual(children)
    expect(kit.starts).toHaveLength(1)
  })

  it('is not believed to have ended without children while it is open', async () => {
    const kit = new FanOutKit()
    let isWrong = true
    kit.altered = async function* (events) {
      for await (const event of events) {
        const end = { children: [], continuationSequenceNumber: null }
        const altered = isWrong ? { ...event, ...end } : event
        isWrong = false
        yield altered
      }
    }
    const target = kit.read()
    kit.write(4)
    await kit.clock.advance(MINUTE_MS)
    expect(target.sequenceNumbers).toEqual(kit.put)
    expect(target.children).toBeNull()
  })

  it('is found to have ended where a server does not tell', async () => {
    const kit = new FanOutKit()
    const { clock } = kit
    kit.altered = async function* (events) {
      for await (const event of events) {
        const continuationSequenceNumber = event.records.at(-1)?.sequenceNumber ?? null
        const { records } = event
        yield { records, millisBehindLatest: 0, children: null, continuationSequenceNumber }
        while (event.children !== null) {
          await clock.sleep(1_000)
          yield { records: [], millisBehindLatest: 0, children: null, continuationSequenceNumber }
        }
      }
    }
    const target = kit.read()
    kit.write(3)
    const children = kit.kinesis.split('trips', SHARD.shardId)
    await clock.advance(4 * MINUTE_MS)
    expect(target.children).toBeNull()
    expect(kit.kinesis.callsOf('getRecords')).toHaveLength(0)
    kit.isClosed = true
    await clock.advance(2_000)
    expect(target.sequenceNumbers).toEqual(kit.put)
    expect(target.children).toEqual(children)
  })

  it('fails when it is gone with its last record: its reader knows what it has read', async () => {
    const kit = new FanOutKit()
    kit.write(1)
    kit.kinesis.split('trips', SHARD.shardId)
    await kit.clock.advance(25 * 60 * MINUTE_MS)
    const target = kit.read({ start: { kind: 'after', sequenceNumber: kit.put[0]! } })
    await kit.clock.advance(MINUTE_MS)
    expect(target.children).toBeNull()
    expect(target.failure).toMatchObject({ code: 'STREAM_NOT_FOUND' })
  })

  it('gives what came since its end was asked for, where the first answer is lost', async () => {
    const kit = new FanOutKit()
    kit.write(2)
    kit.plan({ kind: 'throw', error: unavailable() })
    await kit.clock.advance(1_000)
    const target = kit.read({ start: { kind: 'latest' } })
    await kit.clock.advance(100)
    kit.write(3)
    await kit.clock.advance(MINUTE_MS)
    expect(target.sequenceNumbers).toEqual(kit.put.slice(2))
  })

  it('loses nothing, and gives nothing twice, whatever happens to its subscriptions', async () => {
    const fault = fc.oneof(
      fc.constant(null),
      fc.constantFrom<FakeFault>(
        { kind: 'throw', error: throttled() },
        { kind: 'throw', error: inUse() },
        { kind: 'throw', error: unavailable() },
        { kind: 'throw', error: credentialsExpired() },
        { kind: 'hang' },
      ),
      fc
        .tuple(fc.integer({ min: 0, max: 5 }), fc.constantFrom(throttled, inUse, unavailable))
        .map(([afterEvents, error]): FakeFault => ({ kind: 'break', afterEvents, error: error() })),
    )
    const step = fc.record({
      records: fc.integer({ min: 0, max: 4 }),
      waitMs: fc.integer({ min: 0, max: 8 * MINUTE_MS }),
      isFull: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fault, { maxLength: 12 }),
        fc.array(step, { maxLength: 12 }),
        async (faults, steps) => {
          const kit = new FanOutKit()
          kit.plan(...faults)
          const target = kit.read()
          for (const { records, waitMs, isFull } of steps) {
            kit.write(records)
            if (isFull) target.fill()
            else target.drain()
            await kit.clock.advance(waitMs)
          }
          target.drain()
          const children = kit.kinesis.split('trips', SHARD.shardId)
          await kit.clock.until(() => target.children !== null)
          target.stop()
          expect(target.sequenceNumbers).toEqual(kit.put)
          expect(target.children).toEqual(children)
          expect(target.failure).toBeNull()
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('a subscription that is lost', () => {
  it('in the middle is followed by another one, not sooner than Kinesis allows', async () => {
    const kit = new FanOutKit()
    kit.write(3)
    kit.plan({ kind: 'break', afterEvents: 1, error: unavailable() })
    const target = kit.read()
    await kit.clock.advance(MINUTE_MS)
    kit.write(3)
    await kit.clock.advance(MINUTE_MS)
    expect(target.sequenceNumbers).toEqual(kit.put)
    const [first, second] = kit.kinesis.callsOf('subscribe').map(({ atMs }) => atMs)
    expect(second! - first!).toBeGreaterThanOrEqual(5_000)
    expect(kit.counts.toJSON()).toEqual({ lostConnections: 1, resubscriptions: 1 })
  })

  it('without a word is noticed by its silence', async () => {
    const kit = new FanOutKit()
    kit.write(3)
    kit.plan({ kind: 'hang' })
    const target = kit.read()
    await kit.clock.advance(19_000)
    expect(kit.starts).toHaveLength(1)
    await kit.clock.advance(3_000)
    expect(target.sequenceNumbers).toEqual(kit.put)
    expect(kit.counts.toJSON()).toEqual({ lostConnections: 1 })
  })

  it('while its reader has no room is resumed when there is some', async () => {
    const kit = new FanOutKit()
    const target = kit.read()
    kit.write(1)
    await kit.clock.advance(1_000)
    target.fill()
    for (let minute = 0; minute < 30; minute++) {
      kit.write(1)
      await kit.clock.advance(MINUTE_MS)
    }
    // The one that was waited for already.
    expect(target.sequenceNumbers).toEqual(kit.put.slice(0, 2))
    expect(kit.starts).toHaveLength(1)
    target.drain()
    await kit.clock.advance(MINUTE_MS)
    expect(target.sequenceNumbers).toEqual(kit.put)
    expect(kit.log).toEqual(['info: reading with enhanced fan-out'])
  })

  it('again and again makes one warning, and a word when it is over', async () => {
    const kit = new FanOutKit()
    kit.plan(...Array.from({ length: 40 }, (): FakeFault => ({ kind: 'throw', error: throttled() })))
    const target = kit.read()
    kit.write(1)
    await kit.clock.until(() => target.sequenceNumbers.length > 0)
    expect(kit.log).toEqual([
      'info: reading with enhanced fan-out',
      'warn: reading is interrupted, trying again',
      'info: reading goes on',
    ])
    expect(kit.counts.toJSON()).toEqual({ throttled: 40 })
    // Not faster than once a second, and not slower than once in ten.
    const calls = kit.kinesis.callsOf('subscribe').map(({ atMs }) => atMs)
    const gaps = calls.slice(1).map((atMs, i) => atMs - calls[i]!)
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_000)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(10_000)
  })

  it('to somebody with the same consumer comes back, for both of them, with a warning', async () => {
    const kit = new FanOutKit()
    const one = kit.read()
    const other = kit.read()
    for (let minute = 0; minute < 10; minute++) {
      kit.write(2)
      await kit.clock.advance(MINUTE_MS)
    }
    expect(one.sequenceNumbers).toEqual(kit.put)
    expect(other.sequenceNumbers).toEqual(kit.put)
    expect(kit.counts.get('inUse')).toBeGreaterThan(10)
    expect(kit.log.filter((line) => line.includes('same consumer')).length).toBe(2)
  })

  it('for good ends the reading: nothing is left to wait for', async () => {
    const kit = new FanOutKit()
    const forbidden = new PipelineError('KINESIS_FORBIDDEN', 'not authorized')
    kit.plan({ kind: 'break', afterEvents: 1, error: forbidden })
    const target = kit.read()
    await kit.clock.advance(MINUTE_MS)
    expect(target.failure).toBe(forbidden)
    expect(kit.starts).toHaveLength(1)
  })
})

describe('the consumer of enhanced fan-out', () => {
  it('is registered again where somebody has removed it', async () => {
    const kit = new FanOutKit()
    const target = kit.read()
    kit.write(1)
    await kit.clock.advance(MINUTE_MS)
    const consumer = await kit.kinesis.registerConsumer(await kit.kinesis.describeStream('trips'), 'taxi')
    await kit.kinesis.deregisterConsumer(consumer)
    kit.write(1)
    await kit.clock.advance(6 * MINUTE_MS)
    kit.write(1)
    await kit.clock.advance(MINUTE_MS)
    expect(target.sequenceNumbers).toEqual(kit.put)
    expect(kit.log).toContain(
      'warn: the consumer of enhanced fan-out was removed while it was read with; it is registered again',
    )
  })

  it('is not to blame where the stream is gone', async () => {
    const kit = new FanOutKit()
    const target = kit.read()
    await kit.clock.advance(1_000)
    kit.kinesis.removeStream('trips')
    await kit.clock.advance(6 * MINUTE_MS)
    expect(target.failure).toMatchObject({ code: 'STREAM_NOT_FOUND' })
  })

  it('that cannot be registered for a minute, because there are too many, ends the reading with advice', async () => {
    const kit = new FanOutKit()
    kit.kinesis.plan(({ operation }) =>
      operation === 'registerConsumer' ? { kind: 'throw', error: throttled() } : null,
    )
    const target = kit.read()
    await kit.clock.advance(50_000)
    expect(target.failure).toBeNull()
    await kit.clock.advance(30_000)
    expect(target.failure).toMatchObject({
      code: 'KINESIS_CONSUMERS_FULL',
      advice: expect.stringContaining('deregister-stream-consumer') as string,
    })
  })

  it('is asked for once by all shards', async () => {
    const kit = new FanOutKit()
    const { clock, kinesis } = kit
    const consumer = new FanOutConsumer({
      api: kinesis,
      stream: () => kinesis.describeStream('trips'),
      name: 'taxi',
      clock,
      log: listLog(kit.log),
    })
    const facts = await Promise.all([consumer.facts(), consumer.facts(), consumer.facts()])
    expect(new Set(facts).size).toBe(1)
    expect(kinesis.callsOf('registerConsumer')).toHaveLength(1)
  })
})
