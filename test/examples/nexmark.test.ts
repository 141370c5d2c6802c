import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import avsc from 'avsc'
import { pipeline, run } from 'millrace'
import { recording } from 'millrace/consumers/recording'
import { directory } from 'millrace/sinks/directory'
import { replay, type Row } from 'millrace/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { expectedRows, QUERIES, type Query, writtenRows } from '../../examples/nexmark/expected.ts'
import { makeEvents } from '../../examples/nexmark/make-recording.ts'
import q1 from '../../examples/nexmark/q1.ts'
import q11 from '../../examples/nexmark/q11.ts'
import q12 from '../../examples/nexmark/q12.ts'
import q2 from '../../examples/nexmark/q2.ts'
import q3 from '../../examples/nexmark/q3.ts'
import q5 from '../../examples/nexmark/q5.ts'
import q7 from '../../examples/nexmark/q7.ts'
import q8 from '../../examples/nexmark/q8.ts'
import { findPython, runPython } from '../parts/python.ts'

const EXAMPLE = new URL('../../examples/nexmark/', import.meta.url).pathname
const RECORDING = join(EXAMPLE, 'events.avro')
const EVENTS = 20_000
const EVENT = avsc.Type.forSchema(JSON.parse(readFileSync(join(EXAMPLE, 'registry/1-event.avsc'), 'utf8')))

const PROGRAMS = { q1, q2, q3, q5, q7, q8, q11, q12 } satisfies Record<Query, unknown>

/** In arrival time: no window ends just there. */
const HALF_WAY = new Date('2015-07-15T00:03:23Z')

/** Where the answer of a query is. */
const TABLES = {
  q1: 'silver/bids_in_euros',
  q2: 'silver/bids_on_some',
  q3: 'gold/local_sales',
  q5: 'gold/hot_items',
  q7: 'gold/highest_bids',
  q8: 'gold/new_sellers',
  q11: 'gold/bidder_sessions',
  q12: 'gold/bidder_bids',
} satisfies Record<Query, string>

const expected = (query: Query): readonly Row[] =>
  writtenRows(query)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)

/** The columns that the SQL has, in its order. The rows in an order that depends on them alone. */
function comparable(rows: readonly Row[], columns: readonly string[]): readonly string[] {
  return rows.map((row) => JSON.stringify(columns.map((name) => row[name]))).sort()
}

function expectAnswer(query: Query, rows: readonly Row[]): void {
  const wanted = expected(query)
  const columns = Object.keys(wanted[0]!)
  const found = comparable(rows, columns)
  const right = comparable(wanted, columns)
  // The first that differs says more than thousands of rows.
  const at = right.findIndex((line, index) => line !== found[index])
  expect({ query, rows: found.length, row: found[at] }).toEqual({
    query,
    rows: right.length,
    row: right[at],
  })
}

describe.each([
  ['as it is cut by default', {}],
  ['cut into epochs of 1,777 rows', { epochRows: 1_777, batchRecords: 211 }],
])('a replay, %s', (_, options) => {
  test.each(QUERIES)('of %s gives the rows that DuckDB computes', async (query) => {
    const result = await replay(PROGRAMS[query], { recording: RECORDING, ...options })
    expect(result.summary.records).toBe(EVENTS)
    expect(result.rows('dead_letters')).toEqual([])
    const rows = result.rows(TABLES[query])
    expectAnswer(query, rows)
    // Only query 3 asks for results before they are final.
    if (query !== 'q3') expect(rows.filter(({ revision }) => (revision ?? 0) !== 0)).toEqual([])
  })
})

test('query 3 in small epochs gives results before they are final, and the same rows in the end', async () => {
  const result = await replay(q3, { recording: RECORDING, epochRows: 40, batchRecords: 64 })
  const rows = result.rows(TABLES.q3)
  expect(rows.some(({ revision }) => Number(revision) > 0)).toBe(true)
  expectAnswer('q3', rows)
})

test.each(['q3', 'q5', 'q11'] as const)('three merge tasks give the same rows for %s', async (query) => {
  const { name, tables } = PROGRAMS[query]
  const divided = pipeline({ name, tables, mergeParallelism: 3 })
  const result = await replay(divided, { recording: RECORDING, epochRows: 2_500 })
  expectAnswer(query, result.rows(TABLES[query]))
})

interface Reading {
  readonly rows: readonly Row[]
  readonly error?: string
}
const READERS = ['deltalake', 'duckdb'] as const
const TIMES: ReadonlySet<string> = new Set(['at', 'window_start', 'window_end'])

const python = await findPython()
const title = python.kind === 'missing' ? `a lake (skipped: ${python.reason})` : 'a lake'

describe.skipIf(python.kind === 'missing')(title, () => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-nexmark-'))
  afterAll(() => rmSync(root, { recursive: true, force: true }))
  let readings: Record<string, Record<(typeof READERS)[number], Reading>> = {}

  beforeAll(async () => {
    if (python.kind === 'missing') return
    const started = new Set<Query>()
    // Stopped in the middle, while windows are open, and started again.
    for (const query of [...QUERIES, ...QUERIES]) {
      const until = started.has(query) ? {} : { until: HALF_WAY }
      started.add(query)
      const { records } = await run(PROGRAMS[query], {
        source: recording({ path: RECORDING, ...until }),
        lake: directory(root),
        flush: { maxRows: 4_000 },
        signal: new AbortController().signal,
        log: SILENT,
      })
      expect(records).toBeGreaterThan(0)
      expect(records).toBeLessThan(EVENTS)
    }
    const jobs = QUERIES.map((query) => ({ name: query, path: join(root, TABLES[query]), readers: READERS }))
    writeFileSync(join(root, 'jobs.json'), JSON.stringify(jobs))
    const program = new URL('../parts/read_tables.py', import.meta.url).pathname
    readings = await runPython(python.executable, program, [join(root, 'jobs.json')])
  })

  describe.each(READERS)('read by %s', (reader) => {
    test.each(QUERIES)('has the rows of %s', (query) => {
      const { rows, error = '' } = readings[query]![reader]
      expect(error).toBe('')
      const columns = Object.keys(expected(query)[0]!)
      const plain = rows.map((row) =>
        Object.fromEntries(columns.map((name) => [name, plainValue(row[name], TIMES.has(name))])),
      )
      expect(comparable(plain, columns)).toEqual(comparable(expected(query), columns))
    })
  })
})

const SILENT = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT }

/** From what read_tables.py prints to the JSON of the expected rows. */
function plainValue(value: unknown, isTime: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => plainValue(item, false))
  const text = String(value)
  if (text.startsWith('s:')) return text.slice(2)
  const integer = Number(text.slice(2))
  return isTime ? new Date(integer / 1000).toISOString() : integer
}

test('the expected rows are what the SQL makes of the recording', async () => {
  for (const [query, rows] of await expectedRows(RECORDING)) {
    expect(rows === writtenRows(query), `${query}: run examples/nexmark/expected.ts`).toBe(true)
  }
})

describe('the recording', () => {
  test('is what its script makes of the events', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-nexmark-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const records = await decodedWithAvsc(RECORDING)
    const lines = records.map(({ value, timestamp }) =>
      JSON.stringify({ ...(EVENT.decode(value, 5).value as object), emittedAt: timestamp }),
    )
    writeFileSync(join(folder, 'events.jsonl'), lines.join('\n'))
    expect(await makeEvents(join(folder, 'events.jsonl'), join(folder, 'events.avro'))).toBe(EVENTS)
    const made = await decodedWithAvsc(join(folder, 'events.avro'))
    expect(made.findIndex((record, index) => JSON.stringify(record) !== JSON.stringify(records[index]))).toBe(
      -1,
    )
  })

  test('has four partitions, each of them out of order by less than the bound of the watermark', async () => {
    const newestMs = new Map<number, number>()
    let behindMs = 0
    for (const { partition, value } of await decodedWithAvsc(RECORDING)) {
      const { at } = EVENT.decode(value, 5).value as { readonly at: number }
      const newest = Math.max(newestMs.get(partition) ?? at, at)
      behindMs = Math.max(behindMs, newest - at)
      newestMs.set(partition, newest)
    }
    expect([...newestMs.keys()].sort((a, b) => a - b)).toEqual([0, 1, 2, 3])
    expect(behindMs).toBeGreaterThan(0)
    expect(behindMs).toBeLessThan(1_000)
  })
})

interface RawEvent {
  readonly partition: number
  readonly timestamp: number
  readonly value: Buffer
}

async function decodedWithAvsc(path: string): Promise<RawEvent[]> {
  const records: RawEvent[] = []
  await new Promise<void>((resolve, reject) => {
    avsc
      .createFileDecoder(path)
      .on('data', (record: RawEvent) => records.push(record))
      .on('end', () => resolve())
      .on('error', reject)
  })
  return records
}
