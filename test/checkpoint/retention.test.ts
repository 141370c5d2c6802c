import { describe, expect, it } from 'vitest'
import type { DataRecord, MergeWork, PartitionWork } from '../../src/checkpoint/record.ts'
import {
  assertRetained,
  decideRetention,
  isSpent,
  oldestNeeded,
  retainedEpochs,
  retentionCeiling,
  stagedKeysOf,
} from '../../src/checkpoint/retention.ts'

const RULES = { deletePublishedOnly: true, retainMergeSnapshot: true }
const totals = { records: 0, deadLetters: {}, late: {}, dropped: {}, rows: {} }

const partitionWork: PartitionWork = {
  type: 'partition',
  state: {
    position: null,
    watermarkMs: 0,
    idle: false,
    ended: false,
    lastArrivalMs: 0,
    circuit: null,
    totals,
  },
  records: 0,
  dedupe: ['d-3', 'd-5'],
  partials: 'p-9',
}

const mergeWork = (snapshot: number | null): MergeWork => ({
  type: 'merge',
  state: { sources: {}, watermarkMs: 0, downstreamWatermarkMs: 0, totals },
  folded: [],
  snapshot: snapshot === null ? null : { key: `s-${snapshot}`, epoch: snapshot },
})

function data(epoch: number, rest: Partial<DataRecord> = {}): DataRecord {
  return {
    version: 1,
    kind: 'data',
    pipeline: 'p',
    incarnation: 1,
    task: 't-0',
    epoch,
    nonce: 'n',
    run: 'r',
    writtenMs: 0,
    claim: 0,
    files: {},
    published: { 'bronze/a': epoch, dead_letters: epoch },
    work: partitionWork,
    ...rest,
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

describe('the epochs of a chain that count', () => {
  it.each([
    { listed: [], counts: [] },
    { listed: [0], counts: [0] },
    { listed: [0, 1, 2], counts: [0, 1, 2] },
    { listed: [7, 8, 9], counts: [7, 8, 9] },
    // A sleeper put 2 and 3 where records had been deleted.
    { listed: [2, 3, 7, 8], counts: [7, 8] },
    // The deletion of 0 to 6 stopped after 0 and 1, out of order at 4.
    { listed: [2, 3, 5, 6, 7], counts: [5, 6, 7] },
  ])('$listed → $counts', ({ listed, counts }) => {
    expect(retainedEpochs(listed)).toEqual(counts)
  })

  it('begin above 0 only where every table is marked there', () => {
    const markers = (a: number, b: number) =>
      new Map([
        ['bronze/a', a],
        ['dead_letters', b],
      ])
    expect(() => assertRetained('t-0', [0, 1], markers(-1, -1))).not.toThrow()
    expect(() => assertRetained('t-0', [], markers(-1, -1))).not.toThrow()
    expect(() => assertRetained('t-0', [5, 6], markers(6, 5))).not.toThrow()
    expect(() => assertRetained('t-0', [5, 6], markers(6, 4))).toThrow(
      expect.objectContaining({
        code: 'CHAIN_GAP',
        message: expect.stringContaining('dead_letters') as string,
      }),
    )
  })
})

describe('the oldest record that is needed', () => {
  const sinks = ['bronze/a', 'dead_letters']
  it.each([
    { why: 'everything is published', last: data(9), merged: null, ceiling: 9 },
    {
      why: 'one table is behind',
      last: data(9, { published: { 'bronze/a': 8, dead_letters: 5 } }),
      merged: null,
      ceiling: 5,
    },
    {
      why: 'a table has never been published',
      last: data(9, { published: { 'bronze/a': 8 } }),
      merged: null,
      ceiling: -1,
    },
    {
      why: 'a topic is behind, which this run does not write to',
      last: data(9, { published: { 'bronze/a': 8, dead_letters: 8, outbox: 3 } }),
      merged: null,
      ceiling: 3,
    },
    { why: "the merge's snapshot is older", last: data(9), merged: 4, ceiling: 4 },
    { why: 'the merge has no snapshot of it', last: data(9), merged: -1, ceiling: -1 },
  ])('is at most $ceiling where $why', ({ last, merged, ceiling }) => {
    expect(retentionCeiling(last, sinks, merged, RULES)).toBe(ceiling)
  })

  it('of the merge is that of its snapshot, and all are needed before the first', () => {
    expect(oldestNeeded(data(9), RULES)).toBe(9)
    expect(oldestNeeded(data(9, { work: mergeWork(4) }), RULES)).toBe(4)
    expect(oldestNeeded(data(9, { work: mergeWork(null) }), RULES)).toBe(-1)
  })
})

describe('what is deleted', () => {
  const limits = { keepRecords: 2, recordsMin: 3 }
  it.each([
    { why: 'below what is kept for people', epochs: range(0, 9), needed: 8, deleted: range(0, 5) },
    { why: 'too few to be worth it', epochs: range(0, 9), needed: 4, deleted: null },
    { why: 'nothing is published or merged yet', epochs: range(0, 9), needed: -1, deleted: null },
    { why: 'an empty chain', epochs: [], needed: -1, deleted: null },
    { why: 'a chain without what is needed', epochs: range(6, 9), needed: 5, deleted: null },
    {
      why: 'what sleepers left behind too',
      epochs: [1, 2, ...range(5, 12)],
      needed: 9,
      deleted: [1, 2, 5, 6],
    },
  ])('$why', ({ epochs, needed, deleted }) => {
    const decision = decideRetention({ epochs, needed, ...limits })
    expect(decision?.epochs ?? null).toEqual(deleted)
    if (decision !== null) {
      expect(decision.raiseTo).toBe(needed)
      expect(decision.below).toBe(needed - 2)
    }
  })

  it('are staged files of deleted epochs that no kept record names', () => {
    const named = new Set(stagedKeysOf(data(9)))
    expect([...named]).toEqual(['d-3', 'd-5', 'p-9'])
    const name = (epoch: number) => ({ epoch, claim: 0, nonce: 'x' })
    expect(isSpent('d-4', name(4), 6, named)).toBe(true)
    expect(isSpent('d-3', name(3), 6, named)).toBe(false)
    expect(isSpent('p-6', name(6), 6, named)).toBe(false)
  })

  it('is never what a record names: the snapshot of the merge, messages for topics', () => {
    expect(stagedKeysOf(data(9, { work: mergeWork(4) }))).toEqual(['s-4'])
    expect(stagedKeysOf(data(9, { work: mergeWork(null) }))).toEqual([])
    const snapshot = { key: 's.json', epoch: 4, parts: 2, changes: [{ key: 'c.json' }] }
    const work = { ...mergeWork(4), snapshot, partials: 'p-9' }
    expect(stagedKeysOf(data(9, { work }))).toEqual(['s.json', 's-1.json', 'c.json', 'p-9'])
    const outbox = { key: 'o-9', messages: 1, topics: ['t'] }
    expect(stagedKeysOf(data(9, { outbox }))).toEqual(['o-9', 'd-3', 'd-5', 'p-9'])
  })
})
