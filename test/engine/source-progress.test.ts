import { describe, expect, it } from 'vitest'
import { MergeTask } from '../../src/engine/merge-task.ts'
import { planOf, RULES } from './merge-world.ts'

interface Said {
  readonly watermarkMs: number
  readonly parents?: readonly string[]
  /** Present where the source has been handed on. */
  readonly to?: readonly string[]
  readonly idle?: boolean
}

/** A merge, and what its sources say one after the other. */
class Sources {
  readonly task = new MergeTask(planOf({}), { stage: 0, slice: 0, tasks: [], state: null, rules: RULES })
  readonly #epochs = new Map<string, number>()
  #cuts = 0

  expect(lineage: Readonly<Record<string, readonly string[] | undefined>>): this {
    this.task.expect(Object.keys(lineage), (task) => lineage[task])
    return this
  }

  says(task: string, { watermarkMs, parents, to, idle = false }: Said): this {
    const epoch = (this.#epochs.get(task) ?? -1) + 1
    this.#epochs.set(task, epoch)
    this.task.fold({
      task,
      epoch,
      watermarkMs,
      idle,
      ended: to !== undefined,
      lastArrivalMs: 0,
      partials: null,
      ...(parents && { parents }),
      ...(to && { successors: to }),
    })
    return this
  }

  /** W after a cut. */
  get watermarkMs(): number {
    this.task.cut({ epoch: this.#cuts, nowMs: this.#cuts++ })
    return this.task.watermarkMs
  }
}

//  old  ├── 10 ──┤ handed on
//  left          ├── 10 ── 30
//  right         ├── 10 ──── 50
describe('a source that was handed on', () => {
  const split = ['left', 'right']

  it('holds W until each of those that follow it has been heard', () => {
    const sources = new Sources().expect({ other: undefined, old: undefined })
    sources.says('other', { watermarkMs: 100 }).says('old', { watermarkMs: 10, to: split })
    expect(sources.watermarkMs).toBe(10)
    sources.says('left', { watermarkMs: 30, parents: ['old'] })
    expect(sources.watermarkMs).toBe(10)
    sources.says('right', { watermarkMs: 50, parents: ['old'] })
    expect(sources.watermarkMs).toBe(30)
  })

  it('holds W for those that a list has already, and they hold nothing meanwhile', () => {
    const sources = new Sources().expect({ old: undefined, left: ['old'], right: ['old'] })
    sources.says('old', { watermarkMs: 5 })
    expect(sources.watermarkMs).toBe(5)
    // One that cannot have begun is not waited for.
    expect(sources.task.busySources).toBe(1)
    sources.says('old', { watermarkMs: 10, to: split })
    expect(sources.watermarkMs).toBe(10)
    expect(sources.task.busySources).toBe(0)
  })

  it('is heard from those that follow it before its own end, where chains are read in that order', () => {
    const sources = new Sources().expect({ old: undefined })
    sources.says('old', { watermarkMs: 5 })
    sources.says('left', { watermarkMs: 30, parents: ['old'] })
    sources.says('right', { watermarkMs: 20, parents: ['old'] })
    expect(sources.watermarkMs).toBe(5)
    sources.says('old', { watermarkMs: 10, to: split })
    expect(sources.watermarkMs).toBe(20)
  })

  it('is merged with another: the lower one counts, to the first word of what follows both', () => {
    const sources = new Sources().expect({ a: undefined, b: undefined, both: ['a', 'b'] })
    sources.says('a', { watermarkMs: 40, to: ['both'] }).says('b', { watermarkMs: 20 })
    expect(sources.watermarkMs).toBe(20)
    sources.says('b', { watermarkMs: 25, to: ['both'] })
    expect(sources.watermarkMs).toBe(25)
    sources.says('both', { watermarkMs: 25, parents: ['a', 'b'] })
    sources.says('both', { watermarkMs: 90, parents: ['a', 'b'] })
    expect(sources.watermarkMs).toBe(90)
  })

  it('holds nothing where it was idle, nor do those that follow it', () => {
    const sources = new Sources().expect({ other: undefined, old: undefined, left: ['old'] })
    sources.says('other', { watermarkMs: 100 }).says('old', { watermarkMs: 10, to: ['left'], idle: true })
    expect(sources.watermarkMs).toBe(100)
  })

  it('goes on in a merge that is restored from its state', () => {
    const before = new Sources().expect({ old: undefined, left: ['old'], right: ['old'] })
    before.says('old', { watermarkMs: 10, to: split }).says('left', { watermarkMs: 30, parents: ['old'] })
    expect(before.watermarkMs).toBe(10)
    const state = JSON.parse(
      JSON.stringify(before.task.state, infinityText),
      infinity,
    ) as typeof before.task.state
    const task = new MergeTask(planOf({}), { stage: 0, slice: 0, tasks: [], state, rules: RULES })
    expect(task.state).toEqual(before.task.state)
    expect([...task.handedOn.keys()]).toEqual(['old', 'left', 'right'])
    const heard = { task: 'right', epoch: 0, watermarkMs: 20, idle: false, ended: false, parents: ['old'] }
    task.fold({ ...heard, lastArrivalMs: 0, partials: null })
    task.cut({ epoch: 1, nowMs: 1 })
    expect(task.watermarkMs).toBe(20)
  })
})

describe('a source that only those that it follows know as a follower', () => {
  const epochs = [
    { task: 'old', epoch: 0, watermarkMs: 10, ended: true, successors: ['child'] },
    { task: 'child', epoch: 0, watermarkMs: 30, ended: false },
  ].map((epoch) => ({ ...epoch, idle: false, lastArrivalMs: 0, partials: null }))
  const merge = (): MergeTask => new Sources().task

  it('is heard again where the epochs of a merge are folded again', () => {
    const before = merge()
    // A list that has forgotten the child says nothing of its parents; nor does its own chain.
    before.expect(['old', 'child'], () => [])
    for (const epoch of epochs) before.fold(epoch)
    before.cut({ epoch: 0, nowMs: 0 })
    expect(before.watermarkMs).toBe(30)
    const again = merge()
    again.expectAgain(before.state.sources)
    for (const epoch of epochs) again.fold(epoch)
    again.cut({ epoch: 0, nowMs: 0 })
    expect(again.state).toEqual(before.state)
  })
})

describe('a source that has not been heard', () => {
  it('holds W where nobody does for it: what it follows is gone', () => {
    const sources = new Sources().expect({ other: undefined, child: ['gone'] })
    sources.says('other', { watermarkMs: 100 })
    expect(sources.watermarkMs).toBe(-Infinity)
    sources.says('child', { watermarkMs: 60 })
    expect(sources.watermarkMs).toBe(60)
  })

  it('holds W where what it follows has ended for good', () => {
    const sources = new Sources().expect({ other: undefined, old: undefined, child: ['old'] })
    sources.says('other', { watermarkMs: 100 }).says('old', { watermarkMs: Infinity, to: [] })
    expect(sources.watermarkMs).toBe(-Infinity)
  })

  it('is no end of the merge', () => {
    const sources = new Sources().expect({ old: undefined })
    sources.says('old', { watermarkMs: 10, to: ['left'] })
    expect(sources.task.isEnded).toBe(false)
    sources.says('left', { watermarkMs: 10, parents: ['old'], to: [] })
    expect(sources.task.isEnded).toBe(true)
  })
})

function infinityText(_key: string, value: unknown): unknown {
  return value === -Infinity ? 'low' : value
}

function infinity(_key: string, value: unknown): unknown {
  return value === 'low' ? -Infinity : value
}
