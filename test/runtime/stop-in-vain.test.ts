import { boundedOutOfOrderness, bronze, millis, pipeline, stream } from 'millrace'
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import type { Membership, Source } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowsSource } from '../../src/testing/rows-source.ts'
import { Reading, reading } from '../support/reading.ts'
import { gate, quiet, scriptedSource } from '../support/scripted-source.ts'
import { TestGroup } from '../support/test-group.ts'
import { hookedStore, rowsIn, start, WORLD } from '../support/world.ts'

const readings = stream('readings', Reading, { eventTime: 'at', watermark: boundedOutOfOrderness(millis(0)) })
const program = pipeline({ name: 'vain', tables: [bronze('readings', readings)] })
const records = Array.from({ length: 60 }, (_, i) => reading(i, { partition: i % 2 }))
const source = () => rowsSource(program, records).open(WORLD)
const ROOT = '_millrace/vain/000001/'

/** A member that hears nothing from its group any more. */
function unheard(shared: Source, asked: () => void): Source {
  const membership: Membership = {
    ...shared.membership!,
    confirm: () => {
      asked()
      return new Promise<boolean>(() => {})
    },
  }
  return { ...shared, membership }
}

describe('a stop does not wait', () => {
  it('for a group that does not say whether a lost task is still ours', async () => {
    const lake = memoryStore()
    const other = gate()
    const stop = new AbortController()
    const script = scriptedSource(source(), {
      'readings-0': [
        3,
        async () => {
          await other.passed
          return 3
        },
      ],
      'readings-1': Array.from({ length: 10_000 }, () => quiet(0)),
    })
    const group = new TestGroup(await script.partitions())
    const member = unheard(group.join('a', script), () => stop.abort())
    const run = start(program, { lake, source: member, signal: stop.signal, epochRows: 3 })
    while (group.members.length === 0) await WORLD.clock.sleep(0)
    await group.assign(new Map(group.tasks.map((task) => [task, 'a'])))
    while ((await rowsIn(lake, 'bronze/readings')).length < 3) await WORLD.clock.sleep(0)
    await start(program, { lake, records })
    other.open()
    expect(await run).toMatchObject({ outcome: 'stopped' })
    expect(await rowsIn(lake, 'bronze/readings')).toHaveLength(records.length)
  })

  it('for the search for what an interrupted run has staged', async () => {
    const lake = memoryStore()
    const stop = new AbortController()
    const searched: string[] = []
    const watched = hookedStore(lake, {
      before(call, key) {
        if (call !== 'list' || !key.startsWith(`${ROOT}_staged/`)) return
        searched.push(key)
        stop.abort()
      },
    })
    expect(await start(program, { lake: watched, records, signal: stop.signal })).toMatchObject({
      outcome: 'stopped',
    })
    expect(searched).toHaveLength(1)
  })
})

it('a failure is what the run ends with, also where the others are not done in time', async () => {
  const lake = memoryStore()
  const over = gate()
  const stuck = hookedStore(lake, {
    async before(call, key) {
      if (call === 'putIfAbsent' && key === `${ROOT}readings-1/000000000001.json`) await over.passed
    },
  })
  const broken = () => {
    throw new PipelineError('SOURCE_BROKEN', 'no more of this')
  }
  const script = scriptedSource(source(), { 'readings-0': [3, broken] })
  const run = start(program, { lake: stuck, source: script, epochRows: 3, stopWithinMs: 1 })
  await expect(run).rejects.toMatchObject({ code: 'SOURCE_BROKEN' })
  over.open()
})
