import { replay, type ReplayResult } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { computeOracle } from '../../src/testing/oracle/oracle.ts'
import { rowsSource } from '../../src/testing/rows-source.ts'
import { scriptedSource } from '../support/scripted-source.ts'
import { rowsIn, start, WORLD } from '../support/world.ts'
import { partitionsOf, plainRows, SCHEMAS } from './case-rows.ts'
import { caseFiles, type CaseRow, isRecord, recordsOf, type SemanticsCase, testRecord } from './case.ts'
import { EngineRun } from './engine-run.ts'
import { compared, plainRow } from './expected-rows.ts'
import { programOf, withResultsTopic } from './program.ts'

/** What a case says of its dead letters: [reason, partition, offset]. */
function lettersOf(one: SemanticsCase): readonly (readonly [string, number, number])[] {
  const { late = 'dead-letter' } = one.program
  return recordsOf(one).flatMap(({ step, partition, offset }) => {
    const reason = step.letter ?? (step.late === true && late === 'dead-letter' ? 'late' : null)
    return reason === null ? [] : [[reason, partition, offset] as const]
  })
}

const lateCount = (one: SemanticsCase): number =>
  recordsOf(one).filter(({ step }) => step.late === true).length
const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((a, b) => a + b, 0)
const sorted = (values: readonly unknown[]): readonly string[] =>
  values.map((value) => JSON.stringify(value)).sort()

/** What a run of a case came to. */
interface Outcome {
  readonly table: (path: string) => readonly CaseRow[]
  readonly letters: readonly (readonly [unknown, number, number])[]
  readonly late: Readonly<Record<string, number>>
  readonly dropped: Readonly<Record<string, number>>
}

function check(one: SemanticsCase, outcome: Outcome, withRevisions: boolean): void {
  const results = compared(outcome.table('gold/results'), one.rows, withRevisions)
  expect(results.found).toEqual(results.expected)
  if (one.below !== undefined) {
    const below = compared(outcome.table('gold/below'), one.below, withRevisions)
    expect(below.found).toEqual(below.expected)
  }
  expect(sorted(outcome.letters)).toEqual(sorted(lettersOf(one)))
  expect(sum(outcome.late)).toBe(lateCount(one))
  expect(outcome.dropped).toEqual(one.dropped ?? {})
  if (one.program.late === 'side-table') expect(outcome.table('silver/late')).toHaveLength(lateCount(one))
}

function byOracle(one: SemanticsCase): Outcome {
  const spec = programOf(one)
  const oracle = computeOracle(spec, partitionsOf(spec.source.name, recordsOf(one)))
  return {
    table: (path) => plainRows(oracle.tables.get(path)!),
    letters: oracle.deadLetters.map(({ reason, record }) => [
      reason,
      Number(record['_partition']),
      Number(record['_offset']),
    ]),
    late: oracle.late,
    dropped: oracle.dropped,
  }
}

/** Epochs end where the case says; with `restarts` everybody goes on from what was recorded there. */
function byEngine(one: SemanticsCase, restarts: boolean): Outcome {
  const spec = withResultsTopic(programOf(one))
  const partitions = partitionsOf(spec.source.name, recordsOf(one))
  const run = new EngineRun(spec, partitions, SCHEMAS)
  for (const step of one.steps) {
    if (isRecord(step))
      run.take(
        partitions.findIndex(({ partition }) => partition === (step.partition ?? 0)),
        1,
      )
    else if ('quiet' in step) run.quiet(step.quiet)
    else {
      const fired = run.cut()
      if (step.fires !== undefined) {
        const results = compared(plainRows(fired.results), step.fires, true)
        expect(results.found).toEqual(results.expected)
      }
      if (step.retracts !== undefined) {
        const retracted = compared(plainRows(fired.retracted), step.retracts, false)
        expect(retracted.found).toEqual(retracted.expected)
      }
      if (restarts && step.checkpoint === 'restart') run.restart()
    }
  }
  run.finish()
  return {
    table: (path) => plainRows(run.table(path)),
    letters: run
      .table('dead_letters')
      .map((letter) => [letter['reason'], Number(letter['_partition']), Number(letter['_offset'])]),
    late: run.total('late'),
    dropped: run.total('dropped'),
  }
}

type JsonRow = Readonly<Record<string, unknown>>

function outcomeOf(
  rows: (path: string) => readonly JsonRow[],
  { totals }: Pick<ReplayResult['summary'], 'totals'>,
): Outcome {
  return {
    table: (path) => rows(path).map(plainRow),
    letters: rows('dead_letters').map((letter) => [
      letter['reason'],
      Number(letter['_partition']),
      Number(letter['_offset']),
    ]),
    late: totals.late,
    dropped: totals.dropped,
  }
}

/** The replay of users' tests: whatever the cuts, the last revisions are the same. */
async function byReplay(one: SemanticsCase, epochRows: number, batchRecords: number): Promise<Outcome> {
  const records = recordsOf(one).map(testRecord)
  const result = await replay(programOf(one), { records, epochRows, batchRecords })
  return outcomeOf((path) => result.rows(path), result.summary)
}

/** Stopped when so many records have been read, gracefully or in the middle of an epoch, and started again. */
async function byTwoStarts(one: SemanticsCase, reads: number, isCrash: boolean): Promise<Outcome> {
  const program = programOf(one)
  const records = recordsOf(one).map(testRecord)
  const lake = memoryStore()
  const controller = new AbortController()
  let left = reads
  const read = () => {
    if (left-- > 0) return 1
    if (isCrash) throw new PipelineError('SOURCE_BROKEN', 'no more of this')
    controller.abort()
    return 1
  }
  const script = records.map(() => read)
  const inner = rowsSource(program, records).open(WORLD)
  const ids = (await inner.partitions()).map(({ id }) => id)
  const source = scriptedSource(inner, Object.fromEntries(ids.map((id) => [id, script])))
  const first = start(program, { lake, source, signal: controller.signal, epochRows: 2, batchRecords: 1 })
  if (isCrash) await expect(first).rejects.toMatchObject({ code: 'SOURCE_BROKEN' })
  else await first
  const summary = await start(program, { lake, records, epochRows: 2 })
  const paths = [...program.tables.map(({ layer, name }) => `${layer}/${name}`), 'dead_letters']
  const tables = new Map<string, readonly JsonRow[]>()
  for (const path of paths) tables.set(path, await rowsIn(lake, path))
  return outcomeOf((path) => tables.get(path)!, summary)
}

for (const { file, about, cases } of caseFiles()) {
  describe(`${file}: ${about}`, () => {
    for (const one of cases) {
      it(`${one.name}: the oracle`, () => check(one, byOracle(one), false))
      it(`${one.name}: the engine, in one process`, () => check(one, byEngine(one, false), true))
      it(`${one.name}: the engine, restarted`, () => check(one, byEngine(one, true), true))
      it(`${one.name}: replayed`, async () => {
        for (const epochRows of [1, 2, 1_000]) check(one, await byReplay(one, epochRows, 1), false)
        check(one, await byReplay(one, 3, 1_000), false)
      })
      it(`${one.name}: stopped and started again`, async () => {
        const half = Math.floor(recordsOf(one).length / 2)
        check(one, await byTwoStarts(one, half, false), false)
        check(one, await byTwoStarts(one, half, true), false)
      })
    }
  })
}
