import { describe, expect, it } from 'vitest'
import {
  changedTables,
  claimHolds,
  decideClaim,
  decideRedo,
  isOrphan,
  redoFrom,
} from '../../src/checkpoint/decide.ts'
import type { ChainRecord, DataRecord } from '../../src/checkpoint/record.ts'
import type { StagedFile } from '../../src/ports.ts'

const file: StagedFile = {
  path: 'f.parquet',
  size: 1,
  rows: 1,
  partitionValues: {},
  stats: '',
  modifiedMs: 0,
  tags: {},
}
const base = {
  version: 1,
  pipeline: 'p',
  incarnation: 1,
  task: 't-0',
  nonce: 'n',
  run: 'r',
  writtenMs: 0,
} as const
const claim = (epoch: number): ChainRecord => ({ ...base, kind: 'claim', epoch })
const seal = (epoch: number): ChainRecord => ({ ...base, kind: 'seal', epoch })

/** A data record with a file for each of the tables named. */
function data(
  epoch: number,
  tables: readonly string[],
  published: Readonly<Record<string, number>> = {},
): DataRecord {
  return {
    ...base,
    kind: 'data',
    epoch,
    claim: 0,
    files: Object.fromEntries(tables.map((path) => [path, [file]])),
    published,
    work: {
      type: 'partition',
      state: {
        position: null,
        watermarkMs: 0,
        idle: false,
        ended: false,
        lastArrivalMs: 0,
        circuit: null,
        totals: { records: 0, deadLetters: {}, late: {}, dropped: {}, rows: {} },
      },
      records: 0,
      dedupe: [],
      partials: null,
    },
  }
}

describe('a claim', () => {
  it.each([
    ['an empty chain', null, { kind: 'claim', epoch: 0 }],
    ['a chain that ends in work', data(4, []), { kind: 'claim', epoch: 5 }],
    ['a chain that ends in another claim', claim(7), { kind: 'claim', epoch: 8 }],
    ['a sealed chain', seal(9), { kind: 'sealed' }],
  ] as const)('of %s', (_, head, decision) => {
    expect(decideClaim(head)).toEqual(decision)
  })

  it.each([
    ['holds where the list ends in it', [0, 1, 2], 2, true],
    ['is void where somebody claimed after it', [0, 1, 2, 3], 2, false],
    // It landed in a hole below the head: by retention, or by a listing that was torn.
    ['is void where the list does not have it', [0, 1], 2, false],
    ['is void where the list is empty', [], 0, false],
  ])('%s', (_, epochs, own, holds) => {
    expect(claimHolds(epochs, own)).toBe(holds)
  })
})

describe('redo', () => {
  it.each([
    ['all is published: only the record itself is read', data(9, [], { a: 8, b: 8 }), ['a', 'b'], 9],
    ['the slowest table decides', data(9, [], { a: 8, b: 3 }), ['a', 'b'], 4],
    ['a table that has nothing yet', data(9, [], { a: 8 }), ['a', 'b'], 0],
    ['a task without tables', data(9, [], {}), [], 9],
  ])('begins where not everything is known to be published: %s', (_, last, tables, from) => {
    expect(redoFrom(last, tables)).toBe(from)
  })

  const chain = [claim(0), data(1, ['a']), data(2, ['a', 'b']), data(3, []), claim(4), data(5, ['b'])]
  it.each([
    ['nothing is in any table', {}, [1, 2, 5]],
    ['one table is behind the other', { a: 2 }, [2, 5]],
    ['the tables are beyond all records that they are in', { a: 2, b: 5 }, []],
    ['a table has a later epoch of the task', { a: 9, b: 9 }, []],
    ['an epoch without files is no work', { a: 2, b: 2 }, [5]],
    ['markers are compared by at least, not by equal', { a: 3, b: 3 }, [5]],
  ])('ascending, of each epoch that some table lacks: %s', (_, markers, epochs) => {
    const pending = decideRedo(chain, new Map(Object.entries(markers)))
    expect(pending.map(({ epoch }) => epoch)).toEqual(epochs)
  })
})

it('is to be redone too where an epoch only takes files out of a table', () => {
  const { path, size, partitionValues } = file
  const replacing: DataRecord = {
    ...data(2, ['a']),
    files: { a: [] },
    removes: { a: [{ path, size, partitionValues }] },
  }
  expect(changedTables(replacing)).toEqual(['a'])
  expect(decideRedo([replacing], new Map([['a', 1]]))).toEqual([replacing])
  expect(decideRedo([replacing], new Map([['a', 2]]))).toEqual([])
})

describe('an orphan', () => {
  // Our claim is 8, the last work that we restored from is epoch 6.
  const facts = { lastDataEpoch: 6, claim: 8, named: new Set(['named']) }
  it.each([
    ['what an earlier owner staged beyond the last record', 'x', { epoch: 7, claim: 3 }, true],
    ['also where it had two epochs open', 'x', { epoch: 9, claim: 3 }, true],
    ['not what a record names', 'named', { epoch: 7, claim: 3 }, false],
    ['not what belongs to a recorded epoch: it may be published', 'x', { epoch: 6, claim: 3 }, false],
    ['not what is long past', 'x', { epoch: 2, claim: 0 }, false],
    ['not our own', 'x', { epoch: 9, claim: 8 }, false],
    ['not what our successor stages while we sleep', 'x', { epoch: 10, claim: 9 }, false],
  ])('is %s', (_, key, name, orphan) => {
    expect(isOrphan(key, { ...name, nonce: 'n' }, facts)).toBe(orphan)
  })

  it('is everything older of a chain without work', () => {
    const empty = { lastDataEpoch: -1, claim: 1, named: new Set<string>() }
    expect(isOrphan('x', { epoch: 0, claim: 0, nonce: 'n' }, empty)).toBe(true)
  })
})
