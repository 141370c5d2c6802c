import { describe, expect, it } from 'vitest'
import { type DataRecord, decodeRecord, encodeRecord, snapshotKeys } from '../../src/checkpoint/record.ts'

const record: DataRecord = {
  version: 1,
  kind: 'data',
  pipeline: 'p',
  incarnation: 1,
  task: 't-0',
  epoch: 5,
  nonce: 'n',
  run: 'r',
  writtenMs: 1_700_000_000_000,
  claim: 3,
  files: {
    'silver/rows': [
      {
        path: 'delayMs=Infinity/f.parquet',
        size: 10,
        rows: 2,
        // What a user's column is called, and what is in it, is nobody's time.
        partitionValues: { delayMs: 'Infinity', other: null },
        stats: '{"numRecords":2}',
        modifiedMs: 1,
        tags: { atMs: '-Infinity' },
      },
    ],
  },
  published: { 'silver/rows': 4 },
  work: {
    type: 'partition',
    state: {
      position: '7',
      watermarkMs: -Infinity,
      idle: false,
      ended: false,
      lastArrivalMs: -Infinity,
      circuit: { seen: 1, failed: 0 },
      totals: { records: 7, deadLetters: {}, late: {}, dropped: {}, rows: {} },
    },
    records: 7,
    dedupe: ['a', 'b'],
    partials: null,
  },
}

describe('a record', () => {
  it('comes back as it was, infinite times too', () => {
    expect(decodeRecord('key', encodeRecord(record))).toEqual(record)
    const ended = {
      ...record,
      work: { ...record.work, state: { ...record.work.state, watermarkMs: Infinity } },
    } as DataRecord
    expect(decodeRecord('key', encodeRecord(ended))).toEqual(ended)
  })

  it('of a merge comes back too, also one of before later stages were', () => {
    const merge = {
      ...record,
      removes: { 'gold/sums': [{ path: 'f.parquet', size: 10, partitionValues: {} }] },
      work: {
        type: 'merge',
        state: {
          sources: { 't-0': { epoch: 3, watermarkMs: -Infinity, idle: false, ended: false } },
          watermarkMs: -Infinity,
          downstreamWatermarkMs: Infinity,
          totals: { records: 0, deadLetters: {}, late: {}, dropped: {}, rows: {} },
        },
        folded: [],
        snapshot: {
          key: 's.json',
          epoch: 4,
          parts: 2,
          bytes: 70,
          changes: [{ key: 'c.json', parts: 1, bytes: 3 }],
        },
        nowMs: -Infinity,
        partials: 'p.json',
      },
    } as unknown as DataRecord
    expect(decodeRecord('key', encodeRecord(merge))).toEqual(merge)
    const old = JSON.parse(encodeRecord(merge)) as {
      work: { nowMs?: unknown; partials?: unknown; state: { downstreamWatermarkMs?: unknown } }
    }
    delete old.work.state.downstreamWatermarkMs
    delete old.work.nowMs
    delete old.work.partials
    const { work } = decodeRecord('key', JSON.stringify(old)) as DataRecord
    expect(work).toMatchObject({ state: { downstreamWatermarkMs: -Infinity } })
    expect(work).not.toHaveProperty('nowMs')
  })

  it('names all objects of a snapshot, in the order of a restore', () => {
    expect(snapshotKeys(null)).toEqual([])
    expect(snapshotKeys({ key: 'a/s.json', epoch: 3 })).toEqual(['a/s.json'])
    const changes = [
      { key: 'a/c.json', parts: 1 },
      { key: 'a/d.json', parts: 2 },
    ]
    expect(snapshotKeys({ key: 'a/s.json', epoch: 3, parts: 2, changes })).toEqual([
      'a/s.json',
      'a/s-1.json',
      'a/c.json',
      'a/d.json',
      'a/d-1.json',
    ])
  })

  it('is JSON on one line, for people and for tools', () => {
    const text = encodeRecord(record)
    expect(text.indexOf('\n')).toBe(text.length - 1)
    expect((JSON.parse(text) as DataRecord).work).toMatchObject({ state: { watermarkMs: '-Infinity' } })
  })

  it('of another version, or that is no JSON, is refused with its key', () => {
    const newer = encodeRecord({ ...record, version: 2 as 1 })
    expect(() => decodeRecord('some/key', newer)).toThrow(expect.objectContaining({ code: 'RECORD_VERSION' }))
    expect(() => decodeRecord('some/key', encodeRecord(record).slice(0, 40))).toThrow(
      expect.objectContaining({ code: 'RECORD_UNREADABLE', message: expect.stringContaining('some/key') }),
    )
  })
})
