import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Aggregate } from '../../../consumers/kinesis/aggregate.ts'
import { hashRange } from '../../../consumers/kinesis/hash-range.ts'
import { aggregateOf, framed, hashKeyOf, type UserRecord } from './kpl-kit.ts'

const LAST_KEY = 2n ** 128n - 1n

/** By the Python package aws_kinesis_agg 1.2.3. */
const FROM_PYTHON =
  '84mawgoFYWxpY2UKA2JvYgoFa8O2bG4KBWNhcm9sCgRkYXZlEiczNDAyODIzNjY5MjA5Mzg0NjM0NjMzNzQ2MDc0MzE3NjgyMTE0NTUSATAaBwgAGgNvbmUaCggBGgYA/yB0d28aBAgAGgAaCQgCGgV0aHJlZRoKCAMQABoEZm91chqzAggEEAEarAJ4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHhIY6t9B8Rc5L0h+Xag97pp'

interface Found extends UserRecord {
  readonly isForeign: boolean
}

function takeApart(bytes: Buffer, first = 0n, last = LAST_KEY): readonly Found[] | null {
  const aggregate = new Aggregate()
  if (!aggregate.parse(bytes, hashRange(String(first), String(last)))) return null
  const { partitionKeys, explicitKeys } = aggregate
  return Array.from({ length: aggregate.count }, (_, row) => {
    const key = aggregate.keyIndex[row]!
    const explicit = aggregate.explicitIndex[row]!
    return {
      partitionKey: bytes.toString('utf8', partitionKeys.start[key], partitionKeys.end[key]),
      ...(explicit < 0
        ? {}
        : {
            explicitHashKey: bytes.toString(
              'latin1',
              explicitKeys.start[explicit],
              explicitKeys.end[explicit],
            ),
          }),
      data: bytes.subarray(aggregate.dataStart[row], aggregate.dataEnd[row]),
      isForeign: aggregate.isForeign[row] === 1,
    }
  })
}

const hashKey = fc.bigInt({ min: 0n, max: LAST_KEY })
/** The library mixes up keys that could be indexes of an array. */
const isIndex = (text: string): boolean => /^\d{1,10}$/.test(text)
const userRecord: fc.Arbitrary<UserRecord> = fc
  .record({
    partitionKey: fc
      .string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
      .filter((text) => !isIndex(text) && text !== '__proto__'),
    explicitHashKey: fc.option(
      hashKey.map(String).filter((text) => !isIndex(text)),
      { nil: undefined },
    ),
    data: fc.uint8Array({ maxLength: 200 }),
  })
  .map(({ explicitHashKey, ...record }) =>
    explicitHashKey === undefined ? record : { ...record, explicitHashKey },
  )
const userRecords = fc.array(userRecord, { minLength: 1, maxLength: 150 })

describe('an aggregate', () => {
  it('by the library for Node: every record with its keys and its data, and of which shard it is', () => {
    fc.assert(
      fc.property(userRecords, hashKey, hashKey, (records, one, other) => {
        const [first, last] = one < other ? [one, other] : [other, one]
        const expected = records.map((record) => {
          const key =
            record.explicitHashKey === undefined
              ? hashKeyOf(record.partitionKey)
              : BigInt(record.explicitHashKey)
          return { ...record, data: Buffer.from(record.data), isForeign: key < first || key > last }
        })
        expect(takeApart(aggregateOf(records), first, last)).toEqual(expected)
      }),
    )
  })

  it('by the library for Python', () => {
    const found = takeApart(Buffer.from(FROM_PYTHON, 'base64'))
    expect(
      found?.map(({ partitionKey, explicitHashKey, data }) => [partitionKey, explicitHashKey, data.length]),
    ).toEqual([
      ['alice', undefined, 3],
      ['bob', undefined, 6],
      ['alice', undefined, 0],
      ['köln', undefined, 5],
      ['carol', String(LAST_KEY), 4],
      ['dave', '0', 300],
    ])
  })

  it('may have its tables behind the records, tags, and fields that nobody knows', () => {
    const message = Buffer.concat([
      // A record: key 1, data 'a', a tag; a varint, 8 bytes, 4 bytes and a text that are unknown.
      Buffer.from([0x1a, 0x29, 0x08, 0x01, 0x1a, 0x01, 0x61, 0x22, 0x03, 0x0a, 0x01, 0x74]),
      Buffer.from([0x50, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
      Buffer.from([0x59, 1, 2, 3, 4, 5, 6, 7, 8, 0x65, 1, 2, 3, 4, 0x6a, 0x04, 1, 2, 3, 4]),
      Buffer.from([0x0a, 0x01, 0x78, 0x7a, 0x00, 0x0a, 0x01, 0x79]),
    ])
    expect(takeApart(framed(message))).toEqual([
      { partitionKey: 'y', data: Buffer.from('a'), isForeign: false },
    ])
  })

  it('without records has none', () => {
    expect(takeApart(framed(Buffer.alloc(0)))).toEqual([])
  })
})

describe('no aggregate, but a record as it stands', () => {
  it('is what has one bit that is wrong, anywhere', () => {
    const bytes = aggregateOf([{ partitionKey: 'key', explicitHashKey: '17', data: Buffer.from('data') }])
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const broken = Buffer.from(bytes)
      broken[bit >> 3]! ^= 1 << (bit & 7)
      expect(takeApart(broken)).toBeNull()
    }
    for (let length = 0; length < bytes.length; length++) {
      expect(takeApart(bytes.subarray(0, length))).toBeNull()
    }
  })

  it.each([
    ['a record without a key', [0x0a, 0x01, 0x78, 0x1a, 0x03, 0x1a, 0x01, 0x61]],
    ['a record without data', [0x0a, 0x01, 0x78, 0x1a, 0x02, 0x08, 0x00]],
    ['a key that the table does not have', [0x0a, 0x01, 0x78, 0x1a, 0x05, 0x08, 0x01, 0x1a, 0x01, 0x61]],
    ['a number without an end', [0x0a, 0x01, 0x78, 0x1a, 0x02, 0x08, 0x80]],
    ['a number that no place can be', [0x1a, 0x08, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00]],
    ['a length beyond the end', [0x0a, 0x05, 0x78]],
    ['a field without a number', [0x00, 0x00]],
    ['a group', [0x2b, 0x2c]],
  ])('is %s', (_, message) => {
    expect(takeApart(framed(Buffer.from(message)))).toBeNull()
  })

  it('is one with an explicit hash key that is no number, where that matters', () => {
    const bytes = aggregateOf([{ partitionKey: 'key', explicitHashKey: 'seven', data: Buffer.from('data') }])
    expect(takeApart(bytes, 0n, 17n)).toBeNull()
  })
})

it('stays within the bytes, whatever they are', () => {
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .tuple(userRecords, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
      .map(([records, changes]) => {
        const bytes = aggregateOf(records).subarray(4, -16)
        const changed = Uint8Array.from(bytes)
        for (const [at, byte] of changes) changed[at % changed.length] = byte
        return changed
      }),
  )
  fc.assert(
    fc.property(message, (bytes) => {
      const aggregate = new Aggregate()
      if (!aggregate.parse(framed(bytes), hashRange('0', '1000'))) return
      const end = bytes.length + 4
      for (let row = 0; row < aggregate.count; row++) {
        expect(aggregate.dataStart[row]).toBeGreaterThanOrEqual(4)
        expect(aggregate.dataStart[row]).toBeLessThanOrEqual(aggregate.dataEnd[row]!)
        expect(aggregate.dataEnd[row]).toBeLessThanOrEqual(end)
        expect(aggregate.keyIndex[row]).toBeLessThan(aggregate.partitionKeys.count)
        expect(aggregate.explicitIndex[row]).toBeLessThan(aggregate.explicitKeys.count)
      }
    }),
    { numRuns: 500 },
  )
})
