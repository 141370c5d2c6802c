import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChainKeys, epochOfRecordKey, parseStagedName } from '../../src/checkpoint/keys.ts'

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
