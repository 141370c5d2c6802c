import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { computeOracle } from '../../src/testing/oracle/oracle.ts'
import { letterCells } from '../../src/testing/simulation/verify.ts'
import { partitionsOf, SCHEMAS } from './case-rows.ts'
import { type CaseProgram, type CaseRecord, type CaseWindow, recordsOf, type SemanticsCase } from './case.ts'
import { difference, linesOf, SAME } from './difference.ts'
import { EngineRun, type RecordingPace } from './engine-run.ts'
import { programOf } from './program.ts'

/**
 * Few keys and a few dozen milliseconds, so that rows meet the ends of windows, of sessions and of lateness, and each other, all the time. What fails
 * shrinks to a case that can be read.
 */
const sometimes = <T>(ofFour: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 4 - ofFour, arbitrary: fc.constant(undefined) }, { weight: ofFour, arbitrary })

const size = fc.integer({ min: 1, max: 12 })
/** Windows without a grid have more state to lose. */
const windowKind: fc.Arbitrary<CaseWindow> = fc.oneof(
  fc.record({ kind: fc.constant('tumbling'), size, offset: fc.integer({ min: -5, max: 5 }) }),
  fc.record({ kind: fc.constant('hopping'), size, every: fc.integer({ min: 1, max: 8 }) }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('sliding'), size }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('session'), gap: size }) },
  fc.record({ kind: fc.constant('session'), gap: size, gapField: fc.constant('gap') }),
  fc.record({ kind: fc.constant('count'), rows: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant('global') }),
)

const TIMED = new Set(['tumbling', 'hopping', 'session'])
const AGGREGATES = {
  rows: ['count'],
  sum: ['sum', 'value'],
  first: ['first', 'value'],
  last: ['last', 'value'],
  all: ['collect', 'value', { max: 6 }],
} as const

const program: fc.Arbitrary<CaseProgram> = fc
  .record({
    watermark: fc.oneof(
      fc.constant({ kind: 'ascending' } as const),
      fc.record({ kind: fc.constant('bounded'), bound: fc.integer({ min: 1, max: 8 }) }),
      fc.constant({ kind: 'punctuated', field: 'mark' } as const),
      fc.constant({ kind: 'custom', function: 'two before' } as const),
    ),
    idleAfter: sometimes(1, fc.integer({ min: 1, max: 10 })),
    window: windowKind,
    allowedLateness: fc.constantFrom(0, 0, 1, 5),
    late: fc.constantFrom('dead-letter', 'drop'),
    refine: fc.boolean(),
    earlyRows: sometimes(2, fc.integer({ min: 1, max: 3 })),
    slices: fc.constantFrom(1, 1, 2),
    unique: sometimes(1, fc.record({ within: size, allowedLateness: fc.constantFrom(0, 3) })),
    above: sometimes(2, fc.record({ window: windowKind, byKey: fc.boolean() })),
  })
  .map(({ watermark, idleAfter, refine, earlyRows, unique, above, window, ...rest }): CaseProgram => {
    // Where partitions may be idle the order of what comes after depends on timing, and so does what windows above see.
    const isOrdered = idleAfter === undefined
    const own: CaseWindow = !isOrdered && window.kind === 'count' ? { kind: 'sliding', size: 5 } : window
    const isTimed = TIMED.has(own.kind)
    const upper = above?.window
    // Of results of one millisecond no order is promised that another could compute.
    const canCount = above?.byKey === true && own.kind !== 'count'
    const hasUnique = isOrdered && unique !== undefined && own.kind !== 'count'
    return {
      ...rest,
      window: own.kind === 'session' && hasUnique ? { kind: 'session', gap: own.gap } : own,
      watermark: { ...watermark, ...(idleAfter === undefined ? {} : { idleAfter }) },
      aggregates: AGGREGATES,
      ...(isTimed && refine ? { refine } : {}),
      ...((isTimed || own.kind === 'global') && earlyRows !== undefined
        ? { early: { rows: earlyRows } }
        : {}),
      ...(hasUnique ? { unique: { by: ['key', 'value'], ...unique } } : {}),
      ...(isOrdered && upper !== undefined && own.kind !== 'global' && (upper.kind !== 'count' || canCount)
        ? {
            above: {
              keyBy: above?.byKey === true ? ['key'] : [],
              window: upper.kind === 'session' ? { kind: 'session', gap: upper.gap } : upper,
              aggregates: { results: ['count'], total: ['sum', 'rows'], most: ['max', 'rows'] },
            },
          }
        : {}),
    }
  })

const record = fc.record({
  key: fc.constantFrom('a', 'a', 'b', null),
  at: fc.integer({ min: -20, max: 30 }),
  value: fc.constantFrom(1, 2, 3, null),
  gap: fc.constantFrom(null, null, 1, 3, 20, -1),
  mark: fc.option(fc.integer({ min: -20, max: 30 }), { nil: null }),
  partition: fc.nat(2),
})

type Step = CaseRecord | 'cut 0' | 'cut 1' | 'cut 2' | 'epoch' | 'merge' | 'backwards' | 'restart' | 'quiet'
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: record },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Step>(
      'cut 0',
      'cut 1',
      'cut 2',
      'epoch',
      'epoch',
      'epoch',
      'merge',
      'merge',
      'backwards',
      'restart',
      'restart',
      'restart',
      'restart',
      'quiet',
    ),
  },
)

/** Later than any event time. */
const ARRIVAL_MS = 100_000

/** The same with longer milliseconds: state that is kept by the second is spread over many. */
function scaled(value: unknown, scale: number): unknown {
  if (Array.isArray(value)) return value.map((each) => scaled(each, scale))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name,
      typeof each === 'number' && TIMES.has(name) ? each * scale : scaled(each, scale),
    ]),
  )
}

const TIMES = new Set(['at', 'mark', 'gap', 'size', 'every', 'offset', 'bound', 'within', 'allowedLateness'])

interface Ways extends RecordingPace {
  readonly scale: number
}

function playScaled(one: CaseProgram, steps: readonly Step[], { scale, ...pace }: Ways): void {
  play(scaled(one, scale) as CaseProgram, scaled(steps, scale) as readonly Step[], pace)
}

function play(one: CaseProgram, steps: readonly Step[], pace: RecordingPace): void {
  const records = steps.filter((each) => typeof each === 'object')
  if (records.length === 0) return
  // Each row arrives a millisecond after the one before.
  const arriving = records.map((each, i) => ({ ...each, arrival: ARRIVAL_MS + i }))
  const whole = { program: one, steps: arriving } as unknown as SemanticsCase
  const spec = programOf(whole)
  const partitions = partitionsOf(spec.source.name, recordsOf(whole))
  const oracle = computeOracle(spec, partitions)
  const run = new EngineRun(spec, partitions, SCHEMAS, pace)
  const indexOf = (partition: number): number => partitions.findIndex((each) => each.partition === partition)
  let clockMs = ARRIVAL_MS
  for (const each of steps) {
    if (typeof each === 'object') run.take(indexOf(each.partition ?? 0), 1)
    else if (each === 'restart') run.restart()
    else if (each === 'merge') run.cutMerges()
    else if (each === 'epoch') run.cut()
    else if (each === 'backwards') run.cutMerges(partitions.map((_, i) => i).reverse())
    else if (each === 'quiet') run.quiet((clockMs = Math.max(clockMs + 5, run.clockMs)))
    else if (indexOf(Number(each.at(-1))) >= 0) run.cutPartition(indexOf(Number(each.at(-1))))
  }
  run.finish()
  const expected = [...oracle.tables, ['dead_letters', oracle.deadLetters.map(letterCells)] as const]
  for (const [path, rows] of expected)
    expect(difference(linesOf(run.table(path)), linesOf(rows)), path).toEqual(SAME)
  expect(run.total('late')).toEqual(oracle.late)
  expect(run.total('dropped')).toEqual(oracle.dropped)
}

const ways: fc.Arbitrary<Ways> = fc.record({
  scale: fc.constantFrom(1, 700),
  changes: fc.constantFrom(1, 1, 2),
  whole: fc.constantFrom(3, 100),
})

const { MILLRACE_RUNS, MILLRACE_SEED } = process.env

describe('the engine alone, in small worlds', () => {
  it('gives what the oracle says', { timeout: 300_000 }, () => {
    fc.assert(fc.property(program, fc.array(step, { maxLength: 30, size: 'max' }), ways, playScaled), {
      numRuns: Number(MILLRACE_RUNS ?? 600),
      ...(MILLRACE_SEED === undefined ? {} : { seed: Number(MILLRACE_SEED) }),
    })
  })
})
