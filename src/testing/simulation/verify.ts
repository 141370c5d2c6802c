import type { RunSummary } from '../../runtime/bindings.ts'
import type { PipelineSpec } from '../../topology/node.ts'
import type { Cells, OracleLetter, OracleResult } from '../oracle/oracle.ts'
import type { Cell } from './jsonl-encoder.ts'
import { objectKey, readTable, type ReadTable, tablePaths } from './table-reader.ts'
import { isResult, resultTraits, verifyAll, verifyNewest } from './verify-results.ts'

/**
 * Compares a lake with what the oracle says, at its end and at every version that a reader could have seen on the
 * way: no row twice and none that should not be there; in bronze also no hole.
 */
export function verifyLake(
  spec: PipelineSpec,
  oracle: OracleResult,
  objects: ReadonlyMap<string, Uint8Array>,
  rowsOf: RowsOfFile = jsonlRows(objects),
  deadLettersInTopic = false,
): readonly string[] {
  const wrong: string[] = []
  const expected = new Map<string, readonly Cells[]>(oracle.tables)
  if (!deadLettersInTopic) expected.set('dead_letters', oracle.deadLetters.map(letterCells))
  for (const path of tablePaths(objects)) {
    if (!expected.has(path)) wrong.push(`there is a table ${path} that the program does not have`)
  }
  // Where the breaker stops the pipeline, how much was written before depends on the cuts.
  const isWhole = oracle.opened.size === 0
  const results = new Map(spec.tables.map((table) => [`${table.layer}/${table.name}`, table]))
  for (const [path, rows] of expected) {
    const table = readTable(objects, path)
    wrong.push(...table.violations)
    const files = new Map<string, readonly Cells[]>()
    for (const { added } of table.versions) {
      for (const file of added) files.set(file, rowsOf(path, file))
    }
    const result = results.get(path)
    const traits = result !== undefined && isResult(result.input) ? resultTraits(spec, result.input) : null
    if (traits !== null && (traits.mayRevise || traits.isOpen)) {
      const active = [...table.active].flatMap((file) => files.get(file)!)
      const found =
        result?.revisions === 'all'
          ? verifyAll(traits, path, rows, active)
          : verifyNewest(traits, rows, table, files)
      wrong.push(...(isWhole ? found : found.filter((text) => / version /.test(text))))
    } else {
      const { surplus, lacking } = compareRows(path, rows, table, files)
      wrong.push(...surplus, ...(isWhole ? lacking : []))
    }
    if (path.startsWith('bronze/')) wrong.push(...verifyPrefixes(rows, table, files))
  }
  return wrong
}

/** A dead letter as a row. */
export function letterCells({ reason, stage, record, value }: OracleLetter): Cells {
  return { ...record, _value: value, reason, stage }
}

/** The rows of one file of a table, by the path that the log has; a test that writes Parquet brings its own. */
export type RowsOfFile = (path: string, file: string) => readonly Cells[]

function jsonlRows(objects: ReadonlyMap<string, Uint8Array>): RowsOfFile {
  return (path, file) =>
    utf8
      .decode(objects.get(objectKey(path, file)))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Cells)
}

/** Columns that are outside the comparison: they tell of the run, not of the input. */
const OF_THE_RUN = new Set([
  '_processed_at',
  'message',
  'stack',
  'pipeline',
  'incarnation',
  'task',
  'revision',
])

function textOf(path: string, row: Cells): string {
  const names = Object.keys(row).filter((name) =>
    path.startsWith('gold/') ? name !== 'revision' : !OF_THE_RUN.has(name),
  )
  return JSON.stringify(names.sort().map((name) => [name, row[name]]))
}

/** Rows that some version has and the oracle does not, and rows that the newest version lacks. */
function compareRows(
  path: string,
  expected: readonly Cells[],
  table: ReadTable,
  files: ReadonlyMap<string, readonly Cells[]>,
): { readonly surplus: readonly string[]; readonly lacking: readonly string[] } {
  const surplus: string[] = []
  const missing = new Map<string, number>()
  const count = (row: Cells, by: number): void => {
    const text = textOf(path, row)
    missing.set(text, (missing.get(text) ?? 0) + by)
  }
  for (const row of expected) count(row, 1)
  for (const version of table.versions) {
    for (const file of version.removed) for (const row of files.get(file)!) count(row, 1)
    const added = version.added.flatMap((file) => files.get(file)!)
    for (const row of added) count(row, -1)
    for (const row of added) {
      const text = textOf(path, row)
      if (missing.get(text)! < 0)
        surplus.push(`${path} version ${version.version} has a row too many: ${text}`)
      if (path.startsWith('gold/') && row['revision'] !== '0')
        surplus.push(`${path}: a revision without idleness: ${text}`)
    }
  }
  const lacking = [...missing].filter(([, times]) => times > 0)
  return { surplus, lacking: lacking.map(([text, times]) => `${path} lacks ${times} of ${text}`) }
}

/** At every version, what bronze shows of a partition is a beginning of it. */
function verifyPrefixes(
  expected: readonly Cells[],
  table: ReadTable,
  files: ReadonlyMap<string, readonly Cells[]>,
): string[] {
  const wrong: string[] = []
  const places = new Map<string, number>()
  const counts = new Map<string, number>()
  for (const row of expected) {
    const partition = `${textCell(row['_topic'])}-${textCell(row['_partition'])}`
    const place = counts.get(partition) ?? 0
    places.set(`${partition}/${textCell(row['_offset'])}`, place)
    counts.set(partition, place + 1)
  }
  const active = new Set<string>()
  for (const { version, added, removed } of table.versions) {
    for (const file of removed) active.delete(file)
    for (const file of added) active.add(file)
    const seen = new Map<string, { count: number; end: number }>()
    for (const file of active) {
      for (const row of files.get(file)!) {
        const partition = `${textCell(row['_topic'])}-${textCell(row['_partition'])}`
        const place = places.get(`${partition}/${textCell(row['_offset'])}`) ?? 0
        const before = seen.get(partition) ?? { count: 0, end: 0 }
        seen.set(partition, { count: before.count + 1, end: Math.max(before.end, place + 1) })
      }
    }
    for (const [partition, { count, end }] of seen) {
      if (end > count) wrong.push(`${table.path} version ${version} has a hole in partition ${partition}`)
    }
  }
  return wrong
}

/** The last summary's counts against the oracle's. */
export function verifySummary(
  oracle: OracleResult,
  { totals, tables }: RunSummary,
  deadLettersInTopic = false,
): readonly string[] {
  const deadLetters: Record<string, number> = {}
  for (const { reason } of oracle.deadLetters) deadLetters[reason] = (deadLetters[reason] ?? 0) + 1
  const rows = Object.fromEntries([...oracle.tables].map(([path, all]) => [path, all.length]))
  const ownRows = { ...rows }
  // They are counted wherever they go.
  rows['dead_letters'] = oracle.deadLetters.length
  if (!deadLettersInTopic) ownRows['dead_letters'] = oracle.deadLetters.length
  const inTables = Object.fromEntries(tables.map((table) => [table.path, table.rows]))
  const pairs: [string, string, string][] = [
    ['records', String(totals.records), String(oracle.records)],
    ['dead letters', countsText(totals.deadLetters), countsText(deadLetters)],
    ['late rows', countsText(totals.late), countsText(oracle.late)],
    ['dropped rows', countsText(totals.dropped), countsText(oracle.dropped)],
    ['rows', countsText(countable(totals.rows)), countsText(countable(rows))],
    ['rows in the tables', countsText(countable(inTables)), countsText(countable(ownRows))],
  ]
  return pairs
    .filter(([, found, expected]) => found !== expected)
    .map(([name, found, expected]) => `total of ${name} is ${found}, expected ${expected}`)
}

/** How many revisions a pane has depends on idleness. */
function countable(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([path]) => !path.startsWith('gold/')))
}

function countsText(counts: Readonly<Record<string, number>>): string {
  const present = Object.entries(counts).filter(([, count]) => count !== 0)
  return JSON.stringify(present.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function textCell(cell: Cell | undefined): string {
  return typeof cell === 'string' ? cell : JSON.stringify(cell)
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
