import {
  between,
  boundedOutOfOrderness,
  bronze,
  gold,
  millis,
  pipeline,
  silver,
  stream,
  tumbling,
} from 'millrace'
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowsSource } from '../../src/testing/rows-source.ts'
import { Reading, reading } from '../support/reading.ts'
import { scriptedSource } from '../support/scripted-source.ts'
import { hookedStore, rowsIn, start, tablesIn, WORLD } from '../support/world.ts'

const readings = stream('readings', Reading, {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(millis(5)),
})
const once = readings
  .expect('sane', { value: between(0, 100) })
  .dedupe('once', { by: 'sensor', within: millis(30) })
const counts = once
  .keyBy('sensor')
  .window(tumbling(millis(10)), { allowedLateness: millis(0) })
  .aggregate('counts', ({ count, sum }) => ({ rows: count(), total: sum('value') }))
const program = pipeline({
  name: 'stopping',
  tables: [bronze('readings', readings), silver('once', once), gold('counts', counts)],
  circuitBreaker: false,
})

const records = Array.from({ length: 240 }, (_, i) =>
  reading(i + ((i * 7) % 11), { value: ((i * 13) % 40) - 1, sensor: `s${(i * 17) % 23}`, partition: i % 2 }),
)
const source = () => rowsSource(program, records).open(WORLD)

async function undisturbed() {
  const lake = memoryStore()
  await start(program, { lake, records })
  return tablesIn(lake, program)
}

const broken = () => {
  throw new PipelineError('SOURCE_BROKEN', 'no more of this')
}

const UNAVAILABLE = () => new PipelineError('UNAVAILABLE', 'try again later', { retryable: true })

describe('a stop', () => {
  it.each([1, 5, 30, 1_000])(
    'in the middle, and a later start, give the same rows (epochs of %i rows)',
    async (epochRows) => {
      const expected = await undisturbed()
      for (const reads of [0, 1, 2, 5, 9]) {
        const lake = memoryStore()
        const controller = new AbortController()
        let left = reads
        const stopping = Array.from({ length: 100 }, () => () => {
          if (left-- === 0) controller.abort()
          return 7
        })
        const script = scriptedSource(source(), { 'readings-0': stopping, 'readings-1': stopping })
        const first = await start(program, { lake, source: script, signal: controller.signal, epochRows })
        expect(first.outcome).toBe('stopped')
        expect(first.records).toBeLessThan(records.length)
        // What was read by then is in the tables.
        expect(await rowsIn(lake, 'bronze/readings')).toHaveLength(first.records)
        const second = await start(program, { lake, records, epochRows })
        expect(second).toMatchObject({ outcome: 'completed', records: records.length - first.records })
        expect(await tablesIn(lake, program)).toEqual(expected)
        expect(second.totals.records).toBe(records.length)
      }
    },
  )

  it('of the source (--until) leaves the watermark and the windows open', async () => {
    const expected = await undisturbed()
    const lake = memoryStore()
    const script = { 'readings-0': [20, { kind: 'stop' }], 'readings-1': [13, { kind: 'stop' }] } as const
    const first = await start(program, { lake, source: scriptedSource(source(), script), epochRows: 8 })
    expect(first).toMatchObject({ outcome: 'stopped', records: 33 })
    const open = await rowsIn(lake, 'gold/counts')
    expect(Math.max(...open.map((row) => Date.parse(row['window_end'] as string)))).toBeLessThan(33)
    expect(await start(program, { lake, records })).toMatchObject({ outcome: 'completed' })
    expect(await tablesIn(lake, program)).toEqual(expected)
  })

  it('before the start reads nothing', async () => {
    const lake = memoryStore()
    const summary = await start(program, { lake, records, signal: AbortSignal.abort() })
    expect(summary).toMatchObject({ outcome: 'stopped', records: 0 })
    expect(await start(program, { lake, records })).toMatchObject({ outcome: 'completed' })
    expect(await tablesIn(lake, program)).toEqual(await undisturbed())
  })

  it('does not wait for a read that does not come', async () => {
    const lake = memoryStore()
    const controller = new AbortController()
    const never = () => {
      controller.abort()
      return new Promise<number>(() => {})
    }
    const script = scriptedSource(source(), { 'readings-0': [9, never], 'readings-1': [4, never] })
    const summary = await start(program, { lake, source: script, signal: controller.signal })
    expect(summary).toMatchObject({ outcome: 'stopped', records: 13 })
    expect(await rowsIn(lake, 'bronze/readings')).toHaveLength(13)
  })

  it('is graceful while the registry is away: what was read is recorded', async () => {
    const lake = memoryStore()
    const controller = new AbortController()
    let asked = 0
    const registry = {
      description: 'away',
      schemaById: () => {
        if (asked++ === 3) controller.abort()
        return Promise.reject(UNAVAILABLE())
      },
    }
    const summary = await start(program, { lake, records, registry, signal: controller.signal })
    expect(summary).toMatchObject({ outcome: 'stopped', records: 0 })
    expect(await start(program, { lake, records })).toMatchObject({ outcome: 'completed' })
    expect(await tablesIn(lake, program)).toEqual(await undisturbed())
  })

  it.each([
    '_millrace/stopping/000001/readings-0/',
    'bronze/readings/_delta_log/',
    '_millrace/stopping/incarnations/',
  ])('ends a put that never succeeds (%s), with its error', async (prefix) => {
    const lake = memoryStore()
    const controller = new AbortController()
    let tries = 0
    const failing = hookedStore(lake, {
      before(call, key) {
        if (call !== 'putIfAbsent' || !key.startsWith(prefix)) return
        if (tries++ === 2) controller.abort()
        throw UNAVAILABLE()
      },
    })
    await expect(start(program, { lake: failing, records, signal: controller.signal })).rejects.toMatchObject(
      {
        code: 'UNAVAILABLE',
      },
    )
    expect(await start(program, { lake, records })).toMatchObject({ outcome: 'completed' })
    expect(await tablesIn(lake, program)).toEqual(await undisturbed())
  })

  it('by the failure of one task ends what another tries in vain', async () => {
    const lake = memoryStore()
    const failing = hookedStore(lake, {
      before(call, key) {
        if (call === 'putIfAbsent' && key.includes('/readings-1/') && !key.endsWith('000000000000.json'))
          throw UNAVAILABLE()
      },
    })
    const script = scriptedSource(source(), { 'readings-0': [30, 30, broken] })
    await expect(start(program, { lake: failing, source: script, epochRows: 10 })).rejects.toMatchObject({
      code: 'SOURCE_BROKEN',
    })
    // What came before the error of the source is good.
    expect((await rowsIn(lake, 'bronze/readings')).filter((row) => row['_partition'] === 0)).toHaveLength(60)
  })
})
