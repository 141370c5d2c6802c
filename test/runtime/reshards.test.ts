import { boundedOutOfOrderness, bronze, gold, millis, pipeline, silver, stream, tumbling } from 'millrace'
import { describe, expect, it } from 'vitest'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { parquetDecoder } from '../../sinks/parquet/parquet-decoder.ts'
import { parquetEncoder } from '../../sinks/parquet/parquet-encoder.ts'
import { decodeUtf8 } from '../../src/columns/utf8.ts'
import type { DataRecord, MergeWork, PartitionWork } from '../../src/checkpoint/record.ts'
import type { MergeState } from '../../src/engine/merge-task.ts'
import { PipelineError } from '../../src/errors.ts'
import type { Membership, MembershipListener, MembershipPlace, ObjectStore, Source } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowsSource } from '../../src/testing/rows-source.ts'
import { gate, quiet, scriptedSource } from '../support/scripted-source.ts'
import { Reading, reading } from '../support/reading.ts'
import { type Opened, type ShardLine, shardSource } from '../support/shard-source.ts'
import { hookedStore, rowsIn, start, tablesIn, WORLD } from '../support/world.ts'

const readings = stream('readings', Reading, {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(millis(5)),
})
const once = readings.dedupe('once', { by: 'sensor', within: millis(50) })
const counts = once
  .keyBy('sensor')
  .window(tumbling(millis(10)), { allowedLateness: millis(0) })
  .aggregate('counts', ({ count }) => ({ rows: count() }))
const program = pipeline({
  name: 'resharded',
  tables: [bronze('readings', readings), silver('once', once), gold('counts', counts)],
  circuitBreaker: false,
})

/** 0 is split into 1 and 2; 2 and 3 are merged into 4. */
const LINE: ShardLine = { parents: { 1: [0], 2: [0], 4: [2, 3] } }
const of = (partition: number, at: number, sensor: string) =>
  reading(at, { sensor, partition, arrivalMs: at })
const records = [
  of(0, 100, 'a'),
  of(0, 110, 'b'),
  of(3, 102, 'c'),
  of(3, 130, 'd'),
  // Sent twice, with the split in between; and one that is late by the watermark of the parent.
  of(1, 112, 'a'),
  of(1, 95, 'x'),
  of(1, 140, 'e'),
  of(2, 118, 'b'),
  of(2, 120, 'f'),
  // The watermarks of both are behind: that of 3 is 125, of 2 115.
  of(4, 121, 'f'),
  of(4, 118, 'g'),
  of(4, 150, 'h'),
]

/** The newest work of a shard's chain, and all records of it that have some. */
async function workOf(lake: ObjectStore, shard: number, incarnation = 1): Promise<readonly PartitionWork[]> {
  const works: PartitionWork[] = []
  for (const { key } of await lake.list(`_millrace/resharded/00000${incarnation}/readings-${shard}/`)) {
    const record = JSON.parse(decodeUtf8((await lake.get(key))!)) as DataRecord
    if (record.kind === 'data') works.push(record.work as PartitionWork)
  }
  return works
}

/** How far the sources of a merge task have come for it, as its newest record says. */
async function foldedBy(lake: ObjectStore, merge: string): Promise<MergeState['sources']> {
  const newest = (await lake.list(`_millrace/resharded/000001/${merge}/`)).at(-1)
  const body = newest === undefined ? null : await lake.get(newest.key)
  const record = body === null ? null : (JSON.parse(decodeUtf8(body)) as DataRecord)
  return record?.kind === 'data' ? (record.work as MergeWork).state.sources : {}
}

async function undisturbed() {
  const lake = memoryStore()
  const opened: Opened[] = []
  const summary = await start(program, { lake, source: shardSource(program, records, LINE, opened) })
  return { lake, opened, summary }
}

describe('a shard that is split, and one that is merged', () => {
  it('are read in their order, and those that follow know what they knew', async () => {
    const { lake, opened, summary } = await undisturbed()
    expect(summary.outcome).toBe('completed')
    const place = (id: string): number => opened.findIndex((one) => one.id === id)
    expect(place('readings-1')).toBeGreaterThan(place('readings-0'))
    expect(place('readings-4')).toBeGreaterThan(Math.max(place('readings-2'), place('readings-3')))
    expect(opened.find(({ id }) => id === 'readings-4')!.parentPositions).toEqual(['end2', 'end2'])
    const [first] = await workOf(lake, 4)
    expect(first).toMatchObject({
      records: 0,
      state: { position: 'at0', watermarkMs: 115, parents: ['readings-2', 'readings-3'], lastArrivalMs: 130 },
    })
    const last = (await workOf(lake, 0)).at(-1)!
    expect(last.state).toMatchObject({
      ended: true,
      watermarkMs: 105,
      position: 'end2',
      successors: ['readings-1', 'readings-2'],
    })
    const kept = (await rowsIn(lake, 'silver/once')).map(({ sensor }) => String(sensor))
    expect(kept.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'x'])
    const late = (await rowsIn(lake, 'dead_letters')).map(
      ({ reason, stage }) => `${String(reason)} ${String(stage)}`,
    )
    expect(late).toEqual(['late counts'])
    expect(await rowsIn(lake, 'gold/counts')).toHaveLength(8)
  })

  it('give the same rows wherever the process dies', async () => {
    const { lake: expected } = await undisturbed()
    for (let writesMax = 3; writesMax < 90; writesMax += 4) {
      const lake = memoryStore()
      let writes = 0
      const crashing = hookedStore(lake, {
        before(call) {
          if (call === 'get' || call === 'list') return
          if (writes++ >= writesMax) throw new Error('the process is gone')
        },
      })
      const source = (): Source => shardSource(program, records, LINE)
      await start(program, { lake: crashing, source: source(), epochRows: 1 }).catch(() => {})
      // By now the list has forgotten them.
      const later = shardSource(program, records, { ...LINE, unlisted: [0, 2, 3] })
      const begun = await start(program, { lake, source: writesMax < 60 ? source() : later, epochRows: 1 })
      expect(begun.outcome).toMatch(/completed|nothing-to-do/)
      expect(await tablesIn(lake, program)).toEqual(await tablesIn(expected, program))
      const again = await start(program, {
        lake,
        source: shardSource(program, records, { ...LINE, unlisted: [0, 2, 3] }),
      })
      expect(again).toMatchObject({ outcome: 'nothing-to-do', totals: { records: records.length } })
    }
  })

  it('do not wait for a parent that is gone: it has no chain, and no list has it', async () => {
    const lake = memoryStore()
    const opened: Opened[] = []
    const source = shardSource(program, records.slice(4, 7), { parents: { 1: [0] }, unlisted: [0] }, opened)
    expect((await start(program, { lake, source })).outcome).toBe('completed')
    expect(opened).toEqual([{ id: 'readings-1', position: null, parentPositions: [] }])
    expect(await rowsIn(lake, 'silver/once')).toHaveLength(3)
  })

  it('wait for a parent that another process reads, and stop at once when they are to', async () => {
    const lake = memoryStore()
    const opened: Opened[] = []
    const source = shardSource(program, records, LINE, opened)
    const stop = new AbortController()
    const member = new TestMember()
    const run = start(program, { lake, source: { ...source, membership: member }, signal: stop.signal })
    await member.joined.passed
    await member.assign(source, ['readings-1'])
    const claimed = async (): Promise<boolean> =>
      (await lake.list('_millrace/resharded/000001/readings-1/')).length > 0
    while (!(await claimed())) await WORLD.clock.sleep(0)
    for (let i = 0; i < 50; i++) await WORLD.clock.sleep(0)
    expect(opened).toEqual([])
    stop.abort()
    expect((await run).outcome).toBe('stopped')
    expect(opened).toEqual([])
  })
})

describe('a membership', () => {
  it('hears of the ends of partitions when they are published, and which partitions have a chain', async () => {
    const lake = memoryStore()
    await start(program, {
      lake,
      source: shardSource(program, records.slice(0, 2), { parents: { 1: [0], 2: [0] } }),
    })
    const source = shardSource(program, records, { ...LINE, unlisted: [0] })
    const stop = new AbortController()
    const member = new TestMember()
    const run = start(program, { lake, source: { ...source, membership: member }, signal: stop.signal })
    await member.joined.passed
    expect(member.place!.known.toSorted()).toEqual(['readings-0', 'readings-1', 'readings-2'])
    // Also of one that is found to have ended.
    await member.assign(source, ['readings-0', 'readings-1'])
    while (member.heard.length < 2) await WORLD.clock.sleep(0)
    expect(member.heard.toSorted()).toEqual(['readings-0', 'readings-1'])
    stop.abort()
    await run
  })
})

describe('a shard that no list has any more', () => {
  it('is folded to its end by a merge that runs elsewhere', async () => {
    const lake = memoryStore()
    const source = shardSource(program, records, LINE)
    const stop = new AbortController()
    const hasLooked = gate()
    const watched = hookedStore(lake, {
      after(call, key) {
        if (call === 'list' && key.endsWith('/readings-0/')) hasLooked.open()
      },
    })
    const [merging, reading] = [new TestMember(), new TestMember()]
    const join = (member: TestMember, store: ObjectStore) => {
      const run = start(program, {
        lake: store,
        source: { ...source, membership: member },
        signal: stop.signal,
      })
      return { run, joined: member.joined.passed }
    }
    const first = join(merging, watched)
    await first.joined
    await merging.assign(source, [], { mergeTasks: merging.mergeTasks })
    await hasLooked.passed
    const forgetful = shardSource(program, records, { ...LINE, unlisted: [0] })
    await merging.assign(forgetful, [], { mergeTasks: merging.mergeTasks })
    for (let i = 0; i < 50; i++) await WORLD.clock.sleep(0)
    const second = join(reading, lake)
    await second.joined
    await reading.assign(source, ['readings-0'])
    while (!(await foldedBy(lake, merging.mergeTasks[0]!))['readings-0']?.ended) await WORLD.clock.sleep(0)
    stop.abort()
    for (const { run } of [first, second]) expect((await run).outcome).toBe('stopped')
  })
})

describe('a position that moves without a record', () => {
  it('is recorded', async () => {
    const lake = memoryStore()
    const moved = { kind: 'quiet', arrivalClockMs: 200, position: '2 at noon' } as const
    const source = scriptedSource(rowsSource(program, records.slice(0, 2)).open(WORLD), {
      'readings-0': [2, moved, moved, quiet(300), { kind: 'stop' }],
    })
    await start(program, { lake, source })
    const works = await workOf(lake, 0)
    expect(works.map(({ records: read, state }) => [read, state.position])).toEqual([[2, '2 at noon']])
  })
})

describe('a new incarnation with history', () => {
  it('reads the shards that no list has any more, in their order, and has the same tables', async () => {
    const format = (lake: ObjectStore) => deltaFormat(lake, parquetEncoder(), { decoder: parquetDecoder() })
    const wider = pipeline({
      name: 'resharded',
      tables: [...program.tables, silver('again', once)],
      circuitBreaker: false,
    })
    const lake = memoryStore()
    await start(program, { lake, format: format(lake), source: shardSource(program, records, LINE) })
    const opened: Opened[] = []
    const source = shardSource(wider, records, { ...LINE, unlisted: [0, 2] }, opened)
    const summary = await start(wider, { lake, format: format(lake), source, backfill: true })
    expect(summary.outcome).toBe('completed')
    expect(summary.totals.records).toBe(records.length)
    expect(
      opened
        .map(({ id, position }) => `${id} ${position}`)
        .slice(0, 2)
        .toSorted(),
    ).toEqual(['readings-0 end2', 'readings-3 end2'])
    expect(summary.totals.rows['silver/again']).toBe(9)
    expect(summary.totals.rows['silver/once']).toBe(9)
    expect((await workOf(lake, 4, 2)).at(-1)!.state).toMatchObject({
      ended: true,
      parents: ['readings-2', 'readings-3'],
    })
  })
})

describe('a new incarnation that goes on from one which had not begun all that others were handed on to', () => {
  it('reads those too, also where no list has them: only their start can tell that they are lost', async () => {
    const format = (lake: ObjectStore) => deltaFormat(lake, parquetEncoder(), { decoder: parquetDecoder() })
    const lake = memoryStore()
    const inner = shardSource(program, records, LINE)
    const refusing: Source = {
      ...inner,
      async open(partition, ...rest) {
        if (partition.id === 'readings-2') throw new PipelineError('KINESIS_REFUSED', 'not today')
        return inner.open(partition, ...rest)
      },
    }
    await expect(
      start(program, { lake, format: format(lake), source: refusing, epochMs: 1 }),
    ).rejects.toMatchObject({ code: 'KINESIS_REFUSED' })
    const wider = pipeline({
      name: 'resharded',
      tables: [...program.tables, silver('again', once)],
      circuitBreaker: false,
    })
    const opened: Opened[] = []
    const source = shardSource(wider, records, { ...LINE, unlisted: [0, 2] }, opened)
    const summary = await start(wider, { lake, format: format(lake), source, backfill: true })
    expect(opened.map(({ id }) => id)).toContain('readings-2')
    expect(summary.totals.records).toBe(records.length)
  })
})

/** Hands out what the test says. */
class TestMember implements Membership {
  readonly description = 'a member'
  readonly joined = gate()
  readonly heard: string[] = []
  place: MembershipPlace | null = null
  mergeTasks: readonly string[] = []
  #listener: MembershipListener | null = null

  async join(
    mergeTasks: readonly string[],
    listener: MembershipListener,
    place: MembershipPlace,
  ): Promise<void> {
    this.mergeTasks = mergeTasks
    this.place = place
    this.#listener = listener
    this.joined.open()
  }

  async assign(
    source: Source,
    ids: readonly string[],
    { mergeTasks = [] }: { readonly mergeTasks?: readonly string[] } = {},
  ): Promise<void> {
    const all = await source.partitions()
    const partitions = ids.map((id) => source.partitionOf!(id)!)
    this.#listener!.assigned({ partitions, mergeTasks, all })
  }

  ended(task: string): void {
    this.heard.push(task)
  }

  async confirm(): Promise<boolean> {
    return true
  }

  async leave(): Promise<void> {}
}
