import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { resolvePollLimits } from '../../../consumers/kinesis/poll-limits.ts'
import {
  credentialsExpired,
  type FakeFault,
  iteratorExpired,
  notFound,
  refused,
  throttled,
  unavailable,
} from '../../kinesis/fake-faults.ts'
import { FakeKinesis, type FakeKinesisOptions } from '../../kinesis/fake-kinesis.ts'
import { StepClock } from '../../kinesis/step-clock.ts'
import { poll } from './poll-kit.ts'

const FIRST = 'shardId-000000000000'
const PLACE = { stream: 'trips', shardId: FIRST }

function world(options: Partial<FakeKinesisOptions> = {}) {
  const clock = new StepClock()
  const api = new FakeKinesis({ clock, ...options })
  api.addStream('trips')
  return { clock, api }
}

const throwing = (error: Error): FakeFault => ({ kind: 'throw', error: error as never })

const gaps = (times: readonly number[]): number[] => times.slice(1).map((time, index) => time - times[index]!)

describe('a shard that is polled', () => {
  it('is read to its end, and hands on to its children', async () => {
    const { clock, api } = world()
    api.put('trips', 'a')
    const shard = poll({ api, clock, place: PLACE })
    await clock.until(() => shard.texts.length === 1)
    api.put('trips', 'b')
    const children = api.split('trips', FIRST)
    await clock.until(() => shard.isDone)
    expect(shard.texts).toEqual(['a', 'b'])
    expect(shard.answers.at(-1)!.children).toEqual(children)
    expect(shard.error).toBeNull()
  })

  it('is asked five times a second while it is behind, and once a second when nothing comes', async () => {
    const { clock, api } = world({ hasReadLimits: true, recordsMax: 10, latencyMs: 10 })
    for (let number = 0; number < 200; number++) api.put('trips', `${number}`)
    const startMs = clock.nowMs()
    const shard = poll({ api, clock, place: PLACE })
    await clock.until(() => shard.texts.length === 200)
    expect(clock.nowMs() - startMs).toBeGreaterThanOrEqual(19 * 200)
    expect(clock.nowMs() - startMs).toBeLessThan(20 * 200 + 200)
    await clock.advance(20_000)
    const reads = api.callsOf('getRecords').map(({ atMs }) => atMs)
    const idle = gaps(reads.slice(20)).map((gap) => Math.round(gap / 10) * 10)
    expect(idle.slice(0, 4)).toEqual([210, 310, 460, 690])
    expect(idle.at(-1)).toBe(1_010)
    api.put('trips', 'new')
    await clock.until(() => shard.texts.length === 201)
    const count = api.callsOf('getRecords').length
    await clock.advance(420)
    expect(api.callsOf('getRecords').length).toBeGreaterThan(count)
    expect(shard.counts.toJSON()).toEqual({})
    shard.stop()
  })

  it('pays for a large answer before it is asked again', async () => {
    const { clock, api } = world({ hasReadLimits: true })
    for (let number = 0; number < 30; number++) api.put('trips', new Uint8Array(1_000_000))
    const shard = poll({ api, clock, place: PLACE })
    await clock.until(() => shard.texts.length === 30)
    const reads = api.callsOf('getRecords').map(({ atMs }) => atMs)
    expect(Math.min(...gaps(reads).slice(0, 3))).toBeGreaterThanOrEqual(4_500)
    expect(shard.counts.get('throttled')).toBe(0)
    shard.stop()
  })

  it('shares the limits with whoever else polls it in this process, and leaves others what it is told to', async () => {
    const { clock, api } = world({ hasReadLimits: true, recordsMax: 1 })
    for (let number = 0; number < 60; number++) api.put('trips', `${number}`)
    const one = poll({ api, clock, place: PLACE })
    const other = poll({ api, clock, place: PLACE })
    await clock.until(() => one.texts.length === 30)
    expect(Math.abs(one.texts.length - other.texts.length)).toBeLessThanOrEqual(1)
    expect(one.counts.get('throttled') + other.counts.get('throttled')).toBe(0)
    one.stop()
    other.stop()
    await clock.advance(1_000)
    const before = api.callsOf('getRecords').length
    const polite = poll({ api, clock, place: PLACE, limits: { readsPerSecondMax: 2 } })
    await clock.advance(10_000)
    expect(api.callsOf('getRecords').length - before).toBeLessThanOrEqual(21)
    expect(polite.texts.length).toBeGreaterThanOrEqual(19)
    polite.stop()
  })

  it('loses nothing and repeats nothing, whatever goes wrong', async () => {
    const kinds = ['none', 'throttled', 'expired', 'unavailable', 'credentials', 'lost-answer'] as const
    const errors = {
      throttled: throttled(),
      expired: iteratorExpired(),
      unavailable: unavailable(),
      credentials: credentialsExpired(),
    }
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...kinds), { maxLength: 40 }),
        fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 4 }),
        async (faults, bursts, recordsMax) => {
          const { clock, api } = world({ recordsMax, iteratorMs: 3_000, hasReadLimits: true })
          const queue = [...faults]
          api.plan(({ operation }) => {
            if (operation !== 'getRecords' && operation !== 'shardIterator') return null
            const kind = queue.shift() ?? 'none'
            if (kind === 'none') return null
            return kind === 'lost-answer' ? { kind } : throwing(errors[kind])
          })
          const expected: string[] = []
          const shard = poll({ api, clock, place: PLACE })
          for (const burst of bursts) {
            for (let number = 0; number < burst; number++) {
              expected.push(`${expected.length}`)
              api.put('trips', expected.at(-1)!)
            }
            await clock.advance(700)
          }
          api.split('trips', FIRST)
          await clock.until(() => shard.isDone)
          expect(shard.texts).toEqual(expected)
          expect(shard.error).toBeNull()
        },
      ),
      { numRuns: 60 },
    )
  })

  it('warns once of what lasts for 30 seconds, with advice, and says when it is over', async () => {
    const { clock, api } = world()
    api.put('trips', 'a')
    let isBad = true
    // Now and then a read succeeds, as when several consumers share the shard.
    api.plan(({ operation, atMs }) =>
      operation === 'getRecords' && isBad && atMs % 7 !== 0 ? throwing(throttled()) : null,
    )
    const shard = poll({ api, clock, place: PLACE })
    const loud = () => shard.lines.filter(({ level }) => level !== 'debug')
    await clock.advance(29_000)
    expect(loud()).toEqual([])
    await clock.advance(120_000)
    expect(loud().map(({ level, message }) => [level, message])).toEqual([
      ['warn', 'a shard cannot be read as it should be'],
    ])
    expect(loud()[0]!.fields).toMatchObject({ stream: 'trips', shard: FIRST })
    isBad = false
    await clock.advance(30_000)
    expect(loud().map(({ message }) => message)).toEqual([
      'a shard cannot be read as it should be',
      'the shard is read as before',
    ])
    expect(shard.counts.get('throttled')).toBeGreaterThan(10)
    expect(shard.texts).toEqual(['a'])
    shard.stop()
  })

  it('is asked less and less often while it throttles', async () => {
    const { clock, api } = world()
    api.plan(({ operation }) => (operation === 'getRecords' ? throwing(throttled()) : null))
    const shard = poll({ api, clock, place: PLACE })
    await clock.advance(60_000)
    const waits = gaps(api.callsOf('getRecords').map(({ atMs }) => atMs))
    expect(waits.slice(0, 4)).toEqual([210, 300, 600, 1_200])
    expect(waits.at(-1)).toBe(7_500)
    shard.stop()
  })

  it('begins at the tip only once, whatever becomes of the iterator', async () => {
    const { clock, api } = world({ iteratorMs: 500 })
    api.put('trips', 'before')
    await clock.advance(1_000)
    let fails = 1
    api.plan(({ operation }) => (operation === 'getRecords' && fails-- > 0 ? throwing(unavailable()) : null))
    const shard = poll({ api, clock, place: PLACE, start: { kind: 'latest' }, limits: { retryMsMin: 2_000 } })
    await clock.advance(100)
    api.put('trips', 'meanwhile')
    await clock.until(() => shard.texts.length > 0)
    expect(shard.texts).toEqual(['meanwhile'])
    expect(shard.counts.toJSON()).toEqual({ lostConnections: 1, expiredIterators: 1 })
    shard.stop()
  })

  it('is tried again where it is listed and not known yet', async () => {
    const { clock, api } = world()
    api.put('trips', 'a')
    let unknown = 3
    api.plan(({ operation }) =>
      operation === 'shardIterator' && unknown-- > 0 ? throwing(notFound('the shard')) : null,
    )
    const shard = poll({ api, clock, place: PLACE })
    await clock.until(() => shard.texts.length === 1)
    expect(shard.error).toBeNull()
    shard.stop()
  })

  it('fails when it has gone with its last record, or with its stream', async () => {
    const { clock, api } = world({ retentionMs: 3_600_000 })
    const [child] = api.split('trips', FIRST)
    const left = poll({ api, clock, place: { stream: 'trips', shardId: child! } })
    await clock.advance(3_600_001)
    const gone = poll({ api, clock, place: PLACE })
    await clock.until(() => gone.isDone)
    expect(gone.error).toMatchObject({ code: 'STREAM_NOT_FOUND' })
    // Another stream of that name has a shard of that id.
    api.removeStream('trips')
    api.addStream('trips', 2)
    api.plan(({ operation }) => (operation === 'getRecords' ? throwing(notFound('the shard')) : null))
    await clock.until(() => left.isDone)
    expect(left.error).toMatchObject({ code: 'STREAM_NOT_FOUND' })
    expect([...gone.answers, ...left.texts]).toEqual([])
  })

  it('fails for what no waiting mends, and is not called ended by a strange answer', async () => {
    const { clock, api } = world()
    api.put('trips', 'a')
    const getRecords = api.getRecords.bind(api)
    let strange = 1
    api.getRecords = async (iterator, recordsMax) => {
      const answer = await getRecords(iterator, recordsMax)
      return strange-- > 0 ? { ...answer, records: [], nextIterator: null } : answer
    }
    const shard = poll({ api, clock, place: PLACE })
    await clock.until(() => shard.texts.length === 1)
    api.plan(({ operation }) => (operation === 'getRecords' ? throwing(refused('no such thing')) : null))
    await clock.until(() => shard.isDone)
    expect(shard.error).toMatchObject({ code: 'KINESIS_REFUSED' })
  })

  it('waits for room, and lets go at once when nobody reads any more', async () => {
    const { clock, api } = world()
    let makeRoom = (): void => {}
    const room = new Promise<void>((resolve) => (makeRoom = resolve))
    api.put('trips', 'a')
    const shard = poll({ api, clock, place: PLACE })
    shard.fillUntil(room)
    await clock.advance(10_000)
    expect(shard.texts).toEqual(['a'])
    expect(api.callsOf('getRecords')).toHaveLength(1)
    api.plan(({ operation }) => (operation === 'getRecords' ? { kind: 'hang' } : null))
    makeRoom()
    await clock.advance(1_000)
    expect(api.callsOf('getRecords')).toHaveLength(2)
    shard.stop()
    await clock.advance(0)
    expect(shard.isDone).toBe(true)
  })
})

describe('the limits of polling', () => {
  it('have defaults, and say what is wrong with others', () => {
    expect(resolvePollLimits({ readsPerSecondMax: 2 })).toMatchObject({
      readsPerSecondMax: 2,
      intervalMs: 200,
    })
    expect(() => resolvePollLimits({ readsPerSecondMax: 10 })).toThrow('fetch.readsPerSecondMax is 10')
    expect(() => resolvePollLimits({ intervalMs: 2_000 })).toThrow('fetch.idleIntervalMs is 1000')
    expect(() => resolvePollLimits({ recordsMax: 1.5 })).toThrow('fetch.recordsMax is 1.5')
  })
})
