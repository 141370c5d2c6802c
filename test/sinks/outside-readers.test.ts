import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { directory } from '../../sinks/directory.ts'
import { findPython, runPython } from '../parts/python.ts'
import { writeTables } from './outside-tables.ts'
import type { PlainRow, WrittenTable } from './outside-tables.ts'

/** pyarrow, deltalake and DuckDB read what we wrote: every value of every type must come back. */

interface Reading {
  readonly rows: readonly PlainRow[]
  readonly counts: readonly number[]
  readonly error?: string
  readonly protocol?: readonly number[]
  readonly partitionColumns?: readonly string[]
  readonly version?: number
}
const READERS = ['pyarrow', 'deltalake', 'duckdb'] as const
type Reader = (typeof READERS)[number]

const python = await findPython()
const root = await mkdtemp(join(tmpdir(), 'millrace-readers-'))
afterAll(() => rm(root, { recursive: true, force: true }))

let written: readonly WrittenTable[] = []
let readings: Record<string, Record<Reader, Reading>> = {}

function readingOf(name: string, reader: Reader): Reading {
  const reading = readings[name]![reader]
  expect(reading.error ?? '', `${reader} reads ${name}`).toBe('')
  return reading
}

function idOf(row: PlainRow): number {
  return Number(String(row['id']).slice(2))
}

function sorted(rows: readonly PlainRow[]): readonly PlainRow[] {
  return rows.toSorted((a, b) => idOf(a) - idOf(b))
}

function expectRows(name: string, reader: Reader): void {
  const expected = written.find((table) => table.name === name)!.rows
  expect(sorted(readingOf(name, reader).rows), `${name}, read by ${reader}`).toEqual(sorted(expected))
}

const title = python.kind === 'missing' ? `outside readers (skipped: ${python.reason})` : 'outside readers'

describe.skipIf(python.kind === 'missing')(title, () => {
  beforeAll(async () => {
    if (python.kind === 'missing') return
    written = await writeTables(directory(root))
    const jobs = written.map(({ name, counts }) => ({
      name,
      path: join(root, name),
      counts: counts.map((count) => count.condition),
    }))
    const file = join(root, 'jobs.json')
    await writeFile(file, JSON.stringify(jobs))
    const program = new URL('../parts/read_tables.py', import.meta.url).pathname
    readings = await runPython(python.executable, program, [file])
  })

  describe.each(READERS)('%s', (reader) => {
    test.each(['nullable', 'required', 'zstd', 'plain', 'nothing'])('reads every type back: %s', (name) => {
      expectRows(name, reader)
    })

    test('reads local timestamps', () => expectRows('local', reader))
  })

  // pyarrow by itself sees files, not tables.
  describe.each(['deltalake', 'duckdb'] as const)('%s', (reader) => {
    test('reads a table whose schema has grown', () => expectRows('evolved', reader))

    test('reads a long history: removed files, log checkpoints, early commits gone', () => {
      expectRows('history', reader)
    })

    test('reads partition values of every type', () => {
      const names = written.map(({ name }) => name).filter((name) => name.startsWith('by_'))
      expect(names).toHaveLength(9)
      for (const name of names) expectRows(name, reader)
    })

    test('finds rows by value, with files skipped by statistics and partitions', () => {
      for (const { name, counts } of written) {
        const found = readingOf(name, reader).counts
        const answers = counts.map(({ condition }, index) => `${name}: ${condition}: ${found[index]}`)
        expect(answers).toEqual(counts.map(({ condition, expected }) => `${name}: ${condition}: ${expected}`))
      }
    })
  })

  test('deltalake sees the protocol, the partition columns and the version', () => {
    expect(readingOf('local', 'deltalake').protocol).toEqual([3, 7])
    expect(readingOf('nullable', 'deltalake').protocol).toEqual([1, 2])
    expect(readingOf('by_text_and_day', 'deltalake').partitionColumns).toEqual(['part', 'at_day'])
    expect(readingOf('history', 'deltalake').version).toBe(24)
  })
})
