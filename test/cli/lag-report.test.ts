import { describe, expect, it } from 'vitest'
import { beyond, type LagReport, mergeLag, partitionLag, totalReach } from '../../src/cli/lag-report.ts'
import type { TaskProgress } from '../../src/cli/chain-facts.ts'

const ends = { topic: 'trips', partition: 3, firstOffset: 100, endOffset: 500 }
const NOTHING_KNOWN = { recorded: null, published: null }

const idleMerge = {
  task: 'merge-0',
  recorded: null,
  published: null,
  unpublished: 0,
  owner: 'a:1',
} as TaskProgress

function report(...lags: readonly { records: number; ms: number | null }[]): LagReport {
  const partitions = lags.map(({ records, ms }, partition) =>
    partitionLag(null, { ...ends, partition }, NOTHING_KNOWN, { lagRecords: records, lagMs: ms }, false, 0),
  )
  const merge = mergeLag(idleMerge, [{ lagRecords: 30, lagMs: 3_000 }], 2, 0)
  const { lagRecords, lagMs } = totalReach(partitions)
  return { pipeline: 'p', incarnation: 1, at: '', partitions, merges: [merge], lagRecords, lagMs: lagMs ?? 0 }
}

describe('a report of lag', () => {
  it('says where a partition was not begun, has lost records, or is another one of its name', () => {
    const reach = { lagRecords: 400, lagMs: null }
    const note = (recorded: number | null, isRecreated: boolean) =>
      partitionLag(null, ends, { recorded, published: recorded }, reach, isRecreated, 0).note
    expect(note(null, false)).toBe('unread')
    expect(note(99, false)).toBe('expired')
    expect(note(100, false)).toBeNull()
    expect(note(100, true)).toBe('recreated')
  })

  it('sums records, and takes the longest of times; what is not known counts as none', () => {
    expect(report({ records: 5, ms: 10 }, { records: 7, ms: null }, { records: 0, ms: 8 })).toMatchObject({
      lagRecords: 12,
      lagMs: 10,
    })
  })

  it('is beyond a number of records in total, or by a merge', () => {
    const lagging = report({ records: 20, ms: 0 }, { records: 20, ms: 0 })
    expect(beyond(lagging, { records: 40 })).toEqual([])
    expect(beyond(lagging, { records: 39 })).toEqual(['all partitions'])
    expect(beyond(lagging, { records: 29 })).toEqual(['all partitions', 'merge-0'])
  })

  it('is beyond a time by any task', () => {
    const lagging = report({ records: 1, ms: 2_000 }, { records: 1, ms: 4_000 })
    expect(beyond(lagging, { ms: 4_000 })).toEqual([])
    expect(beyond(lagging, { ms: 2_500 })).toEqual(['trips-1', 'merge-0'])
  })
})
