import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ChainKeys,
  epochOfRecordKey,
  mergeTaskName,
  mergeTasksOf,
  mergeTasksOfStage,
  parseMergeTask,
  parseStagedName,
  partKey,
} from '../../src/checkpoint/keys.ts'

const keys = new ChainKeys('taxi', 3)
const name = { epoch: 12, claim: 10, nonce: '0af3c2' }

describe('keys', () => {
  it('sort as epochs and incarnations do', () => {
    expect(keys.record('trips-0', 7)).toBe('_millrace/taxi/000003/trips-0/000000000007.json')
    const epochs = [0, 9, 10, 99, 1_000_000]
    expect(epochs.map((epoch) => keys.record('t', epoch)).toSorted()).toEqual(
      epochs.map((epoch) => keys.record('t', epoch)),
    )
    expect(ChainKeys.incarnation('taxi', 12) > ChainKeys.incarnation('taxi', 9)).toBe(true)
  })

  it('are told apart: a record has an epoch, what is staged has none', () => {
    expect(epochOfRecordKey(keys.record('trips-0', 123))).toBe(123)
    expect(epochOfRecordKey(keys.staged('trips-0', name, 'partials'))).toBeNull()
    expect(epochOfRecordKey('_millrace/taxi/000003/trips-0/000000000001.json.bak')).toBeNull()
  })

  it('of files say who staged them, in any folder', () => {
    const file = keys.file('trips-0', name, 0, 'parquet')
    const prefix = `/${keys.filePrefix('trips-0')}`
    expect(parseStagedName(`silver/trips/zone=a%2Fb/${file}`, prefix)).toEqual(name)
    expect(parseStagedName(keys.staged('trips-0', name, 'dedupe'), keys.stagedPrefix('trips-0'))).toEqual(
      name,
    )
  })

  it('of one task are never taken for those of another: one digit more, another incarnation, another pipeline', () => {
    const other = [
      [new ChainKeys('taxi', 3), 'trips-1'],
      [new ChainKeys('taxi', 3), 'trips-10'],
      [new ChainKeys('taxi', 3), 'more-trips-0'],
      [new ChainKeys('taxi', 33), 'trips-0'],
      [new ChainKeys('taxi', 13), 'trips-0'],
      [new ChainKeys('other_taxi', 3), 'trips-0'],
      [new ChainKeys('taxi2', 3), 'trips-0'],
    ] as const
    for (const [owner, task] of other) {
      const file = `dead_letters/${owner.file(task, name, 0, 'parquet')}`
      expect(parseStagedName(file, `/${keys.filePrefix('trips-0')}`), file).toBeNull()
    }
  })

  it('come back for any task, epoch and claim', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Za-z0-9._~-]{1,20}$/),
        fc.nat(999_999_999),
        fc.nat(999_999_999),
        fc.stringMatching(/^[0-9a-z]{1,14}$/),
        fc.nat(9),
        (task, epoch, claim, nonce, index) => {
          const staged = { epoch, claim, nonce }
          const file = `bronze/x/${keys.file(task, staged, index, 'parquet')}`
          expect(parseStagedName(file, `/${keys.filePrefix(task)}`)).toEqual(staged)
        },
      ),
    )
  })
})

describe('merge tasks', () => {
  it('have names that tell the stage and the slice', () => {
    expect(mergeTasksOf({ stages: 0, slices: 4 })).toEqual([])
    expect(mergeTasksOf({ stages: 1, slices: 1 })).toEqual(['merge-0'])
    expect(mergeTasksOf({ stages: 2, slices: 2 })).toEqual(['merge-0', 'merge-1', 'merge2-0', 'merge2-1'])
    expect(mergeTasksOfStage({ stages: 2, slices: 2 }, 1)).toEqual(['merge2-0', 'merge2-1'])
    expect(mergeTasksOfStage({ stages: 2, slices: 2 }, 2)).toEqual([])
    for (const place of [
      { stage: 0, slice: 0 },
      { stage: 1, slice: 3 },
      { stage: 11, slice: 20 },
    ])
      expect(parseMergeTask(mergeTaskName(place))).toEqual(place)
  })

  it.each(['merge', 'merge-', 'merge1-0', 'merge0-0', 'merge-01', 'merges-0', 'old-merge-0', 'merge-0-1'])(
    'are not called %s',
    (task) => {
      expect(parseMergeTask(task)).toBeNull()
    },
  )
})

it('a staged object in parts has names that all tell whose it is', () => {
  const keys = new ChainKeys('taxi', 3)
  const name = { epoch: 5, claim: 2, nonce: 'abc' }
  const key = keys.staged('merge-0', name, 'panes')
  expect(partKey(key, 0)).toBe(key)
  expect(partKey(key, 12)).toMatch(/-panes-12\.json$/)
  expect(parseStagedName(partKey(key, 12), keys.stagedPrefix('merge-0'))).toEqual(name)
})
