import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseKinesisPosition } from '../../../consumers/kinesis/position.ts'
import { taskOfShard } from '../../../consumers/kinesis/shard-task.ts'
import type { PipelineError } from '../../../src/errors.ts'
import type {
  Membership,
  MembershipListener,
  ObjectStore,
  PartitionReader,
  ReadResult,
} from '../../../src/ports.ts'
import { memoryStore } from '../../../src/testing/memory-store.ts'
import { aggregateOf, hashKeyOf, rowsOf } from './kpl-kit.ts'
import { iteratorExpired, throttled } from '../../kinesis/fake-faults.ts'
import { SourceKit, type SourceOptions } from './source-kit.ts'
import { readStream, StreamProgress } from './stream-reader.ts'

const HOUR_MS = 3_600_000
const KEYS = Array.from({ length: 8 }, (_, at) => `key-${at}`)

const shard = (number: number): string => `shardId-${String(number).padStart(12, '0')}`
const task = (number: number): string => taskOfShard('trips', shard(number))

async function openShard(
  kit: SourceKit,
  number: number,
  position: string | null,
  options: SourceOptions = {},
): Promise<PartitionReader> {
  const partition = { id: task(number), topic: 'trips', partition: number }
  return kit.within(kit.source(options).open(partition, position))
}

/** The next that is no empty batch. */
async function next(kit: SourceKit, reader: PartitionReader): Promise<ReadResult> {
  for (;;) {
    const result = await kit.within(reader.read(100))
    if (result.kind !== 'records' || result.batch.count > 0) return result
  }
}

const actions = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('put' as const), key: fc.nat(7) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('aggregate' as const),
        keys: fc.array(fc.nat(7), { minLength: 1, maxLength: 5 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constantFrom('split' as const, 'merge' as const), at: fc.nat() }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 2_000 }) }),
    },
  ),
  { maxLength: 25 },
)
type Action = typeof actions extends fc.Arbitrary<readonly (infer A)[]> ? A : never

/** Does to the stream what they say; gives what is to be read of it, '<key>:<number>'. */
class Writer {
  readonly written: string[] = []
  readonly #kit: SourceKit

  constructor(kit: SourceKit) {
    this.#kit = kit
  }

  async do(action: Action): Promise<void> {
    const { kinesis, clock } = this.#kit
    if (action.kind === 'put')
      kinesis.put('trips', this.#text(KEYS[action.key]!), { partitionKey: KEYS[action.key]! })
    else if (action.kind === 'wait') await clock.advance(action.ms)
    else if (action.kind === 'aggregate') await this.#putAggregate(action.keys)
    else await this.#reshard(action.kind, action.at)
  }

  #text(key: string): string {
    const text = `${key}:${this.written.length}`
    this.written.push(text)
    return text
  }

  /** As the KPL does: those of one shard together, and then those of the next. */
  async #putAggregate(keys: readonly number[]): Promise<void> {
    const { kinesis } = this.#kit
    const open = (await kinesis.listShards('trips')).filter(({ isClosed }) => !isClosed)
    for (const { shardId, hashKeyStart, hashKeyEnd } of open) {
      const ours = keys
        .map((key) => KEYS[key]!)
        .filter((key) => hashKeyOf(key) >= BigInt(hashKeyStart) && hashKeyOf(key) <= BigInt(hashKeyEnd))
      if (ours.length === 0) continue
      const records = ours.map((partitionKey) => ({
        partitionKey,
        data: Buffer.from(this.#text(partitionKey)),
      }))
      kinesis.put('trips', aggregateOf(records), { shardId })
    }
  }

  async #reshard(kind: 'split' | 'merge', at: number): Promise<void> {
    const { kinesis } = this.#kit
    const open = (await kinesis.listShards('trips')).filter(({ isClosed }) => !isClosed)
    const sorted = open.sort((a, b) => (BigInt(a.hashKeyStart) < BigInt(b.hashKeyStart) ? -1 : 1))
    const one = sorted[at % sorted.length]!
    const neighbour = sorted[(at % sorted.length) + 1]
    if (kind === 'split') kinesis.split('trips', one.shardId)
    else if (neighbour !== undefined) kinesis.merge('trips', one.shardId, neighbour.shardId)
  }
}

describe('a stream that is split and merged while it is read, with aggregates in it', () => {
  it.each([
    ['polled', {}],
    ['by enhanced fan-out', { fanOut: { consumer: 'taxi' } }],
  ])(
    'gives each record once, each key in its order, wherever a process is killed: %s',
    async (_, options) => {
      const kills = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 6 })
      await fc.assert(
        fc.asyncProperty(
          actions,
          actions,
          kills,
          fc.integer({ min: 1, max: 5 }),
          async (before, after, kills, recordsMax) => {
            const kit = new SourceKit(2)
            const writer = new Writer(kit)
            const progress = new StreamProgress()
            for (const action of before) await writer.do(action)
            const read = (rowsMax?: number): Promise<void> => {
              const source = kit.source(options)
              const stop = rowsMax === undefined ? {} : { rowsMax: progress.rows.length + rowsMax }
              return readStream({ source, progress, recordsMax, within: kit.within, ...stop })
            }
            for (const rows of kills) await read(rows)
            for (const action of after) await writer.do(action)
            for (const rows of kills) await read(rows)
            await read()
            expect(progress.rows.map(({ value }) => value).sort()).toEqual([...writer.written].sort())
            for (const key of KEYS) {
              const of = (texts: readonly string[]): readonly string[] =>
                texts.filter((text) => text.startsWith(`${key}:`))
              expect(of(progress.rows.map(({ value }) => value))).toEqual(of(writer.written))
            }
            for (const id of new Set(progress.rows.map((row) => row.task))) {
              const offsets = progress.rows.filter((row) => row.task === id).map(({ offset }) => offset)
              expect(offsets).toEqual(offsets.map((_, at) => offsets[0]! + at))
            }
          },
        ),
        { numRuns: 60 },
      )
    },
  )
})

describe('a shard', () => {
  it('that is new records where it begins, before anything is read', async () => {
    const kit = new SourceKit()
    const nowMs = kit.clock.nowMs()
    const starts = async (options: SourceOptions): Promise<unknown> =>
      parseKinesisPosition((await openShard(kit, 0, null, options)).start!)
    const begin = { createdMs: nowMs, offset: 0, asOfMs: nowMs }
    expect(await starts({})).toEqual({ ...begin, place: { kind: 'trim' } })
    expect(await starts({ from: 'latest' })).toEqual({ ...begin, place: { kind: 'time', timeMs: nowMs } })
    expect(await starts({ from: new Date(5) })).toEqual({ ...begin, place: { kind: 'time', timeMs: 5 } })
    const from = { sequenceNumbers: { [shard(0)]: '77' } }
    expect(await starts({ from })).toEqual({ ...begin, place: { kind: 'at', sequenceNumber: '77' } })
  })

  it('goes by its offset in the log', async () => {
    const source = new SourceKit().source()
    expect(source.offsetOf('1795458305250:after@4968:66:1795458318961')).toBe('66')
    await source.close()
  })

  it('that was split hands on, and its child goes on with its offsets', async () => {
    const kit = new SourceKit()
    kit.kinesis.put('trips', 'a')
    kit.kinesis.put('trips', 'b')
    kit.kinesis.split('trips', shard(0))
    const progress = new StreamProgress()
    await readStream({ source: kit.source(), progress, within: kit.within })
    kit.kinesis.put('trips', 'c')
    kit.kinesis.merge('trips', shard(1), shard(2))
    kit.kinesis.put('trips', 'd')
    await readStream({ source: kit.source(), progress, within: kit.within })
    expect(progress.rows.map(({ value, offset }) => [value, offset])).toEqual([
      ['a', 0],
      ['b', 1],
      ['c', 2],
      ['d', 3],
    ])
    expect(Object.fromEntries(progress.ended)).toEqual({
      [task(0)]: [task(1), task(2)],
      [task(1)]: [task(3)],
      [task(2)]: [task(3)],
    })
  })

  it('whose end does not say what follows finds it in the list', async () => {
    const kit = new SourceKit(1, { saysChildren: false })
    kit.kinesis.split('trips', shard(0))
    const result = await next(kit, await openShard(kit, 0, null))
    expect(result).toMatchObject({ kind: 'handed-on', to: [task(1), task(2)] })
  })

  it('that has ended hands on again when it is opened again', async () => {
    const kit = new SourceKit()
    kit.kinesis.put('trips', 'a')
    kit.kinesis.split('trips', shard(0))
    const reader = await openShard(kit, 0, null)
    await next(kit, reader)
    const end = await next(kit, reader)
    expect(end.kind).toBe('handed-on')
    if (end.kind !== 'handed-on') return
    expect(parseKinesisPosition(end.position)).toMatchObject({ place: { kind: 'end' }, offset: 1 })
    expect(await next(kit, await openShard(kit, 0, end.position))).toEqual(end)
    // Also when it is so old that Kinesis does not know it any more.
    await kit.clock.advance(30 * HOUR_MS)
    expect(await next(kit, await openShard(kit, 0, end.position))).toMatchObject({
      kind: 'handed-on',
      to: [task(1), task(2)],
      position: end.position,
    })
  })

  it('that is quiet says so with the moment, and with a newer position every eighth of the retention', async () => {
    const kit = new SourceKit()
    kit.kinesis.put('trips', 'a')
    const reader = await openShard(kit, 0, null)
    await next(kit, reader)
    const firstMs = kit.clock.nowMs()
    const moments: number[] = []
    while (kit.clock.nowMs() < firstMs + 10 * HOUR_MS) {
      const result = await next(kit, reader)
      expect(result.kind).toBe('quiet')
      if (result.kind !== 'quiet') return
      expect(kit.clock.nowMs() - result.arrivalClockMs).toBeLessThan(2_000)
      if (result.position !== undefined) {
        moments.push(parseKinesisPosition(result.position).asOfMs)
        expect(parseKinesisPosition(result.position)).toMatchObject({ place: { kind: 'after' }, offset: 1 })
      }
      await kit.clock.advance(60_000)
    }
    expect(moments.map((atMs) => Math.round((atMs - firstMs) / HOUR_MS))).toEqual([3, 6, 9])
  })

  it('does not keep a reader waiting that has an epoch to cut', async () => {
    const kit = new SourceKit()
    const reader = await openShard(kit, 0, null)
    await next(kit, reader)
    kit.kinesis.plan(({ operation }) => (operation === 'getRecords' ? { kind: 'hang' } : null))
    await kit.clock.advance(5_000)
    await kit.within(reader.read(100))
    const beginMs = kit.clock.nowMs()
    expect(await kit.within(reader.read(100))).toMatchObject({ kind: 'records', batch: { count: 0 } })
    expect(kit.clock.nowMs() - beginMs).toBeLessThanOrEqual(1_000)
  })

  it('that begins now, by a clock that is ahead of that of Kinesis, waits for it', async () => {
    const kit = new SourceKit()
    const ahead = { nowMs: () => kit.clock.nowMs() + 5_000, sleep: kit.clock.sleep.bind(kit.clock) }
    kit.kinesis.put('trips', 'too early')
    const reader = await openShard(kit, 0, null, { from: 'latest', clock: ahead })
    await kit.clock.advance(7_000)
    kit.kinesis.put('trips', 'in time')
    let result = await next(kit, reader)
    while (result.kind === 'quiet') result = await next(kit, reader)
    expect(result.kind === 'records' && rowsOf(result.batch).map(({ value }) => value)).toEqual(['in time'])
  })
})

describe('what retention has deleted', () => {
  async function positionOfA(kit: SourceKit): Promise<string> {
    kit.kinesis.put('trips', 'a')
    const result = await next(kit, await openShard(kit, 0, null))
    expect(result.kind).toBe('records')
    return result.kind === 'records' ? result.batch.positionAfter(0) : ''
  }

  it('ends the run, unless the loss is accepted: then the log says what may be lost', async () => {
    const kit = new SourceKit()
    const position = await positionOfA(kit)
    kit.kinesis.put('trips', 'b')
    await kit.clock.advance(23 * HOUR_MS)
    kit.kinesis.put('trips', 'c')
    expect(await next(kit, await openShard(kit, 0, position))).toMatchObject({ batch: { count: 2 } })
    await kit.clock.advance(2 * HOUR_MS)
    await expect(openShard(kit, 0, position)).rejects.toMatchObject({ code: 'POSITION_EXPIRED' })
    expect(kit.warnings()).toEqual([])
    expect(await next(kit, await openShard(kit, 0, position, { acceptLoss: true }))).toMatchObject({
      batch: { count: 1 },
    })
    expect(kit.warnings()).toEqual([
      'retention may have deleted records that were not read: they are lost, as accepted',
    ])
  })

  it('may be the whole shard: what followed it is read where the loss is accepted', async () => {
    const kit = new SourceKit()
    const position = await positionOfA(kit)
    kit.kinesis.split('trips', shard(0))
    await kit.clock.advance(25 * HOUR_MS)
    await expect(openShard(kit, 0, position)).rejects.toMatchObject({ code: 'POSITION_EXPIRED' })
    expect(await next(kit, await openShard(kit, 0, position, { acceptLoss: true }))).toMatchObject({
      kind: 'handed-on',
      to: [task(1), task(2)],
    })
  })

  it('while a reader stands still ends the run too', async () => {
    const kit = new SourceKit()
    await positionOfA(kit)
    const reader = await openShard(kit, 0, null)
    kit.kinesis.put('trips', 'x'.repeat(1_000_000))
    for (let rows = 0; rows < 2; ) {
      const result = await next(kit, reader)
      if (result.kind === 'records') rows += result.batch.count
    }
    // Nobody reads on, so nothing more is fetched than fits.
    for (let more = 0; more < 3; more++) {
      kit.kinesis.put('trips', 'x'.repeat(1_000_000))
      await kit.clock.advance(10 * HOUR_MS)
    }
    await expect(
      (async () => {
        for (;;) await next(kit, reader)
      })(),
    ).rejects.toMatchObject({ code: 'POSITION_EXPIRED' })
  })
})

describe('a stream that was created again', () => {
  it('is not gone on with', async () => {
    const kit = new SourceKit()
    const { start } = await openShard(kit, 0, null)
    kit.kinesis.removeStream('trips')
    await kit.clock.advance(1_000)
    kit.kinesis.addStream('trips')
    await expect(openShard(kit, 0, start!)).rejects.toMatchObject({ code: 'STREAM_RECREATED' })
  })

  it('is noticed while it is read', async () => {
    const kit = new SourceKit()
    kit.kinesis.put('trips', 'a')
    const reader = await openShard(kit, 0, null)
    await next(kit, reader)
    kit.kinesis.removeStream('trips')
    await kit.clock.advance(1)
    kit.kinesis.addStream('trips', 1)
    let isFirst = true
    kit.kinesis.plan(({ operation }) => {
      if (operation !== 'getRecords' || !isFirst) return null
      isFirst = false
      return { kind: 'throw', error: iteratorExpired() }
    })
    await expect(
      (async () => {
        for (;;) await next(kit, reader)
      })(),
    ).rejects.toMatchObject({ code: 'STREAM_RECREATED' })
  })
})

it('says each minute what went wrong and was mended', async () => {
  const kit = new SourceKit(1, { hasReadLimits: false })
  const source = kit.source()
  const [partition] = await kit.within(source.partitions())
  await kit.within(source.open(partition!, null))
  let throttles = 3
  kit.kinesis.plan(({ operation }) =>
    operation === 'getRecords' && throttles-- > 0 ? { kind: 'throw', error: throttled() } : null,
  )
  await kit.clock.advance(180_000)
  const summaries = kit.lines.filter(({ message }) => message.startsWith('what Kinesis refused'))
  expect(summaries.map(({ fields }) => fields)).toEqual([{ stream: 'trips', throttled: 3 }])
  await source.close()
})

describe('by leases', () => {
  interface Member {
    readonly membership: Membership
    readonly last: () => readonly string[]
    readonly leave: () => Promise<void>
  }

  async function join(
    kit: SourceKit,
    store: ObjectStore,
    options: SourceOptions = {},
    known: readonly string[] = [],
  ): Promise<Member> {
    const { membership } = kit.source(options)
    const assigned: string[][] = []
    const listener: MembershipListener = {
      assigned: ({ partitions }) => void assigned.push(partitions.map(({ id }) => id)),
      revoked: async () => {},
      lost: () => {},
      failed: (error) => void assigned.push([(error as PipelineError).code]),
    }
    await kit.within(membership.join([], listener, { store, prefix: 'p/_leases/', known }))
    return { membership, last: () => assigned.at(-1)!, leave: () => kit.within(membership.leave()) }
  }

  const rootsIn = async (store: ObjectStore): Promise<unknown> =>
    JSON.parse(new TextDecoder().decode((await store.get('p/_leases/roots.json')) ?? undefined))

  it('where a pipeline begins is decided once, and a child is handed out when its parent has ended', async () => {
    const kit = new SourceKit(2)
    const store = memoryStore()
    const first = await join(kit, store)
    expect(first.last()).toEqual([task(0), task(1)])
    const { createdMs } = await kit.kinesis.describeStream('trips')
    expect(await rootsIn(store)).toEqual({
      version: 1,
      createdMs,
      decidedMs: expect.any(Number),
      begin: { [shard(0)]: 'trim', [shard(1)]: 'trim' },
      unread: [],
    })
    kit.kinesis.split('trips', shard(0))
    await kit.clock.advance(60_000)
    expect(first.last()).toEqual([task(0), task(1)])
    first.membership.ended!(task(0))
    await kit.clock.until(() => first.last().includes(task(2)))
    expect(first.last()).toEqual([task(1), task(2), task(3)])
    await first.leave()
    // Another process, which would begin elsewhere if it were the first.
    const second = await join(kit, store, { from: 'latest' })
    expect(second.last()).toEqual([task(1), task(2), task(3)])
    await second.leave()
  })

  it("of 'latest' only open shards are read, and all that come later", async () => {
    const kit = new SourceKit(2)
    kit.kinesis.split('trips', shard(0))
    const member = await join(kit, memoryStore(), { from: 'latest' })
    expect(member.last()).toEqual([task(1), task(2), task(3)])
    kit.kinesis.merge('trips', shard(3), shard(1))
    for (const ended of [task(1), task(3)]) member.membership.ended!(ended)
    await kit.clock.until(() => member.last().includes(task(4)))
    expect(member.last()).toEqual([task(2), task(4)])
    await member.leave()
  })

  it('another stream than the one that was read is called by its name', async () => {
    const kit = new SourceKit()
    const store = memoryStore()
    await (await join(kit, store)).leave()
    kit.kinesis.removeStream('trips')
    await kit.clock.advance(1)
    kit.kinesis.addStream('trips')
    await expect(join(kit, store, {}, ['merge-0', 'rides-000000000000'])).rejects.toMatchObject({
      code: 'STREAM_CHANGED',
      message: 'the pipeline has read stream rides, and stream trips is given to it',
    })
    await expect(join(kit, store, {}, [task(0)])).rejects.toMatchObject({ code: 'STREAM_RECREATED' })
  })

  it('a stream that was created again ends the run', async () => {
    const kit = new SourceKit()
    const member = await join(kit, memoryStore())
    kit.kinesis.removeStream('trips')
    await kit.clock.advance(1)
    kit.kinesis.addStream('trips')
    await kit.clock.until(() => member.last().includes('STREAM_RECREATED'))
    await member.leave()
  })
})
