import { describe, expect, it } from 'vitest'
import { ALL_RULES } from '../../src/runtime/rules.ts'
import { catchMutant, catchOutboxMutant, MUTANTS, OUTBOX_MUTANTS } from './mutants.ts'

/**
 * Tests of the simulator as much as of the rules: with a rule taken out some seed must fail. A mutant that survives means that the
 * simulator no longer reaches the trouble that the rule is for, or that the rule is not needed any more.
 */
const SEEDS_MAX = Number(process.env['MILLRACE_MUTANT_SEEDS'] ?? 800)

describe('a rule that is taken out is missed', () => {
  it('every rule has a mutant', () => {
    expect(MUTANTS.map(({ rule }) => rule).sort()).toEqual(Object.keys(ALL_RULES).sort())
  })

  for (const mutant of MUTANTS) {
    it(`${mutant.rule}: ${mutant.story}`, { timeout: 180_000 }, async () => {
      const caught = await catchMutant(mutant, SEEDS_MAX)
      expect(caught, `${SEEDS_MAX} seeds did not miss the rule`).not.toBeNull()
    })
  }
})

/** What the sink of topics must take care of by itself, shown with the simulator's own outbox. */
describe('a care that an outbox does not take is missed', () => {
  for (const mutant of OUTBOX_MUTANTS) {
    it(`${mutant.care}: ${mutant.story}`, { timeout: 180_000 }, async () => {
      const caught = await catchOutboxMutant(mutant, SEEDS_MAX)
      expect(caught, `${SEEDS_MAX} seeds did not miss the care`).not.toBeNull()
    })
  }
})
