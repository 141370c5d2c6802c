import { boundedOutOfOrderness, bronze, gold, millis, pipeline, silver, stream, tumbling } from 'millrace'
import { describe, expect, it } from 'vitest'
import { ChainKeys, parseMergeTask } from '../../src/checkpoint/keys.ts'
import { PipelineError } from '../../src/errors.ts'
import type { ObjectStore } from '../../src/ports.ts'
import { ALL_RULES } from '../../src/runtime/rules.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { readTable } from '../../sinks/delta/read-table.ts'
import { Reading, reading } from '../support/reading.ts'
import { chainsIn, retain } from '../support/retained.ts'
import { hookedStore, start, tablesIn } from '../support/world.ts'

const readings = stream('readings', Reading, {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(millis(20)),
})
const once = readings.dedupe('once', { by: 'sensor', within: millis(1_000) })
const sums = once
  .keyBy('sensor')
  .window(tumbling(millis(1_400)), { allowedLateness: millis(0) })
  .aggregate('sums', ({ count, sum }) => ({ rows: count(), total: sum('value') }))
const program = pipeline({
  name: 'readings',
  tables: [bronze('readings', readings), silver('once', once), gold('sums', sums)],
  circuitBreaker: false,
})

/** Every third sensor speaks again, some of them much later; most windows are open for long, so that the merge's snapshots are rare. */
const records = Array.from({ length: 700 }, (_, i) =>
  reading(i * 2, { sensor: `s${i % 3 === 0 ? Math.floor(i / 6) : i}`, value: i, partition: i % 3 }),
)
const LIMITS = { keepRecords: 2, recordsMin: 4, deletesMax: 1_000 }
const EPOCH_ROWS = 3
const keys = new ChainKeys('readings', 1)
const isRecord = (key: string): boolean => /\/\d{12}\.json$/.test(key)

/** A run that is asked to stop when it has put so many records. */
async function startAndStop(lake: ObjectStore, recordsMax: number): Promise<string> {
  const stop = new AbortController()
  let left = recordsMax
  const counting = hookedStore(lake, {
    before(call, key) {
      if (call === 'putIfAbsent' && isRecord(key) && --left === 0) stop.abort()
    },
  })
  return (
    await start(program, {
      lake: counting,
      records,
      epochRows: EPOCH_ROWS,
      batchRecords: 2,
      signal: stop.signal,
    })
  ).outcome
}

/** One table stops taking anything, while the others go on for some epochs. */
async function startWithFullTable(lake: ObjectStore, commitsMax: number): Promise<void> {
  let commits = 0
  const full = hookedStore(lake, {
    before(call, key) {
      const isCommit = call === 'putIfAbsent' && key.startsWith('silver/once/_delta_log/')
      if (isCommit && ++commits > commitsMax) throw new PipelineError('STORE_FULL', 'no space')
    },
  })
  await expect(start(program, { lake: full, records, epochRows: EPOCH_ROWS })).rejects.toThrow('no space')
}

async function undisturbed() {
  const lake = memoryStore()
  await start(program, { lake, records, epochRows: EPOCH_ROWS })
  return tablesIn(lake, program)
}

describe('a pipeline whose old records are deleted', () => {
  it('goes on from what is left, as often as it is stopped, and writes what an undisturbed one writes', async () => {
    const lake = memoryStore()
    let deleted = 0
    let starts = 0
    for (; starts < 40; starts++) {
      const outcome = await startAndStop(lake, 30)
      const report = await retain(program, lake, LIMITS)
      deleted += report.records
      if (outcome === 'completed') break
    }
    expect(starts).toBeGreaterThan(5)
    expect(deleted).toBeGreaterThan(100)
    expect(await start(program, { lake, records })).toMatchObject({ outcome: 'nothing-to-do' })
    expect(await tablesIn(lake, program)).toEqual(await undisturbed())
    for (const [task, epochs] of Object.entries(await chainsIn(lake, program))) {
      if (parseMergeTask(task) === null) expect(epochs[0]).toBeGreaterThan(0)
      expect(epochs.length).toBeLessThan(50)
    }
    const staged = (await lake.list(`${keys.root}_staged/`)).length
    expect(staged).toBeLessThan(150)
  })

  it('deletes them beside its work, and is not disturbed where that fails', async () => {
    const expected = await undisturbed()
    for (const isDenied of [false, true]) {
      const lake = memoryStore()
      let deleted = 0
      const counting = hookedStore(lake, {
        before(call, key) {
          if (call !== 'delete' || !isRecord(key)) return
          if (isDenied) throw new PipelineError('STORE_NOT_WRITABLE', 'deleting is forbidden')
          deleted++
        },
      })
      const retention = { keepRecords: 2, recordsMin: 4 }
      const summary = await start(program, {
        lake: counting,
        records,
        epochRows: EPOCH_ROWS,
        batchRecords: 2,
        retention,
      })
      expect(summary.outcome).toBe('completed')
      if (!isDenied) expect(deleted).toBeGreaterThan(100)
      expect(await tablesIn(lake, program)).toEqual(expected)
      expect(await start(program, { lake, records })).toMatchObject({ outcome: 'nothing-to-do' })
    }
  })

  it('is left whole where the deletion stops half-way, whatever it was doing', async () => {
    const lake = memoryStore()
    await startAndStop(lake, 60)
    let budget = 0
    const dying = hookedStore(lake, {
      before(call) {
        if (call === 'delete' && budget-- <= 0) throw new PipelineError('STORE_FAILED', 'killed')
      },
    })
    for (const deletes of [1, 3, 9]) {
      budget = deletes
      await retain(program, dying, LIMITS)
      await startAndStop(lake, 20)
    }
    await start(program, { lake, records, epochRows: EPOCH_ROWS })
    expect(await tablesIn(lake, program)).toEqual(await undisturbed())
  })

  it('deletes no more in one round than it may', async () => {
    const lake = memoryStore()
    await start(program, { lake, records, epochRows: EPOCH_ROWS })
    const before = (await lake.list(keys.root)).length
    const { records: deleted, staged } = await retain(program, lake, { ...LIMITS, deletesMax: 10 })
    // Which of them depends on how many epochs the merge has folded at once.
    expect(deleted + staged).toBe(10)
    expect((await lake.list(keys.root)).length).toBe(before - 10)
  })

  it('marks every table above what it deletes, in one commit for all tasks', async () => {
    const lake = memoryStore()
    await start(program, { lake, records, epochRows: EPOCH_ROWS })
    const before = (await readTable(lake, 'dead_letters'))!
    await retain(program, lake, LIMITS)
    const after = (await readTable(lake, 'dead_letters'))!
    expect(after.version).toBe(before.version + 1)
    const chains = await chainsIn(lake, program)
    for (const task of ['readings-0', 'readings-1', 'readings-2']) {
      const first = chains[task]![0]!
      expect(first).toBeGreaterThan(0)
      for (const path of ['bronze/readings', 'silver/once', 'dead_letters']) {
        expect((await readTable(lake, path))!.txn.get(keys.appId(task))).toBeGreaterThanOrEqual(first)
      }
    }
  })

  it.each(['deletePublishedOnly', 'retainMergeSnapshot', 'retainNamedState'] as const)(
    'needs the rule %s',
    async (rule) => {
      const play = async (isKept: boolean): Promise<void> => {
        const lake = memoryStore()
        if (rule === 'deletePublishedOnly') await startWithFullTable(lake, 12)
        else await startAndStop(lake, rule === 'retainMergeSnapshot' ? 230 : 80)
        const limits = { ...LIMITS, keepRecords: 0, recordsMin: 1 }
        await retain(program, lake, limits, { ...ALL_RULES, [rule]: isKept })
        await start(program, { lake, records, epochRows: EPOCH_ROWS })
        expect(await tablesIn(lake, program)).toEqual(await undisturbed())
      }
      await play(true)
      await expect(play(false)).rejects.toThrow()
    },
  )
})
