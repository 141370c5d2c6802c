import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  encodeKinesisPosition,
  isKinesisPosition,
  type KinesisPosition,
  parseKinesisPosition,
  type PositionPlace,
  startOfPlace,
} from '../../../consumers/kinesis/position.ts'
import { shardOfTask, taskOfShard } from '../../../consumers/kinesis/shard-task.ts'

const SEQUENCE = '49668899999999999999999999999999999999999999999999999999'

describe('a position', () => {
  // They stand in the chains of pipelines that run.
  it.each<[PositionPlace, string]>([
    [{ kind: 'trim' }, 'trim'],
    [{ kind: 'time', timeMs: 1_700_000_000_123 }, 'time@1700000000123'],
    [{ kind: 'at', sequenceNumber: SEQUENCE }, `at@${SEQUENCE}`],
    [{ kind: 'at', sequenceNumber: SEQUENCE, index: 7 }, `at@${SEQUENCE}+7`],
    [{ kind: 'after', sequenceNumber: SEQUENCE }, `after@${SEQUENCE}`],
    [{ kind: 'end' }, 'end'],
  ])('%o is written as %s', (place, text) => {
    const position = { createdMs: 1_600_000_000_000, place, offset: 12, asOfMs: 1_700_000_000_999 }
    const written = `1600000000000:${text}:12:1700000000999`
    expect(encodeKinesisPosition(position)).toBe(written)
    expect(parseKinesisPosition(written)).toEqual(position)
    expect(isKinesisPosition(written)).toBe(true)
  })

  it('survives being written', () => {
    const number = fc.nat(Number.MAX_SAFE_INTEGER)
    const sequenceNumber = fc.stringMatching(/^\d{1,56}$/)
    const place: fc.Arbitrary<PositionPlace> = fc.oneof(
      fc.constantFrom<PositionPlace>({ kind: 'trim' }, { kind: 'end' }),
      fc.record({ kind: fc.constant('time' as const), timeMs: number }),
      fc.record({ kind: fc.constantFrom('at' as const, 'after' as const), sequenceNumber }),
      fc.record({ kind: fc.constant('at' as const), sequenceNumber, index: number }),
    )
    const position: fc.Arbitrary<KinesisPosition> = fc.record({
      createdMs: number,
      place,
      offset: number,
      asOfMs: number,
    })
    fc.assert(
      fc.property(position, (position) => {
        expect(parseKinesisPosition(encodeKinesisPosition(position))).toEqual(position)
      }),
    )
  })

  it.each(['', '0', 'f3c1a2b4-0000-0000-0000-000000000000:17', '1:nowhere:2:3', '1:at@:2:3', '1:end:2'])(
    '%j is none of Kinesis',
    (text) => {
      expect(isKinesisPosition(text)).toBe(false)
      expect(() => parseKinesisPosition(text)).toThrow('is not a position in a Kinesis stream')
    },
  )

  it('within an aggregate begins with the aggregate', () => {
    expect(startOfPlace({ kind: 'at', sequenceNumber: '5', index: 2 })).toEqual({
      kind: 'at',
      sequenceNumber: '5',
    })
    expect(startOfPlace({ kind: 'end' })).toBeNull()
  })
})

describe('the task of a shard', () => {
  it('is named by the stream and the digits of the shard, so that tasks sort as shards are made', () => {
    expect(taskOfShard('taxi-trips.v2', 'shardId-000000000012')).toBe('taxi-trips.v2-000000000012')
    expect(shardOfTask('taxi-trips.v2-000000000012')).toEqual({
      stream: 'taxi-trips.v2',
      shardId: 'shardId-000000000012',
      number: 12,
    })
  })

  it.each(['trips-12', 'merge-0', '-000000000012', 'tri/ps-000000000012'])('is not %s', (id) => {
    expect(shardOfTask(id)).toBeNull()
  })
})
