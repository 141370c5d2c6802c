import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import { type FetchedRecords, RecordCursor } from '../../src/kafka/record-cursor.ts'
import { RecordRows } from '../../src/kafka/record-rows.ts'
import { batchBytes, joined, markerBytes, resealed, type TestRecord } from './batch-kit.ts'

interface Read {
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly timestampMs: number
  readonly arrivalMs: number
  readonly headers: readonly (readonly [string, string | null])[] | null
}

function cursorOf(bytes: Uint8Array, given: Partial<FetchedRecords> = {}): RecordCursor {
  return new RecordCursor({
    bytes,
    fetchOffset: 0,
    isolation: 'read_committed',
    aborted: [],
    arrivalMs: 99,
    where: 'trips-0',
    ...given,
  })
}

function readAll(cursor: RecordCursor, recordsMax = 1_000): Read[] {
  const rows = new RecordRows()
  const all: Read[] = []
  while (!cursor.isDone) {
    cursor.read(rows, recordsMax)
    expect(rows.count).toBeLessThanOrEqual(recordsMax)
    const text = (start: number, end: number): string | null =>
      end < 0 ? null : new TextDecoder().decode(rows.arena.subarray(start, end))
    for (let row = 0; row < rows.count; row++) {
      all.push({
        offset: rows.offsets[row]!,
        key: text(rows.keyStart[row]!, rows.keyEnd[row]!),
        value: text(rows.valueStart[row]!, rows.valueEnd[row]!),
        timestampMs: rows.timestampsMs[row]!,
        arrivalMs: rows.arrivalsMs[row]!,
        headers:
          rows.headers?.[row]?.map(({ key, value }) => [
            key,
            value === null ? null : new TextDecoder().decode(value),
          ]) ?? null,
      })
    }
  }
  return all
}

const offsetsOf = (cursor: RecordCursor): number[] => readAll(cursor).map(({ offset }) => offset)
const batchOf = (baseOffset: number, count: number, more: object = {}): Uint8Array =>
  batchBytes({
    baseOffset,
    records: Array.from({ length: count }, (_, index): TestRecord => ({ value: `v${baseOffset + index}` })),
    ...more,
  })

describe('one batch', () => {
  it('has keys, values, nulls, times and headers as they were written', () => {
    const bytes = batchBytes({
      baseOffset: 5_000_000_000,
      baseTimestampMs: 1_700_000_000_000,
      records: [
        { key: 'a', value: 'one' },
        { key: null, value: 'two', timestampDelta: -5 },
        {
          key: 'c',
          value: null,
          timestampDelta: 10_000_000_000,
          headers: [
            ['h', 'x'],
            ['ü', null],
            ['', ''],
          ],
        },
        { key: '', value: '' },
      ],
    })
    const read = readAll(cursorOf(bytes, { fetchOffset: 5_000_000_000 }))
    expect(read).toEqual([
      {
        offset: 5_000_000_000,
        key: 'a',
        value: 'one',
        timestampMs: 1_700_000_000_000,
        arrivalMs: 99,
        headers: null,
      },
      {
        offset: 5_000_000_001,
        key: null,
        value: 'two',
        timestampMs: 1_699_999_999_995,
        arrivalMs: 99,
        headers: null,
      },
      {
        offset: 5_000_000_002,
        key: 'c',
        value: null,
        timestampMs: 1_710_000_000_000,
        arrivalMs: 99,
        headers: [
          ['h', 'x'],
          ['ü', null],
          ['', ''],
        ],
      },
      {
        offset: 5_000_000_003,
        key: '',
        value: '',
        timestampMs: 1_700_000_000_000,
        arrivalMs: 99,
        headers: null,
      },
    ])
  })

  it('has the broker’s time for all records where the topic says so, and that is when they arrived', () => {
    const bytes = batchOf(0, 2, { isLogAppendTime: true, baseTimestampMs: 5, maxTimestampMs: 77 })
    expect(readAll(cursorOf(bytes)).map(({ timestampMs, arrivalMs }) => [timestampMs, arrivalMs])).toEqual([
      [77, 77],
      [77, 77],
    ])
  })

  it('that begins before the offset asked for gives the rest', () => {
    for (const codec of ['none', 'gzip']) {
      const cursor = cursorOf(batchOf(10, 5, { codec }), { fetchOffset: 13 })
      expect(offsetsOf(cursor)).toEqual([13, 14])
      expect(cursor.position).toBe(15)
    }
  })

  it('that compaction has thinned out has gaps, and goes on behind its old end', () => {
    const bytes = batchBytes({
      baseOffset: 100,
      lastDelta: 9,
      records: [
        { delta: 2, value: 'a' },
        { delta: 7, value: 'b' },
      ],
    })
    const cursor = cursorOf(joined(bytes, batchBytes({ baseOffset: 110, lastDelta: 4, records: [] })), {
      fetchOffset: 100,
    })
    expect(cursor.nextOffset).toBe(115)
    expect(offsetsOf(cursor)).toEqual([102, 107])
    expect(cursor.position).toBe(115)
  })
})

describe('several batches', () => {
  it('come in turn, in portions of any size, and each portion knows where to go on', () => {
    const batches = fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom('none', 'gzip')), {
      maxLength: 6,
    })
    fc.assert(
      fc.property(batches, fc.integer({ min: 1, max: 12 }), (shapes, recordsMax) => {
        let offset = 0
        const parts: Uint8Array[] = []
        for (const [count, codec] of shapes) {
          parts.push(batchOf(offset, count, { codec }))
          offset += count
        }
        const cursor = cursorOf(joined(...parts))
        const rows = new RecordRows()
        let next = 0
        while (!cursor.isDone) {
          cursor.read(rows, recordsMax)
          expect(rows.count).toBeGreaterThan(0)
          for (let row = 0; row < rows.count; row++) expect(rows.offsets[row]).toBe(next++)
          expect(cursor.position).toBe(next)
        }
        expect(next).toBe(offset)
      }),
    )
  })

  it('end before the one that the broker has cut off, wherever it is cut', () => {
    const whole = joined(batchOf(0, 3), batchOf(3, 3, { codec: 'gzip' }))
    const first = batchOf(0, 3).length
    for (let length = 0; length <= whole.length; length++) {
      const cursor = cursorOf(whole.subarray(0, length))
      const expected = length < first ? 0 : length < whole.length ? 3 : 6
      expect(cursor.nextOffset).toBe(expected)
      expect(offsetsOf(cursor)).toHaveLength(expected)
    }
  })

  it('grow the rows as far as they must', () => {
    expect(offsetsOf(cursorOf(batchOf(0, 999)))).toHaveLength(999)
  })
})

describe('transactions', () => {
  const transactional = (baseOffset: number, producerId: number): Uint8Array =>
    batchOf(baseOffset, 2, { producerId, isTransactional: true })
  /** Producer 1 aborts 0–1, then commits 7–8; producer 2 commits 2–3; one record without a transaction; producer 3 aborts 10–11. */
  const log = joined(
    transactional(0, 1),
    transactional(2, 2),
    markerBytes(4, 1, 'abort'),
    batchOf(5, 1),
    markerBytes(6, 2, 'commit'),
    transactional(7, 1),
    markerBytes(9, 1, 'commit'),
    transactional(10, 3),
    markerBytes(12, 3, 'abort'),
  )
  const aborted = [
    { producerId: 3, firstOffset: 10 },
    { producerId: 1, firstOffset: 0 },
  ]

  it('that were aborted are not read, nor are their ends', () => {
    const cursor = cursorOf(log, { aborted })
    expect(cursor.nextOffset).toBe(13)
    expect(offsetsOf(cursor)).toEqual([2, 3, 5, 7, 8])
  })

  it('are all read by who reads what is not committed', () => {
    expect(offsetsOf(cursorOf(log, { aborted, isolation: 'read_uncommitted' }))).toEqual([
      0, 1, 2, 3, 5, 7, 8, 10, 11,
    ])
  })

  it('leave no gap behind the last record: the position lies behind what nobody is to see', () => {
    const cursor = cursorOf(log, { aborted })
    readAll(cursor)
    expect(cursor.position).toBe(13)
  })

  it('may fill an answer with nothing to be seen', () => {
    const cursor = cursorOf(joined(transactional(0, 1), markerBytes(2, 1, 'abort')), {
      aborted: [{ producerId: 1, firstOffset: 0 }],
    })
    expect([cursor.isDone, cursor.nextOffset, cursor.position]).toEqual([true, 3, 3])
  })
})

describe('broken bytes', () => {
  const codeOf = (act: () => unknown): string => {
    try {
      act()
      return 'fine'
    } catch (error) {
      return error instanceof PipelineError ? error.code : String(error)
    }
  }

  it('are found out by the checksum, wherever they are', () => {
    const bytes = batchOf(0, 4)
    for (let at = 17; at < bytes.length; at++) {
      const broken = bytes.slice()
      broken[at]! ^= 0x10
      expect([at, codeOf(() => readAll(cursorOf(broken)))]).toEqual([at, 'KAFKA_BATCH_CORRUPT'])
    }
  })

  it('never do anything else, checksum or not', () => {
    const record: TestRecord = { key: 'k', value: 'v'.repeat(200), headers: [['h', 'x']] }
    const place = fc.nat()
    fc.assert(
      fc.property(place, fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const bytes = batchBytes({ baseOffset: 0, records: [record, record] })
        bytes[57 + (at % (bytes.length - 57))] = byte
        expect(['fine', 'KAFKA_BATCH_CORRUPT']).toContain(codeOf(() => readAll(cursorOf(resealed(bytes)))))
      }),
    )
  })

  it('of an older format are refused with advice', () => {
    for (const magic of [0, 1]) {
      expect(codeOf(() => cursorOf(batchOf(0, 1, { magic })))).toBe('KAFKA_FORMAT_TOO_OLD')
    }
    expect(codeOf(() => cursorOf(batchOf(0, 1, { magic: 3 })))).toBe('KAFKA_BATCH_CORRUPT')
  })
})
