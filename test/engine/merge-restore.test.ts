import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TriggerSpec, WindowSpec } from '../../src/topology/node.ts'
import type { MergeState } from '../../src/engine/merge-task.ts'
import { type Epoch, MergeWorld, type PartialRow, type Program, type Written } from './merge-world.ts'

/** Random epochs of three sources, of which some rest now and then, and what a merge makes of them. */

const SOURCES = ['trips-0', 'trips-1', 'trips-2']
const ZONES = ['a', 'b', 'c', 'd', 'e']

const windows: fc.Arbitrary<WindowSpec> = fc.constantFrom<WindowSpec>(
  { kind: 'tumbling', sizeMs: 10, offsetMs: 0 },
  { kind: 'hopping', sizeMs: 20, hopMs: 10, offsetMs: 0 },
  { kind: 'global' },
)

const triggers: fc.Arbitrary<TriggerSpec> = fc
  .record({
    refine: fc.boolean(),
    earlyEveryRows: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    earlyEveryMs: fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined }),
  })
  .map(({ refine, earlyEveryRows, earlyEveryMs }) => ({
    ...(refine ? { refine } : {}),
    ...(earlyEveryRows === undefined ? {} : { earlyEveryRows }),
    ...(earlyEveryMs === undefined ? {} : { earlyEveryMs }),
  }))

const programs: fc.Arbitrary<Program> = fc
  .record({
    window: windows,
    trigger: triggers,
    allowedLatenessMs: fc.constantFrom(0, 7, 25),
    having: fc.boolean(),
    upper: fc.boolean(),
  })
  .map(({ window, trigger, allowedLatenessMs, having, upper }) => ({
    window,
    trigger,
    allowedLatenessMs,
    ...(having ? { having: ({ trips }) => trips % 3n !== 0n } : {}),
    ...(upper && window.kind !== 'global' ? { upperMs: 30 } : {}),
  }))

interface Draw {
  readonly source: number
  readonly advanceMs: number
  readonly idle: boolean
  readonly rows: readonly {
    readonly zone: number
    readonly window: number
    readonly fares: readonly number[]
  }[]
  readonly cut: boolean
  readonly pauseMs: number
}

const draws: fc.Arbitrary<readonly Draw[]> = fc.array(
  fc.record({
    source: fc.nat(SOURCES.length - 1),
    advanceMs: fc.integer({ min: 0, max: 25 }),
    idle: fc.boolean(),
    rows: fc.array(
      fc.record({
        zone: fc.nat(ZONES.length - 1),
        window: fc.nat(3),
        fares: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 }),
      }),
      { maxLength: 4 },
    ),
    cut: fc.boolean(),
    pauseMs: fc.nat(20),
  }),
  { minLength: 1, maxLength: 25 },
)

/** Epochs as partition tasks make them: nothing is in them that was late for its window. At last all sources end. */
function epochsOf(program: Program, drawn: readonly Draw[]): readonly Epoch[] {
  const watermarks = SOURCES.map(() => 0)
  const lateness = program.allowedLatenessMs ?? 0
  const epochs = drawn.map(({ source, advanceMs, idle, rows }): Epoch => {
    const before = watermarks[source]!
    watermarks[source] = before + advanceMs
    const kept = new Map<string, PartialRow>()
    for (const { zone, window, fares } of rows) {
      const startMs = startOf(program, before, window)
      if (startMs !== 0 && program.window?.kind === 'global') continue
      if (endOf(program, startMs) + lateness <= before) continue
      kept.set(`${zone} ${startMs}`, { zone: ZONES[zone]!, startMs, fares })
    }
    return { task: SOURCES[source]!, watermarkMs: before + advanceMs, idle, rows: [...kept.values()] }
  })
  return [...epochs, ...SOURCES.map((task) => ({ task, watermarkMs: Infinity }))]
}

function startOf({ window }: Program, watermarkMs: number, ahead: number): number {
  if (window?.kind === 'global') return 0
  return (Math.floor(watermarkMs / 10) + ahead - 1) * 10
}

function endOf({ window }: Program, startMs: number): number {
  if (window?.kind === 'global') return Infinity
  return startMs + (window?.kind === 'hopping' ? 20 : 10)
}

/** Every cut in turn: which epochs it folds, and when it is. */
function cutsOf(
  epochs: readonly Epoch[],
  drawn: readonly Draw[],
): readonly { epochs: Epoch[]; nowMs: number }[] {
  const cuts: { epochs: Epoch[]; nowMs: number }[] = []
  let open: Epoch[] = []
  let nowMs = 1000
  epochs.forEach((epoch, i) => {
    open.push(epoch)
    nowMs += drawn[i]?.pauseMs ?? 1
    if (drawn[i]?.cut === false) return
    cuts.push({ epochs: open, nowMs })
    open = []
  })
  return cuts
}

function play(
  world: MergeWorld,
  cuts: readonly { epochs: readonly Epoch[]; nowMs: number }[],
): readonly Written[] {
  return cuts.map(({ epochs, nowMs }) => {
    for (const epoch of epochs) world.fold(epoch)
    return world.cut(nowMs)
  })
}

/** Of each key and window: all trips and fares. */
function totalsOf(epochs: readonly Epoch[]): ReadonlyMap<string, { trips: number; fares: number }> {
  const totals = new Map<string, { trips: number; fares: number }>()
  for (const { zone, startMs, fares } of epochs.flatMap(({ rows }) => rows ?? [])) {
    const total = totals.get(`${zone} ${startMs}`) ?? { trips: 0, fares: 0 }
    for (const fare of fares) {
      total.trips++
      total.fares += fare
    }
    totals.set(`${zone} ${startMs}`, total)
  }
  return totals
}

function expected(program: Program, epochs: readonly Epoch[]): readonly string[] {
  return [...totalsOf(epochs)]
    .filter(([, { trips }]) => program.having === undefined || trips % 3 !== 0)
    .map(([pane, { trips, fares }]) => `${paneText(program, pane)} ${trips} ${fares}`)
    .sort()
}

function paneText({ window }: Program, pane: string): string {
  return window?.kind === 'global' ? pane.replace(/ .*/, ' null') : pane
}

const withoutRevision = (line: string): string => line.replace(/ r\d+$/, '')

describe('whatever comes in whichever order', () => {
  it('the newest revisions are those of all rows, each once, in tables and topics', () => {
    fc.assert(
      fc.property(programs, draws, (program, drawn) => {
        const world = new MergeWorld(program, SOURCES)
        const epochs = epochsOf(program, drawn)
        const written = play(world, cutsOf(epochs, drawn))
        expect(world.linesOf('newest').map(withoutRevision)).toEqual(expected(program, epochs))
        expect(
          [...world.topic.values()]
            .map((row) => `${row.zone} ${row.window_start} ${row.trips} ${row.fares}`)
            .sort(),
        ).toEqual(expected(program, epochs))
        expect(world.task.openPanes).toBe(0)
        expect([...world.task.liveEpochs]).toEqual([])
        // The window above has each result once.
        if (program.upperMs !== undefined && program.having === undefined) {
          const upper = written.flatMap(({ partials }) => partials.flat())
          const results = upper.map((line) => Number(/\[(\d+)/.exec(line)![1]))
          expect(results.reduce((sum, count) => sum + count, 0)).toBe(totalsOf(epochs).size)
        }
        // All revisions of a pane are there, from 0, and no two are the same.
        const revisions = new Map<string, number[]>()
        for (const row of world.rowsOf('all')) {
          const pane = `${row.zone} ${row.window_start}`
          revisions.set(pane, [...(revisions.get(pane) ?? []), row.revision])
        }
        for (const numbers of revisions.values()) {
          expect(numbers.sort((a, b) => a - b)).toEqual(numbers.map((_, i) => i))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('a file that is replaced is live, and what leaves it is written again', () => {
    fc.assert(
      fc.property(programs, draws, (program, drawn) => {
        const world = new MergeWorld(program, SOURCES)
        let live: ReadonlySet<number> = new Set()
        for (const { epochs, nowMs } of cutsOf(epochsOf(program, drawn), drawn)) {
          for (const epoch of epochs) world.fold(epoch)
          const { tables } = world.cut(nowMs)
          for (const epoch of tables['gold/newest']?.replaces ?? []) expect(live.has(epoch)).toBe(true)
          live = world.task.liveEpochs
          const panes = world.rowsOf('newest').map((row) => `${row.zone} ${row.window_start}`)
          expect(new Set(panes).size).toBe(panes.length)
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('restored in the middle', () => {
  it.each(['full', 'changes'] as const)(
    'from %s snapshots the merge goes on as if nothing had happened',
    (kind) => {
      const crashes = fc.array(fc.record({ after: fc.nat(8), back: fc.nat(3) }), {
        minLength: 1,
        maxLength: 3,
      })
      fc.assert(
        fc.property(programs, draws, crashes, (program, drawn, crashed) => {
          const cuts = cutsOf(epochsOf(program, drawn), drawn)
          const undisturbed = play(new MergeWorld(program, SOURCES), cuts)

          const world = new MergeWorld(program, SOURCES)
          const none: { lines: readonly string[]; state: MergeState } = { lines: [], state: world.task.state }
          const rests = [none]
          let next = 0
          const goOn = (count: number): void => {
            for (const cut of cuts.slice(next, next + count)) {
              expect(play(world, [cut])).toEqual([undisturbed[next]])
              const before = rests[next]!.lines
              const lines = world.snapshot(kind === 'full' || next === 0 ? 'full' : 'changes')
              rests[++next] = {
                lines: kind === 'full' ? lines : [...before, ...lines],
                state: world.task.state,
              }
            }
          }
          for (const { after, back } of crashed) {
            goOn(after)
            next = Math.max(0, next - back)
            world.epoch = next
            world.restart(rests[next]!.lines, rests[next]!.state)
          }
          goOn(Infinity)
          expect(world.task.openPanes).toBe(0)
          expect([...world.task.liveEpochs]).toEqual([])
        }),
        { numRuns: 300 },
      )
    },
  )
})
