import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/runtime/system.ts'
import { selfSigned } from '../../parts/certificate.ts'
import type { SubscriptionFault } from '../../parts/fan-out-server.ts'
import { type FanOutFront, startFanOutFront } from '../../parts/h2-front.ts'
import { findKinesis } from '../../parts/kinesis.ts'
import { caughtUp, FRONT_TIMES, readValues, TIMES, WireKit } from './fan-out-kit.ts'

const part = await findKinesis()
const standIn = part.kind === 'ready' ? part.endpoint : ''
const FIRST = 'shardId-000000000000'

/** Given a stream that is split and merged while it is read by fan-out, then each record comes once, and those of a key in their order. */
async function readsThroughReshards(endpoint: string): Promise<void> {
  const kit = new WireKit(standIn, endpoint)
  await kit.create(2)
  const written: string[] = []
  const write = async (): Promise<void> => {
    const values = Array.from({ length: 30 }, (_, i) => `key-${i % 6}:${written.length + i}`)
    written.push(...values)
    const entries = values.map((value) => ({ partitionKey: value.split(':')[0]!, data: Buffer.from(value) }))
    await kit.api.putRecords(kit.stream, entries)
  }
  const source = kit.source()
  let isWritten = false
  const reading = readValues(source, () => (isWritten ? written.length : Number.POSITIVE_INFINITY))
  await write()
  await kit.shards.split(kit.stream, FIRST)
  await write()
  await kit.shards.merge(kit.stream, 'shardId-000000000003', 'shardId-000000000001')
  await write()
  isWritten = true
  const values = await reading
  await source.close()
  const ofKey = (key: number, all: readonly string[]): readonly string[] =>
    all.filter((value) => value.startsWith(`key-${key}:`))
  for (let key = 0; key < 6; key++) expect(ofKey(key, values)).toEqual(ofKey(key, written))
  expect(values).toHaveLength(written.length)
}

describe.skipIf(part.kind === 'missing')('fan-out over HTTP/1.1, by kinesis-local itself', () => {
  it('gives what was put, shard by shard, and what follows', async () => {
    const kit = new WireKit(standIn)
    const shards = await kit.create(2)
    await kit.write(40)
    const readings = shards.map(({ shardId }) => kit.read(shardId, { times: {} }))
    for (const [i, { shardId }] of shards.entries()) await caughtUp(readings[i]!, kit.put.get(shardId))
    await kit.write(40)
    for (const [i, { shardId }] of shards.entries()) {
      await caughtUp(readings[i]!, kit.put.get(shardId))
      expect(readings[i]!.target.sequenceNumbers).toEqual(kit.put.get(shardId))
    }
  })

  it('is read through a split and a merge, though its subscriptions do not end with shards', async () => {
    await readsThroughReshards(standIn)
  })

  it('takes turns with another reader of the same shard, and gives each record once', async () => {
    const kit = new WireKit(standIn)
    await kit.create()
    await kit.write(10)
    const former = kit.read(FIRST, { times: {} })
    await caughtUp(former, kit.put.get(FIRST))
    const successor = kit.read(FIRST, { times: {}, start: former.target.start })
    await kit.write(10)
    await caughtUp(former, kit.put.get(FIRST))
    former.target.stop()
    await caughtUp(successor, kit.put.get(FIRST)!.slice(10))
    expect(successor.target.sequenceNumbers).toEqual(kit.put.get(FIRST)!.slice(10))
    expect(successor.counts.get('inUse')).toBeGreaterThan(0)
  })
})

describe.skipIf(part.kind === 'missing')('fan-out over HTTP/2', () => {
  const certificate = selfSigned('kinesis')
  const authorities = tls.getCACertificates('default')
  let front: FanOutFront

  beforeAll(async () => {
    tls.setDefaultCACertificates([...authorities, certificate.cert])
    front = await startFanOutFront(standIn, { certificate, times: FRONT_TIMES })
  })
  afterAll(async () => {
    tls.setDefaultCACertificates(authorities)
    await front.close()
  })

  /** The faults of a stream's first subscriptions, in turn. */
  function plan(...faults: readonly (SubscriptionFault | null)[]): void {
    const left = [...faults]
    front.plan(() => left.shift() ?? null)
  }

  it('gives each record once across subscriptions that end by themselves', async () => {
    const kit = new WireKit(standIn, front.endpoint)
    await kit.create()
    plan()
    const before = front.seen.length
    const reading = kit.read(FIRST)
    for (let i = 0; i < 60; i++) {
      await kit.write(3)
      await systemClock.sleep(100)
    }
    await caughtUp(reading, kit.put.get(FIRST))
    expect(reading.target.sequenceNumbers).toEqual(kit.put.get(FIRST))
    const seen = front.seen.slice(before)
    expect(new Set(seen.map(({ httpVersion }) => httpVersion))).toEqual(new Set(['2.0']))
    expect(reading.counts.get('resubscriptions')).toBeGreaterThanOrEqual(3)
    expect(reading.log).toEqual(['info: reading with enhanced fan-out'])
  })

  it('goes on where no record has come, from the place of the last event', async () => {
    const kit = new WireKit(standIn, front.endpoint)
    await kit.create()
    plan()
    const before = front.seen.length
    const reading = kit.read(FIRST, { start: { kind: 'time', timeMs: Date.now() - 1000 } })
    await reading.target.until(() => reading.counts.get('resubscriptions') === 2)
    await kit.write(5)
    await caughtUp(reading, kit.put.get(FIRST))
    expect(reading.target.sequenceNumbers).toEqual(kit.put.get(FIRST))
    expect(front.seen.slice(before, before + 3).map(({ from }) => from)).toEqual([
      'AT_TIMESTAMP',
      'AFTER_SEQUENCE_NUMBER',
      'AFTER_SEQUENCE_NUMBER',
    ])
  })

  it('loses nothing, and gives nothing twice, when connections break off in the middle of an event', async () => {
    const kit = new WireKit(standIn, front.endpoint)
    await kit.create()
    plan(
      { kind: 'cut', afterEvents: 0 },
      { kind: 'cut', afterEvents: 2 },
      { kind: 'truncated', afterEvents: 1 },
      { kind: 'reset', afterEvents: 2 },
      { kind: 'goaway', afterEvents: 1 },
      { kind: 'silence', afterEvents: 1 },
      { kind: 'end', afterEvents: 0 },
      { kind: 'end', afterEvents: 1 },
    )
    // However soon: nobody is so slow that an end among these is a regular one.
    const reading = kit.read(FIRST, { times: { ...TIMES, regularMs: 60_000 } })
    while (reading.counts.get('lostConnections') < 9) {
      await kit.write(2)
      await systemClock.sleep(50)
    }
    await caughtUp(reading, kit.put.get(FIRST))
    expect(reading.target.sequenceNumbers).toEqual(kit.put.get(FIRST))
    expect(reading.target.failure).toBeNull()
  })

  it('goes on after errors that Kinesis sends as events, or answers with', async () => {
    const kit = new WireKit(standIn, front.endpoint)
    await kit.create()
    plan(
      { kind: 'exception', afterEvents: 1, code: 'InternalFailureException' },
      { kind: 'exception', afterEvents: 1, code: 'KMSThrottlingException' },
      { kind: 'refused', code: 'LimitExceededException' },
      { kind: 'refused', code: 'InternalFailure' },
      { kind: 'refused', code: 'ResourceInUseException' },
      { kind: 'exception', afterEvents: 0, code: 'ResourceInUseException' },
    )
    const reading = kit.read(FIRST)
    while (reading.counts.get('resubscriptions') < 3) {
      await kit.write(2)
      await systemClock.sleep(50)
    }
    await caughtUp(reading, kit.put.get(FIRST))
    expect(reading.target.sequenceNumbers).toEqual(kit.put.get(FIRST))
    expect(reading.counts.get('throttled')).toBe(2)
    expect(reading.counts.get('lostConnections')).toBeGreaterThanOrEqual(2)
    expect(reading.counts.get('inUse')).toBeGreaterThanOrEqual(2)
  })

  it.each([
    ['KMSDisabledException', 'KINESIS_REFUSED'],
    ['KMSAccessDeniedException', 'KINESIS_FORBIDDEN'],
    ['AccessDeniedException', 'KINESIS_FORBIDDEN'],
  ])('ends with %s as %s: somebody has to do something', async (code, expected) => {
    const kit = new WireKit(standIn, front.endpoint)
    await kit.create()
    await kit.write(1)
    plan(code.startsWith('KMS') ? { kind: 'exception', afterEvents: 1, code } : { kind: 'refused', code })
    const reading = kit.read(FIRST)
    await reading.done
    expect(reading.target.failure).toMatchObject({ code: expected })
  })

  it('is told of a split, reads the parent to its end, and the children from their beginning', async () => {
    const kit = new WireKit(standIn, front.endpoint)
    await kit.create()
    plan({ kind: 'cut', afterEvents: 1 })
    const parent = kit.read(FIRST)
    for (let i = 0; i < 10; i++) await kit.write(5)
    await kit.shards.split(kit.stream, FIRST)
    const children = (await kit.api.listShards(kit.stream)).slice(1).map(({ shardId }) => shardId)
    for (let i = 0; i < 10; i++) await kit.write(5)
    await parent.done
    expect(parent.target.sequenceNumbers).toEqual(kit.put.get(FIRST))
    expect([...parent.target.children!].sort()).toEqual(children)
    for (const shardId of children) {
      const child = kit.read(shardId)
      await caughtUp(child, kit.put.get(shardId))
      expect(child.target.sequenceNumbers).toEqual(kit.put.get(shardId))
    }
    expect([...kit.put.values()].flat()).toHaveLength(100)
  })

  it('is read through a split and a merge by a source', async () => {
    plan()
    await readsThroughReshards(front.endpoint)
  })

  it('is taken over, and takes over, where two read with the same consumer: both get each record once', async () => {
    const kit = new WireKit(standIn, front.endpoint)
    await kit.create()
    plan()
    const one = kit.read(FIRST)
    const other = kit.read(FIRST)
    while (one.counts.get('inUse') + other.counts.get('inUse') < 8) {
      await kit.write(2)
      await systemClock.sleep(50)
    }
    await caughtUp(one, kit.put.get(FIRST))
    await caughtUp(other, kit.put.get(FIRST))
    expect(one.target.sequenceNumbers).toEqual(kit.put.get(FIRST))
    expect(other.target.sequenceNumbers).toEqual(kit.put.get(FIRST))
  })

  it('holds the server back while its reader is full, and goes on when the subscription has ended meanwhile', async () => {
    const kit = new WireKit(standIn, front.endpoint)
    await kit.create()
    plan()
    await kit.write(1)
    const reading = kit.read(FIRST)
    await caughtUp(reading, kit.put.get(FIRST))
    reading.target.fill()
    // More than the windows and buffers between the two hold.
    for (let i = 0; i < 5; i++) await kit.write(8, 50_000)
    await systemClock.sleep(2 * FRONT_TIMES.subscriptionMs)
    expect(reading.target.sequenceNumbers.length).toBeLessThan(41)
    reading.target.drain()
    await caughtUp(reading, kit.put.get(FIRST))
    expect(reading.target.sequenceNumbers).toEqual(kit.put.get(FIRST))
    expect(reading.log).toEqual(['info: reading with enhanced fan-out'])
  })

  it('lets the subscription go when nobody reads any more', async () => {
    const kit = new WireKit(standIn, front.endpoint)
    await kit.create()
    plan()
    await kit.write(1)
    const reading = kit.read(FIRST)
    await caughtUp(reading, kit.put.get(FIRST))
    expect(front.openSubscriptions()).toBeGreaterThan(0)
    reading.target.stop()
    await reading.done
    await front.untilNoneIsOpen()
  })
})
