import { describe, expect, it } from 'vitest'
import { computeOracle } from '../../src/testing/oracle/oracle.ts'
import { partitionsOf, plainRows, SCHEMAS } from './case-rows.ts'
import { caseFiles, isRecord, recordsOf, type CaseRow, type SemanticsCase } from './case.ts'
import { EngineRun } from './engine-run.ts'
import { compared } from './expected-rows.ts'
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

for (const { file, about, cases } of caseFiles()) {
  describe(`${file}: ${about}`, () => {
    for (const one of cases) {
      it(`${one.name}: the oracle`, () => check(one, byOracle(one), false))
      it(`${one.name}: the engine, in one process`, () => check(one, byEngine(one, false), true))
      it(`${one.name}: the engine, restarted`, () => check(one, byEngine(one, true), true))
    }
  })
}
