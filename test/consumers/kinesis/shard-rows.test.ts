import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type HashRange, hashRange } from '../../../consumers/kinesis/hash-range.ts'
import { type KinesisPosition, parseKinesisPosition } from '../../../consumers/kinesis/position.ts'
import { ShardRows } from '../../../consumers/kinesis/shard-rows.ts'
import type { WireRecord } from '../../../src/kinesis/api.ts'
import { aggregateOf, framed, hashKeyOf, type ReadRow, rowsOf, type UserRecord } from './kpl-kit.ts'

const BEGIN: KinesisPosition = { createdMs: 17, place: { kind: 'trim' }, offset: 0, asOfMs: 500 }
const LOWER_HALF = hashRange('0', String(2n ** 127n - 1n))

interface Read {
  readonly rows: readonly ReadRow[]
  readonly foreign: number
  readonly end: KinesisPosition
}

/** As Kinesis gives them from a position on, in answers of `answerRecords`, in batches of `recordsMax`. */
function read(
  records: readonly WireRecord[],
  position: KinesisPosition,
  { recordsMax = 1_000, answerRecords = 1_000, range = null as HashRange | null } = {},
): Read {
  let foreign = 0
  const rows = new ShardRows(position, { range, createdMs: 17, foreign: (more) => (foreign += more) })
  const { place } = position
  const rest =
    place.kind === 'at' || place.kind === 'after'
      ? records.filter(({ sequenceNumber }) =>
          place.kind === 'at'
            ? sequenceNumber >= place.sequenceNumber
            : sequenceNumber > place.sequenceNumber,
        )
      : records
  for (let at = 0; at < rest.length; at += answerRecords) rows.add(rest.slice(at, at + answerRecords))
  const found: ReadRow[] = []
  while (!rows.isEmpty) {
    const batch = rows.take(recordsMax)
    if (batch !== null) found.push(...rowsOf(batch))
  }
  expect(rows.bufferedBytes).toBe(0)
  return { rows: found, foreign, end: rows.position }
}

const sequence = (index: number): string => `49${String(index * 7).padStart(54, '0')}`

function wire(contents: readonly (string | readonly UserRecord[])[]): readonly WireRecord[] {
  return contents.map((content, index) => ({
    sequenceNumber: sequence(index),
    arrivalMs: 1_000 + index,
    partitionKey: `käy-${index}`,
    data: typeof content === 'string' ? Buffer.from(content) : aggregateOf(content),
  }))
}

const user = (text: string, partitionKey = 'device', explicitHashKey?: string): UserRecord => ({
  partitionKey,
  data: Buffer.from(text),
  ...(explicitHashKey === undefined ? {} : { explicitHashKey }),
})

describe('rows of a shard', () => {
  it('are plain records and those of aggregates, with their keys, headers, arrivals and positions', () => {
    const { rows } = read(wire(['one', [user('two'), user('', 'köln', '99999999999')], 'three']), BEGIN)
    const sequenceOf = (index: number): object => ({ 'kinesis.sequence_number': sequence(index) })
    expect(rows).toEqual([
      {
        key: 'käy-0',
        value: 'one',
        offset: 0,
        arrivalMs: 1_000,
        headers: sequenceOf(0),
        after: `17:after@${sequence(0)}:1:1000`,
      },
      {
        key: 'device',
        value: 'two',
        offset: 1,
        arrivalMs: 1_001,
        headers: { ...sequenceOf(1), 'kinesis.sub_sequence_number': '0' },
        after: `17:at@${sequence(1)}+1:2:1001`,
      },
      {
        key: 'köln',
        value: '',
        offset: 2,
        arrivalMs: 1_001,
        headers: {
          ...sequenceOf(1),
          'kinesis.sub_sequence_number': '1',
          'kinesis.explicit_hash_key': '99999999999',
        },
        after: `17:after@${sequence(1)}:3:1001`,
      },
      {
        key: 'käy-2',
        value: 'three',
        offset: 3,
        arrivalMs: 1_002,
        headers: sequenceOf(2),
        after: `17:after@${sequence(2)}:4:1002`,
      },
    ])
  })

  it('that are read again from any position are those behind it, whatever the batches and answers', () => {
    const users = fc.array(
      fc
        .tuple(fc.string({ maxLength: 8 }), fc.integer({ min: 0, max: 9 }))
        .map(([text, key]) => user(text, `key ${key}`)),
      { minLength: 1, maxLength: 12 },
    )
    const contents = fc.array(fc.oneof(fc.string({ maxLength: 8 }), users), { maxLength: 8 })
    const size = fc.integer({ min: 1, max: 7 })
    fc.assert(
      fc.property(
        contents,
        size,
        size,
        fc.constantFrom(null, LOWER_HALF),
        (contents, recordsMax, answerRecords, range) => {
          const records = wire(contents)
          const { rows, end } = read(records, BEGIN, { range })
          const ours = contents.flatMap((content) =>
            typeof content === 'string'
              ? [content]
              : content
                  .filter(({ partitionKey }) => range === null || hashKeyOf(partitionKey) < 2n ** 127n)
                  .map(({ data }) => Buffer.from(data).toString()),
          )
          expect(rows.map(({ value }) => Buffer.from(value, 'latin1').toString())).toEqual(ours)
          expect(rows.map(({ offset }) => offset)).toEqual(rows.map((_, index) => index))
          expect(
            read(records, BEGIN, { recordsMax, answerRecords, range }).rows.map(({ value }) => value),
          ).toEqual(rows.map(({ value }) => value))
          rows.forEach(({ after }, index) => {
            const again = read(records, parseKinesisPosition(after), { recordsMax, answerRecords, range })
            expect(again.rows).toEqual(
              rows.slice(index + 1).map((row, at) => ({ ...row, after: again.rows[at]?.after })),
            )
            expect(again.rows.at(-1)?.after).toBe(rows.slice(index + 1).at(-1)?.after)
            expect(again.end.offset).toBe(end.offset)
          })
        },
      ),
    )
  })

  it('leave out those in an aggregate that belong to another shard, and count them once', () => {
    const [ours, theirs] = ['a', 'b', 'c', 'd']
      .map((key) => `key-${key}`)
      .sort((a, b) => (hashKeyOf(a) < hashKeyOf(b) ? -1 : 1))
      .filter((_, at) => at % 3 === 0)
    const range = hashRange('0', String(hashKeyOf(theirs!) - 1n))
    const records = wire([
      [user('0', theirs), user('1', ours), user('2', theirs)],
      [user('3', theirs)],
      'plain',
    ])
    const { rows, foreign } = read(records, BEGIN, { range, recordsMax: 1 })
    expect(rows.map(({ value, after }) => [value, after])).toEqual([
      ['1', `17:after@${sequence(0)}:1:1000`],
      ['plain', `17:after@${sequence(2)}:2:1002`],
    ])
    expect(foreign).toBe(3)
  })

  it('may be none: the position moves all the same', () => {
    const records: readonly WireRecord[] = [{ ...wire(['x'])[0]!, data: framed(Buffer.alloc(0)) }]
    const { rows, end } = read(records, BEGIN)
    expect(rows).toEqual([])
    expect(end).toEqual({
      createdMs: 17,
      place: { kind: 'after', sequenceNumber: sequence(0) },
      offset: 0,
      asOfMs: 1_000,
    })
  })

  it('stay whole in a batch that is larger than any before', () => {
    const long = 'x'.repeat(900_000)
    const { rows } = read(wire(['short', long, [user(long), user('y')], long, 'short']), BEGIN)
    expect(rows.map(({ value }) => value)).toEqual(['short', long, long, 'y', long, 'short'])
    expect(rows.map(({ headers }) => headers['kinesis.sequence_number'])).toEqual(
      [0, 1, 2, 2, 3, 4].map(sequence),
    )
  })
})
