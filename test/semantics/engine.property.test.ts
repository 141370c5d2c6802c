import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { computeOracle } from '../../src/testing/oracle/oracle.ts'
import { letterCells } from '../../src/testing/simulation/verify.ts'
import { WRITER_SCHEMAS } from '../simulation/reading-schema.ts'
import { randomWorkload } from '../simulation/workload.ts'
import { difference, linesOf, SAME } from './difference.ts'
import { EngineRun, type RecordingPace } from './engine-run.ts'

/** What is done next with the engine's tasks. Numbers are taken modulo what there is. */
type Move =
  | { readonly kind: 'take'; readonly partition: number; readonly count: number }
  | { readonly kind: 'cut'; readonly partition: number }
  | { readonly kind: 'merge'; readonly isReversed: boolean }
  | { readonly kind: 'quiet'; readonly afterMs: number }
  | { readonly kind: 'restart' }

const partition = fc.nat(2)
const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('take'), partition, count: fc.integer({ min: 1, max: 40 }) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('cut'), partition }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('merge'), isReversed: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('quiet'),
      afterMs: fc.constantFrom(0, 1_000, 60_000, 3_600_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart') }) },
)

function play(seed: number, moves: readonly Move[], pace: RecordingPace): void {
  const workload = randomWorkload(seed)
  // A breaker that opens would end the run; who reads every revision sees those that were early.
  const spec = {
    ...workload.spec,
    circuitBreaker: null,
    tables: workload.spec.tables.map((table) => ({ ...table, revisions: undefined })) as never,
  }
  const { partitions } = workload
  const oracle = computeOracle(spec, partitions)
  const run = new EngineRun(spec, partitions, WRITER_SCHEMAS, pace)
  let clockMs = -Infinity
  for (const one of moves) {
    if (one.kind === 'take') run.take(one.partition % partitions.length, one.count)
    else if (one.kind === 'cut') run.cutPartition(one.partition % partitions.length)
    else if (one.kind === 'restart') run.restart()
    else if (one.kind === 'merge') {
      const order = partitions.map((_, i) => i)
      run.cutMerges(one.isReversed ? order.reverse() : order)
    } else if (run.clockMs > -Infinity) {
      clockMs = Math.max(clockMs, run.clockMs) + one.afterMs
      run.quiet(clockMs)
    }
  }
  run.finish()
  for (const [path, rows] of [
    ...oracle.tables,
    ['dead_letters', oracle.deadLetters.map(letterCells)] as const,
  ])
    expect(difference(linesOf(run.table(path)), linesOf(rows)), `seed ${seed}: ${path}`).toEqual(SAME)
  expect(run.total('late')).toEqual(oracle.late)
  expect(run.total('dropped')).toEqual(oracle.dropped)
}

const pace: fc.Arbitrary<RecordingPace> = fc.record({
  changes: fc.constantFrom(1, 2, 3),
  whole: fc.constantFrom(3, 6, 100),
})

const runs = Number(process.env['MILLRACE_RUNS'] ?? 200)

describe('the engine alone', () => {
  it('gives what the oracle says, however its input is split and whenever it goes on from what was recorded', {
    timeout: 300_000,
  }, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.array(move, { maxLength: 40, size: 'max' }),
        pace,
        play,
      ),
      {
        numRuns: runs,
        ...(process.env['MILLRACE_SEED'] === undefined ? {} : { seed: Number(process.env['MILLRACE_SEED']) }),
      },
    )
  })
})
