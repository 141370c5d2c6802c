import { describe, expect, it } from 'vitest'
import { type Epoch, MergeWorld, type PartialRow } from './merge-world.ts'

const at = (zone: string, startMs: number, ...fares: number[]): PartialRow => ({ zone, startMs, fares })
const epoch = (watermarkMs: number, ...rows: PartialRow[]): Epoch => ({ task: 'trips-0', watermarkMs, rows })

describe('final only', () => {
  it('writes a window once, when W has reached its end + allowed lateness', () => {
    const world = new MergeWorld({ allowedLatenessMs: 5 })
    expect(world.step(epoch(9, at('a', 0, 1), at('b', 0, 2))).tables).toEqual({})
    expect(world.step(epoch(14, at('a', 0, 3))).tables).toEqual({})
    const { tables, topic, retracted } = world.step(epoch(15, at('c', 10, 4)))
    expect(tables['gold/newest']).toEqual({ rows: ['a 0 2 4 r0', 'b 0 1 2 r0'], replaces: [] })
    expect(topic).toEqual(['a 0 2 4 r0', 'b 0 1 2 r0'])
    expect(retracted).toEqual([])
    expect(world.task.openPanes).toBe(1)
    expect([...world.task.liveEpochs]).toEqual([])
    world.step(epoch(Infinity))
    expect(world.linesOf('newest')).toEqual(['a 0 2 4 r0', 'b 0 1 2 r0', 'c 10 1 4 r0'])
    expect(world.task.openPanes).toBe(0)
  })

  it('replaces a result that an idle source changes, and moves the others of its file', () => {
    const world = new MergeWorld({}, ['trips-0', 'trips-1'])
    world.fold({ task: 'trips-1', watermarkMs: 3, idle: true })
    expect(world.step(epoch(12, at('a', 0, 1), at('b', 0, 2))).topic).toEqual(['a 0 1 1 r0', 'b 0 1 2 r0'])
    expect([...world.task.liveEpochs]).toEqual([0])
    world.fold({ task: 'trips-1', watermarkMs: 5, rows: [at('b', 0, 5)] })
    const { tables, topic } = world.cut()
    expect(tables['gold/newest']).toEqual({ rows: ['a 0 1 1 r0', 'b 0 2 7 r1'], replaces: [0] })
    expect(tables['gold/all']).toEqual({ rows: ['b 0 2 7 r1'], replaces: [] })
    expect(topic).toEqual(['b 0 2 7 r1'])
    expect([...world.task.liveEpochs]).toEqual([1])
    // W does not go back: the next window of trips-1 is behind it, and fires at once.
    world.fold({ task: 'trips-1', watermarkMs: 10 })
    world.cut()
    expect([...world.task.liveEpochs]).toEqual([])
    expect(world.linesOf('newest')).toEqual(['a 0 1 1 r0', 'b 0 2 7 r1'])
    expect(world.linesOf('all')).toEqual(['a 0 1 1 r0', 'b 0 1 2 r0', 'b 0 2 7 r1'])
  })

  it('keeps a pane until the windows of its whole file are over', () => {
    const world = new MergeWorld({}, ['trips-0', 'trips-1'])
    world.fold({ task: 'trips-1', watermarkMs: 3, idle: true })
    world.step(epoch(30, at('a', 0, 1), at('b', 10, 2), at('c', 20, 3)))
    world.step({ task: 'trips-1', watermarkMs: 12, idle: true })
    expect(world.task.openPanes).toBe(3)
    const { tables } = world.step({ task: 'trips-1', watermarkMs: 13, rows: [at('b', 10, 1)] })
    expect(tables['gold/newest']).toEqual({
      rows: ['a 0 1 1 r0', 'b 10 2 3 r1', 'c 20 1 3 r0'],
      replaces: [0],
    })
    world.step({ task: 'trips-1', watermarkMs: 30 })
    expect(world.task.openPanes).toBe(0)
  })

  it('keeps no groups where every table has all revisions', () => {
    const world = new MergeWorld({ allOnly: true }, ['trips-0', 'trips-1'])
    world.fold({ task: 'trips-1', watermarkMs: 3, idle: true })
    world.step(epoch(30, at('a', 0, 1), at('b', 10, 2)))
    expect([...world.task.liveEpochs]).toEqual([])
    world.step({ task: 'trips-1', watermarkMs: 10, idle: true })
    expect(world.task.openPanes).toBe(1)
    world.step({ task: 'trips-1', watermarkMs: 15, rows: [at('b', 10, 5)] })
    expect(world.linesOf('all')).toEqual(['a 0 1 1 r0', 'b 10 1 2 r0', 'b 10 2 7 r1'])
  })
})

describe('refine', () => {
  it('gives the first result at the end, one for each change within the allowed lateness, and none for none', () => {
    const world = new MergeWorld({ allowedLatenessMs: 5, trigger: { refine: true } })
    expect(world.step(epoch(9, at('a', 0, 1), at('b', 0, 2))).topic).toEqual([])
    expect(world.step(epoch(10)).topic).toEqual(['a 0 1 1 r0', 'b 0 1 2 r0'])
    expect(world.step(epoch(11)).tables).toEqual({})
    const { tables, topic } = world.step(epoch(12, at('a', 0, 3)))
    expect(topic).toEqual(['a 0 2 4 r1'])
    expect(tables['gold/newest']).toEqual({ rows: ['a 0 2 4 r1', 'b 0 1 2 r0'], replaces: [1] })
    // A row that comes with the epoch that closes the window is in its last revision.
    expect(world.step(epoch(15, at('b', 0, 5))).topic).toEqual(['b 0 2 7 r1'])
    expect(world.task.openPanes).toBe(0)
    expect(world.linesOf('newest')).toEqual(['a 0 2 4 r1', 'b 0 2 7 r1'])
    expect(world.linesOf('all')).toEqual(['a 0 1 1 r0', 'a 0 2 4 r1', 'b 0 1 2 r0', 'b 0 2 7 r1'])
  })
})

describe('early results', () => {
  it('come when a pane has so many rows more', () => {
    const world = new MergeWorld({ trigger: { earlyEveryRows: 3 } })
    expect(world.step(epoch(1, at('a', 0, 1, 1), at('b', 0, 1))).topic).toEqual([])
    expect(world.step(epoch(2, at('a', 0, 1))).topic).toEqual(['a 0 3 3 r0'])
    expect(world.step(epoch(3, at('a', 0, 1, 1), at('b', 0, 1, 1, 1, 1))).topic).toEqual(['b 0 5 5 r0'])
    expect(world.step(epoch(4)).topic).toEqual([])
    // Since its early result nothing has come for b: that is not written again.
    expect(world.step(epoch(10)).topic).toEqual(['a 0 5 5 r1'])
    expect(world.linesOf('newest')).toEqual(['a 0 5 5 r1', 'b 0 5 5 r0'])
  })

  it('come when so much time has gone by since the last, or since the first row', () => {
    const world = new MergeWorld({ trigger: { earlyEveryMs: 100 } })
    expect(world.step(epoch(1, at('a', 0, 1)), 1000).topic).toEqual([])
    expect(world.task.earlyDueMs).toBe(1100)
    expect(world.step(epoch(2, at('b', 0, 1)), 1050).topic).toEqual([])
    expect(world.cut(1099).topic).toEqual([])
    expect(world.cut(1110).topic).toEqual(['a 0 1 1 r0'])
    expect(world.task.earlyDueMs).toBe(1150)
    expect(world.cut(1150).topic).toEqual(['b 0 1 1 r0'])
    expect(world.task.earlyDueMs).toBe(Infinity)
    expect(world.step(epoch(3, at('a', 0, 2)), 1160).topic).toEqual([])
    expect(world.task.earlyDueMs).toBe(1210)
    // Of a long rest the next change is due at once.
    expect(world.step(epoch(4, at('b', 0, 2)), 1300).topic).toEqual(['a 0 2 3 r1', 'b 0 2 3 r1'])
    expect(world.cut(2000).topic).toEqual([])
    expect(world.step(epoch(10)).topic).toEqual([])
  })

  it('of a pane whose file is replaced come before they are due: its row cannot be written as it was', () => {
    const world = new MergeWorld({ trigger: { earlyEveryRows: 2 } })
    world.step(epoch(1, at('a', 0, 1, 1), at('b', 0, 1, 1), at('c', 0, 1, 1)))
    const { tables, topic } = world.step(epoch(2, at('a', 0, 1, 1), at('b', 0, 5)))
    expect(topic).toEqual(['a 0 4 4 r1', 'b 0 3 7 r1'])
    expect(tables['gold/newest']).toEqual({ rows: ['a 0 4 4 r1', 'b 0 3 7 r1', 'c 0 2 2 r0'], replaces: [0] })
  })

  it('are all there is of a global window, but for one at the end of a recording', () => {
    const world = new MergeWorld({ window: { kind: 'global' }, trigger: { earlyEveryRows: 2 } })
    expect(world.step(epoch(1e9, at('a', 0, 1, 1), at('b', 0, 1))).topic).toEqual(['a null 2 2 r0'])
    expect(world.step(epoch(2e9, at('a', 0, 1))).topic).toEqual([])
    expect(world.step(epoch(Infinity)).topic).toEqual(['a null 3 3 r1', 'b null 1 1 r0'])
    expect(world.linesOf('newest')).toEqual(['a null 3 3 r1', 'b null 1 1 r0'])
    expect(world.task.openPanes).toBe(0)
  })
})

describe('having', () => {
  it('keeps results out of a table and a topic, and takes back what it no longer lets pass', () => {
    const world = new MergeWorld({
      trigger: { earlyEveryRows: 1 },
      having: ({ fares }) => fares !== null && fares < 10,
    })
    expect(world.step(epoch(1, at('a', 0, 1), at('b', 0, 20))).topic).toEqual(['a 0 1 1 r0'])
    const { topic, retracted, tables } = world.step(epoch(2, at('a', 0, 50), at('b', 0, 1)))
    expect([topic, retracted]).toEqual([[], ['a 0']])
    expect(tables['gold/newest']).toEqual({ rows: [], replaces: [0] })
    // What the topic does not have is not taken back.
    expect(world.step(epoch(3, at('a', 0, 1), at('b', 0, -20))).retracted).toEqual([])
    expect(world.linesOf('newest')).toEqual(['b 0 3 1 r2'])
    expect([...world.topic.keys()]).toEqual(['b 0'])
    expect(world.rowsOf('all')).toHaveLength(6)
  })

  it('stops the pipeline where it throws', () => {
    const world = new MergeWorld({
      having: () => {
        throw new Error('no such field')
      },
    })
    world.fold(epoch(10, at('a', 0, 1)))
    expect(() => world.cut()).toThrow(
      expect.objectContaining({ code: 'HAVING_FAILED', message: 'having chosen threw: no such field' }),
    )
  })
})

describe('windows over results', () => {
  const partial = (startMs: number, results: number, fares: number) => [
    [`${startMs} [${results},[${results},${fares}]]`],
  ]

  it('get each result once, when it is final, also where it was written early', () => {
    const world = new MergeWorld({ upperMs: 40, allowedLatenessMs: 5, trigger: { refine: true } })
    expect(world.step(epoch(11, at('a', 0, 1), at('b', 0, 2))).partials).toEqual([])
    expect(world.step(epoch(12, at('b', 0, 3))).partials).toEqual([])
    expect(world.step(epoch(15)).partials).toEqual(partial(0, 2, 6))
    expect(world.step(epoch(100, at('a', 30, 1))).partials).toEqual(partial(0, 1, 1))
    expect(world.task.state.downstreamWatermarkMs).toBe(95)
  })

  it('count as late what is revised after that', () => {
    const world = new MergeWorld({ upperMs: 40 }, ['trips-0', 'trips-1'])
    world.fold({ task: 'trips-1', watermarkMs: 3, idle: true })
    expect(world.step(epoch(12, at('a', 0, 1))).partials).toEqual(partial(0, 1, 1))
    const { topic, partials } = world.step({
      task: 'trips-1',
      watermarkMs: 5,
      rows: [at('a', 0, 5), at('b', 0, 1)],
    })
    expect(topic).toEqual(['a 0 2 6 r1', 'b 0 1 1 r0'])
    expect(partials).toEqual(partial(0, 1, 1))
    expect(world.task.state.totals.late).toEqual({ upper: 1 })
  })

  it('see what having lets pass', () => {
    const world = new MergeWorld({ upperMs: 40, having: ({ fares }) => fares === 2 })
    expect(world.step(epoch(12, at('a', 0, 1), at('b', 0, 2))).partials).toEqual(partial(0, 1, 2))
  })
})

describe('limits', () => {
  it('stop the pipeline where more windows are open than may be', () => {
    const world = new MergeWorld({ limits: { panesMax: 2 } })
    world.step(epoch(0, at('a', 0, 1), at('b', 0, 1)))
    expect(() => world.fold(epoch(0, at('c', 0, 1)))).toThrow(
      expect.objectContaining({
        code: 'STATE_LIMIT',
        message: expect.stringContaining('fares has 3 open windows') as string,
      }),
    )
  })
})
