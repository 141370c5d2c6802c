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
import { decodeUtf8 } from '../../src/columns/utf8.ts'
import { PipelineError } from '../../src/errors.ts'
import type { Source } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowsSource } from '../../src/testing/rows-source.ts'
import { Reading, reading } from '../support/reading.ts'
import { hookedStore, imageOf, rowsIn, start, tablesIn, WORLD } from '../support/world.ts'

function program(options: { name?: string; max?: number; withSilver?: boolean } = {}) {
  const { name = 'readings', max = 100, withSilver = true } = options
  const readings = stream('readings', Reading, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(millis(5)),
  })
  const sane = readings.expect('sane', { value: between(0, max) })
  const counts = sane
    .keyBy('sensor')
    .window(tumbling(millis(10)), { allowedLateness: millis(0) })
    .aggregate('counts', ({ count }) => ({ rows: count() }))
  return pipeline({
    name,
    tables: [
      bronze('readings', readings),
      ...(withSilver ? [silver('sane', sane)] : []),
      gold('counts', counts),
    ],
    circuitBreaker: false,
  })
}

const records = Array.from({ length: 60 }, (_, i) =>
  reading(i * 2, { value: i % 7 === 0 ? -1 : i, sensor: i % 2 === 0 ? 'a' : 'b', partition: i % 3 }),
)
const others = Array.from({ length: 9 }, (_, i) => reading(i, { value: i - 1, partition: i % 3 }))

describe('a second start', () => {
  it('finds everything read and published, and changes nothing', async () => {
    const lake = memoryStore()
    const first = await start(program(), { lake, records, epochRows: 7 })
    const image = await imageOf(lake)
    const second = await start(program(), { lake, records })
    expect(second).toMatchObject({ outcome: 'nothing-to-do', records: 0, epochs: 0, totals: first.totals })
    expect(await imageOf(lake)).toEqual(image)
  })

  it('has nothing to do either where the recording was empty', async () => {
    const lake = memoryStore()
    expect(await start(program(), { lake, records: [] })).toMatchObject({ outcome: 'completed' })
    const image = await imageOf(lake)
    expect(await start(program(), { lake, records: [] })).toMatchObject({ outcome: 'nothing-to-do' })
    expect(await imageOf(lake)).toEqual(image)
    expect(await rowsIn(lake, 'gold/counts')).toEqual([])
  })
})

describe('--fresh', () => {
  it('replaces the rows of every table, also of one that gets none this time', async () => {
    const lake = memoryStore()
    await start(program(), { lake, records, epochRows: 7 })
    expect((await rowsIn(lake, 'dead_letters')).length).toBeGreaterThan(0)
    const clean = others.filter((_, i) => i > 0)
    const summary = await start(program(), { lake, records: clean, fresh: true, epochRows: 2 })
    expect(summary).toMatchObject({ outcome: 'completed', incarnation: 2 })
    const alone = memoryStore()
    await start(program(), { lake: alone, records: clean })
    expect(await tablesIn(lake, program())).toEqual(await tablesIn(alone, program()))
    expect(await rowsIn(lake, 'dead_letters')).toEqual([])
  })

  it('leaves the dead letters of other pipelines alone', async () => {
    const lake = memoryStore()
    const other = pipeline({
      name: 'other',
      tables: [bronze('other', stream('others', Reading))],
      circuitBreaker: false,
    })
    await start(other, { lake, records: [{ value: null }] })
    await start(program(), { lake, records: others })
    await start(program(), { lake, records: others, fresh: true })
    const letters = await rowsIn(lake, 'dead_letters')
    expect(letters).toHaveLength(2)
    expect(new Set(letters.map((letter) => letter['pipeline']))).toEqual(new Set(['other', 'readings']))
  })

  it('seals the chains of all topics, also where the name of one begins with an underscore', async () => {
    const lake = memoryStore()
    const begin = async (fresh: boolean) => {
      const inner = rowsSource(program(), others).open(WORLD)
      const named = (await inner.partitions()).map((one) => ({ ...one, id: `_${one.id}` }))
      return start(program(), {
        lake,
        source: {
          description: inner.description,
          partitions: async () => named,
          open: (partition, position) => inner.open(partition, position),
          close: () => inner.close(),
        },
        fresh,
      })
    }
    await begin(false)
    await begin(true)
    for (const task of ['_readings-0', '_readings-1', '_readings-2', 'merge-0']) {
      const last = (await lake.list(`_millrace/readings/000001/${task}/`)).at(-1)!
      expect(JSON.parse(decodeUtf8((await lake.get(last.key))!))).toMatchObject({ kind: 'seal' })
    }
  })

  it('may bring another program', async () => {
    const lake = memoryStore()
    await start(program(), { lake, records })
    const summary = await start(program({ max: 3 }), { lake, records, fresh: true })
    expect(summary.outcome).toBe('completed')
    expect((await rowsIn(lake, 'silver/sane')).every((row) => Number(row['value']) <= 3)).toBe(true)
    expect(await start(program({ max: 3 }), { lake, records })).toMatchObject({ outcome: 'nothing-to-do' })
  })

  it('that is interrupted anywhere is either not begun, or to be begun again, or goes on', async () => {
    const undisturbed = memoryStore()
    await start(program(), { lake: undisturbed, records: others })
    const expected = await tablesIn(undisturbed, program())
    let interruptions = 0
    for (let writesLeft = 0; ; writesLeft++) {
      const lake = memoryStore()
      await start(program(), { lake, records, epochRows: 7 })
      const before = await tablesIn(lake, program())
      let writes = 0
      const breaking = hookedStore(lake, {
        before(call) {
          if (call === 'get' || call === 'list') return
          if (writes++ >= writesLeft) throw new PipelineError('CRASH', 'the process is gone')
        },
      })
      const interrupted = await start(program(), {
        lake: breaking,
        records: others,
        fresh: true,
        epochRows: 4,
      }).then(
        () => false,
        () => true,
      )
      if (!interrupted) break
      interruptions++
      // Every table shows one incarnation, never a mixture.
      for (const [path, rows] of Object.entries(await tablesIn(lake, program()))) {
        const old = before[path]!
        const isOld =
          rows.length === old.length && rows.every((row, i) => JSON.stringify(row) === JSON.stringify(old[i]))
        const isNew = rows.every((row) =>
          expected[path]!.some((one) => JSON.stringify(one) === JSON.stringify(row)),
        )
        expect(isOld || isNew, `${path} after ${writesLeft} writes`).toBe(true)
      }
      // A plain start says that it has nothing to do, or that --fresh was interrupted, or goes on with the new incarnation.
      const plain = await start(program(), { lake, records: others }).catch((error: unknown) => error)
      if (plain instanceof PipelineError) {
        expect(plain.code).toBe('INCARNATION_SEALED')
        expect(await start(program(), { lake, records: others, fresh: true })).toMatchObject({
          outcome: 'completed',
        })
        expect(await tablesIn(lake, program())).toEqual(expected)
      } else if ((plain as { incarnation: number }).incarnation === 1) {
        expect(await tablesIn(lake, program())).toEqual(before)
      } else {
        expect(await tablesIn(lake, program())).toEqual(expected)
      }
    }
    expect(interruptions).toBeGreaterThan(10)
  })
})

describe('is refused, and nothing is changed:', () => {
  it('a changed program; the step is named', async () => {
    const error = await refusal((lake) => start(program({ max: 99 }), { lake, records }))
    expect(error).toMatchObject({
      code: 'PROGRAM_CHANGED',
      message: expect.stringContaining('sane was changed'),
    })
    expect(error.message).not.toContain('counts')
    expect(error.advice).toContain('--fresh')
  })

  it('a program with a table less', async () => {
    const error = await refusal((lake) => start(program({ withSilver: false }), { lake, records }))
    expect(error.message).toContain('silver/sane was removed')
  })

  it('a table of another pipeline', async () => {
    const lake = memoryStore()
    await start(program(), { lake, records })
    const before = await tablesIn(lake, program())
    await expect(start(program({ name: 'second' }), { lake, records })).rejects.toMatchObject({
      code: 'TABLE_OF_ANOTHER',
      message: expect.stringContaining('belongs to pipeline readings'),
    })
    expect(await tablesIn(lake, program())).toEqual(before)
    expect(await start(program(), { lake, records })).toMatchObject({ outcome: 'nothing-to-do' })
  })

  it('a table that something else made', async () => {
    const lake = memoryStore()
    const text = [
      { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
      {
        metaData: {
          id: '00000000-0000-0000-0000-000000000000',
          format: { provider: 'parquet', options: {} },
          schemaString: '{"type":"struct","fields":[]}',
          partitionColumns: [],
          configuration: {},
        },
      },
    ]
    const body = new TextEncoder().encode(text.map((action) => `${JSON.stringify(action)}\n`).join(''))
    await lake.put('bronze/readings/_delta_log/00000000000000000000.json', body)
    await expect(start(program(), { lake, records })).rejects.toMatchObject({
      code: 'TABLE_OF_ANOTHER',
      message: expect.stringContaining('not made by Millrace'),
    })
  })

  it('a lake whose chains were deleted, or are an older copy than the tables', async () => {
    const lake = memoryStore()
    await start(program(), { lake, records, epochRows: 7 })
    const before = await tablesIn(lake, program())
    const chain = (await lake.list('_millrace/readings/000001/readings-1/')).map(({ key }) => key)
    for (const key of chain.slice(2)) await lake.delete(key)
    await expect(start(program(), { lake, records })).rejects.toMatchObject({ code: 'CHAIN_BEHIND' })
    for (const { key } of await lake.list('_millrace/')) await lake.delete(key)
    await expect(start(program(), { lake, records })).rejects.toMatchObject({ code: 'CHAIN_BEHIND' })
    expect(await tablesIn(lake, program())).toEqual(before)
    expect(await start(program(), { lake, records, fresh: true })).toMatchObject({ outcome: 'completed' })
    expect(await tablesIn(lake, program())).toEqual(before)
  })

  it('a topic whose partition has the name of the merge', async () => {
    const source = namedSource('one')
    const partition = { id: 'merge-0', topic: 'merge', partition: 0 }
    const renamed: Source = { ...source, partitions: () => Promise.resolve([partition]) }
    await expect(start(program(), { lake: memoryStore(), source: renamed })).rejects.toMatchObject({
      code: 'TASK_NAME_TAKEN',
    })
  })

  it('another recording', async () => {
    const lake = memoryStore()
    await start(program(), { lake, source: namedSource('one') })
    await expect(start(program(), { lake, source: namedSource('two') })).rejects.toMatchObject({
      code: 'SOURCE_CHANGED',
    })
    expect(await start(program(), { lake, source: namedSource('one') })).toMatchObject({
      outcome: 'nothing-to-do',
    })
    expect(await start(program(), { lake, source: namedSource('two'), fresh: true })).toMatchObject({
      outcome: 'completed',
    })
  })
})

function namedSource(identity: string): Source {
  const source = rowsSource(program(), records).open(WORLD)
  return {
    description: source.description,
    identity,
    partitions: () => source.partitions(),
    open: (partition, position) => source.open(partition, position),
    close: () => source.close(),
  }
}

/** The error of a start on a lake with rows, which must be as it was. */
async function refusal(work: (lake: ReturnType<typeof memoryStore>) => Promise<unknown>) {
  const lake = memoryStore()
  await start(program(), { lake, records })
  const image = await imageOf(lake)
  const error = await work(lake).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(await imageOf(lake)).toEqual(image)
  return error as PipelineError
}
