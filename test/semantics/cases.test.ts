import { describe, expect, it } from 'vitest'
import { caseFiles, recordsOf, type SemanticsCase } from './case.ts'
import { compared } from './expected-rows.ts'
import { oracleOf, oracleRows } from './oracle-run.ts'
import { programOf } from './program.ts'

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

for (const { file, about, cases } of caseFiles()) {
  describe(`${file}: ${about}`, () => {
    for (const one of cases) {
      it(`${one.name}: the oracle`, () => {
        const oracle = oracleOf(programOf(one), recordsOf(one))
        const results = compared(oracleRows(oracle, 'gold/results'), one.rows, false)
        expect(results.found).toEqual(results.expected)
        if (one.below !== undefined) {
          const below = compared(oracleRows(oracle, 'gold/below'), one.below, false)
          expect(below.found).toEqual(below.expected)
        }
        const letters = oracle.deadLetters.map(({ reason, record }) => [
          reason,
          Number(record['_partition']),
          Number(record['_offset']),
        ])
        expect(sorted(letters)).toEqual(sorted(lettersOf(one)))
        expect(sum(oracle.late)).toBe(lateCount(one))
        expect(oracle.dropped).toEqual(one.dropped ?? {})
        if (one.program.late === 'side-table')
          expect(oracle.tables.get('silver/late')).toHaveLength(lateCount(one))
      })
    }
  })
}
