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
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { readTable } from '../../sinks/delta/read-table.ts'
import { parquetDecoder } from '../../sinks/parquet/parquet-decoder.ts'
import { parquetEncoder } from '../../sinks/parquet/parquet-encoder.ts'
import { readRows } from '../../sinks/parquet/parquet-reader.ts'
import { compileAppender } from '../../src/columns/append.ts'
import { type ColumnBatch, createBatch } from '../../src/columns/column.ts'
import { valueAt } from '../../src/columns/row.ts'
import { compilePlan } from '../../src/engine/plan.ts'
import { planVacuum } from '../../src/cli/vacuum-plan.ts'
import { decodeUtf8 } from '../../src/columns/utf8.ts'
import { PipelineError } from '../../src/errors.ts'
import type { ObjectStore, Outbox, OutboxEpoch, SchemaRegistry, Source } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowsSource, type TestRecord } from '../../src/testing/rows-source.ts'
import type { PipelineSpec } from '../../src/topology/node.ts'
import { Reading, reading } from '../support/reading.ts'
import { scriptedSource } from '../support/scripted-source.ts'
import { hookedStore, start, type StartOptions, WORLD } from '../support/world.ts'

interface Parts {
  readonly windows?: readonly number[]
  readonly max?: number
  readonly bronzes?: readonly string[]
  readonly partitionBy?: 'sensor'
}

function program({ windows = [10], max = 1_000, bronzes = ['readings'], partitionBy }: Parts = {}) {
  const readings = stream('readings', Reading, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(millis(5)),
  })
  const sane = readings.expect('sane', { value: between(0, max) })
  const counts = windows.map((size) =>
    sane
      .keyBy('sensor')
      .window(tumbling(millis(size)), { allowedLateness: millis(0) })
      .aggregate(`counts_${size}`, ({ count, sum }) => ({ rows: count(), total: sum('value') })),
  )
  return pipeline({
    name: 'filling',
    tables: [
      ...bronzes.map((name) =>
        bronze(name, readings, partitionBy === undefined ? {} : { partitionBy: [partitionBy] }),
      ),
      silver('sane', sane),
      ...counts.map((count, i) => gold(`counts_${windows[i]}`, count)),
    ],
    circuitBreaker: false,
  })
}

/** Out of order, some late, some without a time, a tombstone and bytes that are no Avro. */
const records: readonly TestRecord[] = Array.from({ length: 240 }, (_, i) => {
  const partition = i % 3
  if (i % 41 === 7) return { value: null, key: `k${i}`, partition }
  if (i % 53 === 9) return { value: Uint8Array.of(0, 0, 0, 0, 1, 255, 255, i), partition }
  const at = i % 37 === 5 ? null : i - ((i * 7) % 11)
  return reading(at, {
    value: i % 17 === 0 ? -i : i / 3,
    sensor: i % 5 === 0 ? null : `s${i % 4}`,
    partition,
  })
})

const formatOf = (lake: ObjectStore) => deltaFormat(lake, parquetEncoder(), { decoder: parquetDecoder() })

const begin = (spec: PipelineSpec, lake: ObjectStore, options: Partial<StartOptions> = {}) =>
  start(spec, { lake, format: formatOf(lake), records, epochRows: 17, batchRecords: 13, ...options })

const ids = ['readings-0', 'readings-1', 'readings-2']

/** Reads so many records of each partition and stops. */
function beginUntil(
  spec: PipelineSpec,
  lake: ObjectStore,
  reads: number,
  options: Partial<StartOptions> = {},
) {
  const script = Object.fromEntries(ids.map((id) => [id, [reads, { kind: 'stop' } as const]]))
  const inner = options.source ?? rowsSource(spec, records).open(WORLD)
  return begin(spec, lake, { ...options, source: scriptedSource(inner, script) })
}

/** A store whose process is gone after so many writes. */
function crashingAfter(lake: ObjectStore, writesMax: number): ObjectStore {
  let writes = 0
  return hookedStore(lake, {
    before(call) {
      if (call === 'get' || call === 'list') return
      if (writes++ >= writesMax) throw new PipelineError('CRASH', 'the process is gone')
    },
  })
}

/** The newest positions of an incarnation's partitions. */
async function positionsOf(lake: ObjectStore, incarnation: number): Promise<readonly string[]> {
  const positions = ids.map(async (id) => {
    let position = ''
    for (const { key } of await lake.list(`_millrace/filling/00000${incarnation}/${id}/`)) {
      const record = JSON.parse(decodeUtf8((await lake.get(key))!)) as {
        work?: { state: { position: string } }
      }
      position = record.work?.state.position ?? position
    }
    return position
  })
  return Promise.all(positions)
}

type Rows = readonly string[]

/** What any reader of Parquet sees, in an order that only depends on the rows. */
async function tablesOf(lake: ObjectStore, spec: PipelineSpec): Promise<Record<string, Rows>> {
  const tables: Record<string, Rows> = {}
  for (const path of [...spec.tables.map(({ layer, name }) => `${layer}/${name}`), 'dead_letters']) {
    const table = await readTable(lake, path)
    const lines: string[] = []
    for (const file of table?.files.values() ?? []) {
      const body = await lake.get(`${path}/${decodeURIComponent(file.path)}`)
      const columns = (table?.fields ?? []).map(({ name }) => name)
      for (const row of await readRows(body!, columns))
        lines.push(lineOf({ ...row, ...file.partitionValues }))
    }
    tables[path] = lines.sort()
  }
  return tables
}

/** Without when it was written, by which incarnation, and the bytes of a letter, which history writes anew. */
function lineOf(row: Readonly<Record<string, unknown>>): string {
  const _value = row['stage'] === 'decode' ? row['_value'] : undefined
  const shown = { ...row, _value, _processed_at: undefined, incarnation: undefined }
  return JSON.stringify(shown, (_, cell: unknown) =>
    typeof cell === 'bigint' ? String(cell) : cell instanceof Uint8Array ? [...cell].join() : cell,
  )
}

async function undisturbed(spec: PipelineSpec, all = records) {
  const lake = memoryStore()
  await begin(spec, lake, { records: all })
  return tablesOf(lake, spec)
}

/** As OPTIMIZE does: one file in place of all, in another order, without tags and statistics. */
async function rewriteBronze(lake: ObjectStore): Promise<void> {
  const { shape } = compilePlan(program(), ['readings']).bronze[0]!
  const log = formatOf(lake).open(shape)
  const { version, files } = await log.read()
  const parts: ColumnBatch[] = []
  for (const file of [...files.values()].reverse()) {
    const body = await lake.get(`${shape.path}/${decodeURIComponent(file.path)}`)
    parts.push(parquetDecoder().decode(shape.fields, { file, body: body! }))
  }
  const append = compileAppender(shape.fields)
  const all = createBatch(shape.fields)
  for (const part of parts) {
    for (let row = part.length - 1; row >= 0; row--) {
      append(Object.fromEntries(part.columns.map((one) => [one.field.name, valueAt(one, row)])), all.columns)
      all.length++
    }
  }
  const [encoded] = parquetEncoder().encode(shape, all, null, all.length)
  await lake.put(`${shape.path}/all.parquet`, encoded!.body)
  const file = { path: 'all.parquet', size: encoded!.body.length, rows: all.length, partitionValues: {} }
  await log.commit(version + 1, {
    metadata: null,
    add: [{ ...file, stats: '', modifiedMs: 1, tags: {} }],
    remove: [...files.values()],
    txn: new Map(),
    committedMs: 1,
    operation: 'OPTIMIZE',
    info: {},
  })
}

/** A topic in memory. */
class LetterTopic implements Outbox {
  readonly description = 'a topic'
  readonly messageBytesMax = 1e6
  isBroken = false
  readonly #epochs = new Map<string, OutboxEpoch[]>()

  /** Letters with this reason. */
  count(reason: string): number {
    const messages = [...this.#epochs.values()].flat().flatMap((epoch) => epoch.messages)
    return messages.filter(({ headers }) =>
      headers.some(({ key, value }) => key === 'millrace.reason' && decodeUtf8(value!) === reason),
    ).length
  }

  async open() {
    return []
  }

  async claim(_pipeline: string, task: string) {
    const epochs = this.#epochs.get(task) ?? []
    this.#epochs.set(task, epochs)
    return {
      marker: epochs.at(-1) ?? null,
      findPublished: async () => new Set<number>(),
      publish: async (epoch: OutboxEpoch) => {
        if (this.isBroken) throw new PipelineError('NO_RIGHT', 'no')
        epochs.push(epoch)
      },
      close: async () => {},
    }
  }

  async close() {}
}

/** A registry that gets its schema a little late. */
function lateRegistry(): SchemaRegistry {
  const { registry } = rowsSource(program(), records)
  let asked = 0
  return {
    description: 'a registry that is late',
    schemaById: (id) => (asked++ < 5 ? Promise.resolve(null) : registry.schemaById(id)),
  }
}

/** Deletes what a vacuum would when everything is old, and says how many data files that were. */
async function vacuum(lake: ObjectStore): Promise<number> {
  const oldStore: ObjectStore = {
    ...hookedStore(lake, {}),
    listFolders: (prefix) => lake.listFolders!(prefix),
    list: async (prefix, startAfter) =>
      (await lake.list(prefix, startAfter)).map((object) => ({ ...object, modifiedMs: 0 })),
  }
  const nowMs = Date.now() + 1e10
  let files = 0
  for (const { what, objects } of await planVacuum(
    oldStore,
    ['bronze/readings', 'dead_letters'],
    nowMs,
    nowMs,
  )) {
    for (const { key } of objects) await lake.delete(key)
    if (what === 'data files') files += objects.length
  }
  return files
}

/** A source that has deleted what lies below. */
function deletedBelow(inner: Source, offset: number): Source {
  return {
    description: inner.description,
    partitions: () => inner.partitions(),
    open(partition, position) {
      if (Number(position ?? 0) >= offset) return inner.open(partition, position)
      throw new PipelineError('POSITION_EXPIRED', `${partition.id} begins at ${offset} now`)
    },
    close: () => inner.close(),
  }
}

describe('--backfill', () => {
  it.each([
    ['a window that is added', { windows: [10, 20] }],
    ['a step that is changed', { max: 30, windows: [7] }],
    ['a bronze table that is added', { bronzes: ['readings', 'again'] }],
  ])('gives %s the history that the source has deleted', async (_, parts) => {
    const lake = memoryStore()
    await beginUntil(program(), lake, 50)
    const after = program(parts)
    const source = deletedBelow(rowsSource(after, records).open(WORLD), 50)
    expect(await begin(after, lake, { source, backfill: true })).toMatchObject({
      outcome: 'completed',
      incarnation: 2,
      totals: { records: 240 },
    })
    expect(await tablesOf(lake, after)).toEqual(await undisturbed(after))
  })

  it('keeps the files of bronze, and writes nothing twice', async () => {
    const lake = memoryStore()
    await beginUntil(program(), lake, 50)
    const before = [...(await readTable(lake, 'bronze/readings'))!.files.keys()]
    await begin(program({ max: 3 }), lake, { backfill: true })
    const after = (await readTable(lake, 'bronze/readings'))!.files
    expect(before.every((path) => after.has(path))).toBe(true)
  })

  it('is asked for as often as one likes: what began with this program goes on, from the middle of its history too', async () => {
    const lake = memoryStore()
    const after = program({ windows: [10, 20] })
    await beginUntil(program(), lake, 50)
    const seen: string[] = []
    for (const writes of [60, 20, 40]) {
      await begin(after, crashingAfter(lake, writes), { backfill: true }).catch(() => {})
      seen.push(...(await positionsOf(lake, 2)))
    }
    expect(new Set(seen.filter((position) => position.startsWith('history:'))).size).toBeGreaterThan(3)
    expect(await begin(after, lake)).toMatchObject({ outcome: 'completed', incarnation: 2 })
    expect(await begin(after, lake, { backfill: true })).toMatchObject({ outcome: 'nothing-to-do' })
    expect(await tablesOf(lake, after)).toEqual(await undisturbed(after))
  })

  it('gives a history that is all there is', async () => {
    const lake = memoryStore()
    expect(await begin(program(), lake)).toMatchObject({ outcome: 'completed' })
    const after = program({ windows: [20] })
    const source = deletedBelow(rowsSource(after, records).open(WORLD), 80)
    expect(await begin(after, lake, { source, backfill: true })).toMatchObject({ outcome: 'completed' })
    expect(await tablesOf(lake, after)).toEqual(await undisturbed(after))
    expect(await begin(after, lake)).toMatchObject({ outcome: 'nothing-to-do' })
  })

  it('is a first start where there was none', async () => {
    const lake = memoryStore()
    expect(await begin(program(), lake, { backfill: true })).toMatchObject({ incarnation: 1 })
    expect(await tablesOf(lake, program())).toEqual(await undisturbed(program()))
  })

  it('also fills what was added on the way, and drops what is removed', async () => {
    const lake = memoryStore()
    await beginUntil(program({ windows: [10, 30] }), lake, 30)
    await beginUntil(program({ windows: [10, 30, 20] }), lake, 20)
    const after = program({ windows: [20] })
    expect(await begin(after, lake, { backfill: true })).toMatchObject({ incarnation: 2 })
    expect(await tablesOf(lake, after)).toEqual(await undisturbed(after))
  })

  it.each([26, 34, 45, 60, 80])(
    'may be followed by another one, after %i writes of the first',
    async (writes) => {
      const lake = memoryStore()
      await beginUntil(program(), lake, 50, { registry: lateRegistry() })
      const second = program({ max: 30 })
      const source = () => deletedBelow(rowsSource(second, records).open(WORLD), 50)
      await begin(second, crashingAfter(lake, writes), { source: source(), backfill: true }).catch(() => {})
      expect((await positionsOf(lake, 2)).some((position) => position.startsWith('history:'))).toBe(true)
      const third = program({ windows: [20] })
      expect(await begin(third, lake, { source: source(), backfill: true })).toMatchObject({ incarnation: 3 })
      expect(await tablesOf(lake, third)).toEqual(await undisturbed(third))
    },
  )

  it('puts the rows of a partitioned table in order again', async () => {
    const lake = memoryStore()
    await beginUntil(program({ partitionBy: 'sensor' }), lake, 50)
    const after = program({ partitionBy: 'sensor', windows: [10, 20] })
    await begin(after, lake, { backfill: true })
    expect(await tablesOf(lake, after)).toEqual(await undisturbed(after))
  })

  it('decodes again what could not be decoded, and puts it into bronze where it can be now', async () => {
    const lake = memoryStore()
    const spec = program()
    await beginUntil(spec, lake, 50, { registry: lateRegistry() })
    const before = await tablesOf(lake, spec)
    expect(before['dead_letters']!.length).toBeGreaterThan(20)
    const after = program({ windows: [20] })
    await begin(after, lake, { backfill: true })
    expect(await tablesOf(lake, after)).toEqual(await undisturbed(after))
  })

  it('may be asked for by several processes at once', async () => {
    const after = program({ windows: [20], max: 40 })
    const expected = await undisturbed(after)
    const lake = memoryStore()
    await beginUntil(program(), lake, 50)
    const starts = Array.from({ length: 3 }, () => begin(after, lake, { backfill: true }))
    await Promise.allSettled(starts)
    expect(await begin(after, lake, { backfill: true })).toMatchObject({ incarnation: 2 })
    expect(await tablesOf(lake, after)).toEqual(expected)
  })

  it('sends the dead letters that their topic has not got yet, and does not try those again', async () => {
    const lake = memoryStore()
    const topic = new LetterTopic()
    const deadLetters = { outbox: topic, topic: 'letters' }
    topic.isBroken = true
    await expect(beginUntil(program(), lake, 50, { deadLetters })).rejects.toMatchObject({ code: 'NO_RIGHT' })
    const after = program({ windows: [20] })
    await expect(begin(after, lake, { backfill: true })).rejects.toMatchObject({ code: 'OUTBOX_UNBOUND' })
    topic.isBroken = false
    expect(await begin(after, lake, { backfill: true, deadLetters })).toMatchObject({ incarnation: 2 })
    const letters = (await undisturbed(after))['dead_letters']!
    const undecodable = letters.filter((line) => line.includes('"undecodable"'))
    expect(topic.count('undecodable')).toBe(undecodable.length)
    const { dead_letters: _, ...tables } = await tablesOf(lake, after)
    expect({ ...tables, dead_letters: letters }).toEqual(await undisturbed(after))
  })

  it('reads files that somebody else has made of those of Millrace', async () => {
    const lake = memoryStore()
    await beginUntil(program(), lake, 50)
    await rewriteBronze(lake)
    const after = program({ windows: [20] })
    await begin(after, lake, { backfill: true })
    expect(await tablesOf(lake, after)).toEqual(await undisturbed(after))
  })

  it('keeps its history from a vacuum until it has been read', async () => {
    const lake = memoryStore()
    await beginUntil(program(), lake, 50, { registry: lateRegistry() })
    const after = program({ windows: [20] })
    await begin(after, crashingAfter(lake, 60), { backfill: true }).catch(() => {})
    expect((await positionsOf(lake, 2)).some((position) => position.startsWith('history:'))).toBe(true)
    expect(await vacuum(lake)).toBe(0)
    await begin(after, lake)
    expect(await tablesOf(lake, after)).toEqual(await undisturbed(after))
    // Dead letters that have left their table, once everything is read.
    expect(await vacuum(lake)).toBeGreaterThan(0)
  })

  it('says which file is gone', async () => {
    const lake = memoryStore()
    await beginUntil(program(), lake, 50)
    const after = program({ windows: [20] })
    await begin(after, crashingAfter(lake, 30), { backfill: true }).catch(() => {})
    for (const path of (await readTable(lake, 'bronze/readings'))!.files.keys())
      await lake.delete(`bronze/readings/${decodeURIComponent(path)}`)
    await expect(begin(after, lake)).rejects.toMatchObject({ code: 'HISTORY_GONE' })
  })

  it('that is interrupted anywhere is not begun, or is to be begun again, or goes on', async () => {
    const after = program({ windows: [20], max: 40 })
    const expected = await undisturbed(after)
    let interruptions = 0
    const outcomes = new Set<string>()
    for (let writesLeft = 0; ; writesLeft += 1 + Math.floor(writesLeft / 5)) {
      const lake = memoryStore()
      await beginUntil(program(), lake, 50)
      // The last epochs are recorded, and not in the tables yet.
      let commits = 0
      const unpublished = hookedStore(lake, {
        before(call, key) {
          if (call === 'putIfAbsent' && key.includes('_delta_log') && commits++ > 2)
            throw new PipelineError('CRASH', 'the process is gone')
        },
      })
      await beginUntil(program(), unpublished, 20).catch(() => {})
      const isInterrupted = await begin(after, crashingAfter(lake, writesLeft), {
        backfill: true,
        epochRows: 40,
      }).then(
        () => false,
        () => true,
      )
      if (!isInterrupted) break
      interruptions++
      const plain = await begin(after, lake, { epochRows: 40 }).catch((error: unknown) => error)
      if (plain instanceof PipelineError) {
        outcomes.add(plain.code)
        await begin(after, lake, { backfill: true, epochRows: 40 })
      } else outcomes.add('goes on')
      expect(await tablesOf(lake, after), `after ${writesLeft} writes`).toEqual(expected)
    }
    expect(interruptions).toBeGreaterThan(12)
    expect([...outcomes].sort()).toEqual(['PROGRAM_CHANGED', 'goes on'])
  }, 60_000)
})

describe('--backfill is refused, and nothing is changed:', () => {
  const imageOf = async (lake: ObjectStore) => (await lake.list('')).map(({ key }) => key)

  it.each([
    ['a program without a bronze table', { bronzes: [] }, 'BACKFILL_NO_HISTORY'],
    ['one whose bronze table is new', { bronzes: ['other'] }, 'BACKFILL_NO_HISTORY'],
    [
      'one whose bronze table has other partitions',
      { partitionBy: 'sensor' as const },
      'TABLE_SCHEMA_MISMATCH',
    ],
  ])('%s', async (_, parts, code) => {
    const lake = memoryStore()
    await beginUntil(program(), lake, 50)
    const image = await imageOf(lake)
    await expect(begin(program({ ...parts, windows: [20] }), lake, { backfill: true })).rejects.toMatchObject(
      {
        code,
      },
    )
    expect(await imageOf(lake)).toEqual(image)
  })

  it('a bronze table that was added on the way', async () => {
    const lake = memoryStore()
    await beginUntil(program({ bronzes: [] }), lake, 30)
    await beginUntil(program(), lake, 20)
    await expect(begin(program({ max: 3 }), lake, { backfill: true })).rejects.toMatchObject({
      code: 'BACKFILL_NO_HISTORY',
      advice: expect.stringContaining('--fresh'),
    })
  })
})

describe('a backfill of an incarnation that was itself begun and not finished', () => {
  const nothingKnown = { description: 'an empty registry', schemaById: async () => null }

  it.each([26, 45, 60])(
    'fills a bronze table that the first one was filling (after %i writes)',
    async (writes) => {
      const lake = memoryStore()
      await beginUntil(program(), lake, 50)
      const second = program({ bronzes: ['readings', 'again'] })
      await begin(second, crashingAfter(lake, writes), { backfill: true }).catch(() => {})
      const third = program({ bronzes: ['readings', 'again'], windows: [20] })
      await begin(third, lake, { backfill: true })
      expect(await tablesOf(lake, third)).toEqual(await undisturbed(third))
    },
  )

  it.each([9, 14, 18, 25])('takes nothing of what --fresh has replaced (after %i writes)', async (writes) => {
    const lake = memoryStore()
    await beginUntil(program(), lake, 50)
    await begin(program(), crashingAfter(lake, writes), { fresh: true, registry: nothingKnown }).catch(
      () => {},
    )
    const third = program({ windows: [20] })
    await begin(third, lake, { backfill: true })
    expect(await tablesOf(lake, third)).toEqual(await undisturbed(third))
  })
})
