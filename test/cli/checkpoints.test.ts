import { boundedOutOfOrderness, bronze, gold, millis, pipeline, stream, tumbling } from 'millrace'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ChainKeys } from '../../src/checkpoint/keys.ts'
import { type ChainRecord, decodeRecord, encodeRecord } from '../../src/checkpoint/record.ts'
import { lakeFacts } from '../../src/cli/checkpoints-verify.ts'
import type { ChainProblem } from '../../src/cli/chain-problems.ts'
import { verifyPipeline } from '../../src/cli/verify-chains.ts'
import { decodeUtf8, encodeUtf8 } from '../../src/columns/utf8.ts'
import type { ObjectStore } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { Reading, reading } from '../support/reading.ts'
import { retain } from '../support/retained.ts'
import { pacedStore, start } from '../support/world.ts'

const readings = stream('readings', Reading, {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(millis(5)),
})
const once = readings.dedupe('once', { by: 'sensor', within: millis(1_000) })
const counts = once
  .keyBy('sensor')
  .window(tumbling(millis(10)), { allowedLateness: millis(0) })
  .aggregate('counts', ({ count }) => ({ rows: count() }))
const program = pipeline({
  name: 'readings',
  tables: [bronze('readings', readings), gold('counts', counts)],
  circuitBreaker: false,
})
const records = Array.from({ length: 60 }, (_, i) =>
  reading(i * 2, { sensor: `s${i}`, value: i, partition: i % 2 }),
)
const keys = new ChainKeys('readings', 1)
const TASK = 'readings-0'

/** What `checkpoints verify` says. */
async function problemsIn(lake: ObjectStore): Promise<readonly ChainProblem[]> {
  const reports = await verifyPipeline(lakeFacts(lake), 'readings')
  return reports.flatMap(({ problems }) => problems)
}

async function keysBelow(lake: ObjectStore, prefix: string): Promise<readonly string[]> {
  return (await lake.list(prefix)).map(({ key }) => key)
}

async function change(lake: ObjectStore, epoch: number, to: (record: ChainRecord) => object): Promise<void> {
  const key = keys.record(TASK, epoch)
  const record = decodeRecord(key, decodeUtf8((await lake.get(key))!))
  await lake.put(key, encodeUtf8(encodeRecord(to(record) as ChainRecord)))
}

describe('a lake whose chains are checked', () => {
  let whole: readonly (readonly [string, Uint8Array])[]
  let lake: ObjectStore

  beforeAll(async () => {
    const first = memoryStore()
    await start(program, { lake: first, records, epochRows: 5 })
    const all = await first.list('')
    whole = await Promise.all(all.map(async ({ key }) => [key, (await first.get(key))!] as const))
  })

  beforeEach(async () => {
    lake = memoryStore()
    for (const [key, body] of whole) await lake.put(key, body)
  })

  it('is whole after a run, after old records were deleted, and after another incarnation', async () => {
    expect(await problemsIn(lake)).toEqual([])
    await retain(program, lake, { keepRecords: 2, recordsMin: 1, deletesMax: 1_000 })
    expect(await lake.get(keys.record(TASK, 0))).toBeNull()
    expect(await problemsIn(lake)).toEqual([])
    await start(program, { lake, records, epochRows: 9, fresh: true })
    expect(await problemsIn(lake)).toEqual([])
  })

  it('is whole where merge tasks lie in slices and stages, and files have been replaced', async () => {
    const refined = readings
      .keyBy('sensor')
      .window(tumbling(millis(40)), { allowedLateness: millis(400), refine: true })
      .aggregate('refined', ({ count }) => ({ rows: count() }))
    const above = refined
      .keyBy()
      .window(tumbling(millis(80)))
      .aggregate('above', ({ count }) => ({ sensors: count() }))
    const staged = pipeline({
      name: 'readings',
      tables: [gold('refined', refined), gold('above', above)],
      mergeParallelism: 2,
    })
    const few = records.map((_, i) =>
      reading(i * 2 - (i % 4 === 3 ? 30 : 0), { sensor: `s${i % 3}`, partition: i % 2 }),
    )
    const lakeOf = memoryStore()
    await start(staged, { lake: pacedStore(lakeOf), records: few, epochRows: 3 })
    const chains = new Set((await verifyPipeline(lakeFacts(lakeOf), 'readings')).map(({ task }) => task))
    expect([...chains].sort()).toEqual([
      'merge-0',
      'merge-1',
      'merge2-0',
      'merge2-1',
      'readings-0',
      'readings-1',
    ])
    const written = await Promise.all(
      (await keysBelow(lakeOf, `${keys.root}merge-`)).map(async (key) =>
        decodeUtf8((await lakeOf.get(key))!),
      ),
    )
    expect(written.some((text) => text.includes('"removes"'))).toBe(true)
    expect(await problemsIn(lakeOf)).toEqual([])
    await retain(staged, lakeOf, { keepRecords: 1, recordsMin: 1, deletesMax: 1_000 })
    expect(await problemsIn(lakeOf)).toEqual([])
    // The first stage has not lost what a slice of the second has yet to fold.
    for (const key of await keysBelow(lakeOf, keys.chainPrefix('merge2-1'))) await lakeOf.delete(key)
    const claim = { version: 1, kind: 'claim', pipeline: 'readings', incarnation: 1 } as const
    const record = { ...claim, task: 'merge2-1', epoch: 0, nonce: 'x', run: 'r', writtenMs: 0 }
    await lakeOf.put(keys.record('merge2-1', 0), encodeUtf8(encodeRecord(record)))
    expect((await problemsIn(lakeOf)).map(({ code, task }) => [code, task])).toContainEqual([
      'merge',
      'merge-0',
    ])
  })

  it('tells what a sleeper left behind from what is missing', async () => {
    const sleepers = (await lake.get(keys.record(TASK, 3)))!
    await retain(program, lake, { keepRecords: 0, recordsMin: 1, deletesMax: 1_000 })
    await lake.put(keys.record(TASK, 3), sleepers)
    const reports = await verifyPipeline(lakeFacts(lake), 'readings')
    expect(reports.flatMap(({ problems }) => problems)).toEqual([])
    expect(reports.find(({ task }) => task === TASK)!.stray).toBe(1)
  })

  it('says which epochs the next start is to publish', async () => {
    const [last] = (await keysBelow(lake, 'bronze/readings/_delta_log/')).slice(-1)
    await lake.delete(last!)
    const reports = await verifyPipeline(lakeFacts(lake), 'readings')
    expect(reports.flatMap(({ problems }) => problems)).toEqual([])
    expect(reports.reduce((sum, { pending }) => sum + pending, 0)).toBeGreaterThan(0)
  })

  it.each<[ChainProblem['code'], string, (lake: ObjectStore) => Promise<void>]>([
    [
      'unreadable',
      'a record that is no JSON',
      (store) => store.put(keys.record(TASK, 2), encodeUtf8('{"kind')),
    ],
    [
      'misplaced',
      'a record under the number of another',
      async (store) => store.put(keys.record(TASK, 2), (await store.get(keys.record(TASK, 3)))!),
    ],
    ['gap', 'a record that is gone', (store) => store.delete(keys.record(TASK, 4))],
    [
      'lineage',
      'work of a claim that was not the newest',
      (store) => change(store, 3, (record) => ({ ...record, claim: 2 })),
    ],
    [
      'lineage',
      'a record with the nonce of another',
      async (store) => {
        const key = keys.record(TASK, 2)
        const { nonce } = decodeRecord(key, decodeUtf8((await store.get(key))!))
        await change(store, 3, (record) => ({ ...record, nonce }))
      },
    ],
    [
      'staged-file',
      'state that is gone',
      async (store) => {
        const staged = await keysBelow(store, keys.stagedPrefix(TASK))
        await store.delete(staged.findLast((key) => key.endsWith('-dedupe.json'))!)
      },
    ],
    [
      'data-file',
      'a file of a table that is gone',
      async (store) => store.delete((await keysBelow(store, 'bronze/readings/readings-1-readings-0-'))[1]!),
    ],
    [
      'data-file',
      'a file of a table that was cut off',
      async (store) => {
        const [key] = await keysBelow(store, 'bronze/readings/readings-1-readings-0-')
        await store.put(key!, (await store.get(key!))!.subarray(1))
      },
    ],
    [
      'unpublished',
      'a marker without its file',
      async (store) => {
        const log = await keysBelow(store, 'bronze/readings/_delta_log/')
        const key = log.at(-1)!
        const lines = decodeUtf8((await store.get(key))!).split('\n')
        await store.put(key, encodeUtf8(lines.filter((line) => !line.startsWith('{"add"')).join('\n')))
      },
    ],
    [
      'behind',
      'the end of a chain that is gone',
      async (store) => {
        for (const key of (await keysBelow(store, keys.chainPrefix(TASK))).slice(-3)) await store.delete(key)
      },
    ],
    [
      'watermark-back',
      'a watermark that went back',
      (store) =>
        change(store, 5, (record) => {
          if (record.kind !== 'data' || record.work.type !== 'partition') throw new Error('no work')
          const state = { ...record.work.state, watermarkMs: -1 }
          return { ...record, work: { ...record.work, state } }
        }),
    ],
    [
      'merge',
      'the merge without the record of its snapshot',
      async (store) => {
        const chain = await keysBelow(store, keys.chainPrefix('merge-0'))
        for (const key of chain.slice(0, -1)) await store.delete(key)
        const key = chain.at(-1)!
        const record = decodeRecord(key, decodeUtf8((await store.get(key))!))
        if (record.kind !== 'data' || record.work.type !== 'merge') throw new Error('no merge')
        const work = { ...record.work, snapshot: { ...record.work.snapshot!, epoch: 1 } }
        await store.put(key, encodeUtf8(encodeRecord({ ...record, work })))
      },
    ],
    [
      'merge',
      'a chain that begins after what the merge has folded',
      async (store) => {
        for (const task of ['merge-0']) {
          for (const key of await keysBelow(store, keys.chainPrefix(task))) await store.delete(key)
        }
        await store.put(
          keys.record('merge-0', 0),
          encodeUtf8(
            encodeRecord({
              version: 1,
              kind: 'claim',
              pipeline: 'readings',
              incarnation: 1,
              task: 'merge-0',
              epoch: 0,
              nonce: 'x',
              run: 'r',
              writtenMs: 0,
            }),
          ),
        )
        await store.delete(keys.record(TASK, 0))
      },
    ],
  ])('%s: finds %s', async (code, _, damage) => {
    await damage(lake)
    const problems = await problemsIn(lake)
    expect(problems.map((problem) => problem.code)).toContain(code)
  })

  it('sealed: finds a replaced chain that is open', async () => {
    await start(program, { lake, records, epochRows: 9, fresh: true })
    const chain = await keysBelow(lake, keys.chainPrefix(TASK))
    await lake.delete(chain.at(-1)!)
    expect(await problemsIn(lake)).toMatchObject([{ code: 'sealed', task: TASK }])
  })
})
