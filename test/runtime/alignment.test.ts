import { describe, expect, it } from 'vitest'
import { Alignment, slowestMoving } from '../../src/runtime/alignment.ts'

const MINUTE = 60_000

describe('alignment', () => {
  it('holds back who is further ahead of the slowest than the limit, and nobody else', () => {
    const alignment = new Alignment(MINUTE)
    alignment.observe('a', 0, true)
    alignment.observe('b', MINUTE, true)
    alignment.observe('c', MINUTE + 1, true)
    expect(['a', 'b', 'c'].map((task) => alignment.isAhead(task))).toEqual([false, false, true])
  })

  it('waits for a partition that has not been read yet', () => {
    const alignment = new Alignment(MINUTE)
    alignment.observe('a', 5, true)
    alignment.observe('b', -Infinity, true)
    expect(alignment.isAhead('a')).toBe(true)
    expect(alignment.isAhead('b')).toBe(false)
  })

  it('lets nobody wait for a partition that has nothing to read, or that has left', () => {
    const alignment = new Alignment(MINUTE)
    alignment.observe('a', 10 * MINUTE, true)
    alignment.observe('b', 0, false)
    expect(alignment.isAhead('a')).toBe(false)
    alignment.observe('b', 0, true)
    expect(alignment.isAhead('a')).toBe(true)
    alignment.leave('b')
    expect(alignment.isAhead('a')).toBe(false)
  })

  it('always lets the slowest go on, whatever is elsewhere: so somebody moves', () => {
    const alignment = new Alignment(0)
    for (const [task, watermarkMs] of [
      ['a', 3],
      ['b', 1],
      ['c', 2],
    ] as const)
      alignment.observe(task, watermarkMs, true)
    expect(['a', 'b', 'c'].filter((task) => !alignment.isAhead(task))).toEqual(['b'])
  })

  it('wakes who waits as soon as somebody moves', async () => {
    const alignment = new Alignment(MINUTE)
    alignment.observe('a', 10 * MINUTE, true)
    alignment.observe('b', 0, true)
    const changed = alignment.changed()
    alignment.observe('b', 9 * MINUTE, true)
    await changed
    expect(alignment.isAhead('a')).toBe(false)
  })

  it('counts partitions of other processes while they move', () => {
    const at = (watermarkMs: number, idle = false) => ({ watermarkMs, idle, ended: false })
    const before = new Map([
      ['still', 5],
      ['moving', 3],
      ['idle', 1],
    ])
    const now = new Map([
      ['still', at(5)],
      ['moving', at(7)],
      ['idle', at(2, true)],
      ['new', at(1)],
    ])
    expect(slowestMoving(before, now)).toBe(7)
    const alignment = new Alignment(MINUTE)
    alignment.observe('a', 10 * MINUTE, true)
    alignment.observeOthers(7)
    expect(alignment.isAhead('a')).toBe(true)
    alignment.observeOthers(slowestMoving(new Map(), new Map()))
    expect(alignment.isAhead('a')).toBe(false)
  })
})
