import { describe, expect, test } from 'vitest'
import { decodeUtf8, encodeUtf8 } from '../../src/columns/utf8.ts'
import { DeadLetterBatch } from '../../src/engine/dead-letter.ts'
import { DEAD_LETTER_BYTES_MIN, deadLetterMessages } from '../../src/engine/dead-letter-messages.ts'
import { messageBytes } from '../../src/engine/message-identity.ts'
import type { Header, OutboxMessage, RecordBatch } from '../../src/ports.ts'

const identity = { pipeline: 'taxi', incarnation: 2, life: 'l1', task: 'trips-3', epoch: 41 }

interface Letter {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly Header[] | null
  readonly schemaId?: number
  readonly stack?: string | null
  readonly message?: string
}

function messagesOf(letters: readonly Letter[], messageBytesMax = 1_000_000) {
  const batch = new DeadLetterBatch({
    topics: ['rides', 'trips'],
    topicIndex: 1,
    partition: 3,
    pipeline: 'taxi',
    incarnation: 2,
    task: 'trips-3',
  })
  const ids = Int32Array.from(letters, ({ schemaId }) => schemaId ?? -1)
  const records = recordBatch(letters)
  for (const [record, { stack = null, message = 'is no Trip' }] of letters.entries()) {
    batch.append({ record, reason: 'undecodable', stage: 'decode', message, stack }, records, ids)
  }
  return deadLetterMessages(batch.batch, letters.length, {
    topic: 'trips.dead',
    identity,
    run: 'r9',
    timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
    firstIndex: 10,
    messageBytesMax,
    oversizeKey: (index) => `staged/letter-${index}.json`,
  })
}

function recordBatch(letters: readonly Letter[]): RecordBatch {
  let arena: readonly number[] = []
  const place = (bytes: Uint8Array | null): [number, number] => {
    const start = arena.length
    arena = [...arena, ...(bytes ?? [])]
    return [start, bytes === null ? -1 : arena.length]
  }
  const keys = letters.map(({ key }) => place(key))
  const values = letters.map(({ value }) => place(value))
  const count = letters.length
  return {
    count,
    arena: Uint8Array.from(arena),
    keyStart: Int32Array.from(keys, ([start]) => start),
    keyEnd: Int32Array.from(keys, ([, end]) => end),
    valueStart: Int32Array.from(values, ([start]) => start),
    valueEnd: Int32Array.from(values, ([, end]) => end),
    offsets: Float64Array.from(letters, (_, i) => 2 ** 40 + i),
    timestampsMs: new Float64Array(count).fill(Date.UTC(2025, 11, 31, 23, 59, 59, 999)),
    arrivalsMs: new Float64Array(count),
    headers: letters.map(({ headers }) => headers ?? null),
    positionAfter: String,
  }
}

const textsOf = ({ headers }: OutboxMessage) =>
  headers.map(({ key, value }) => [key, value === null ? null : decodeUtf8(value)])

describe('a dead letter in a topic', () => {
  test('keeps key, value and headers of its record, and says in headers behind them why, whence, and whose it is', () => {
    const value = Uint8Array.of(0, 0, 0, 0, 7, 255)
    const { messages, oversize } = messagesOf([
      {
        key: encodeUtf8('k'),
        value,
        schemaId: 7,
        stack: 'at x',
        headers: [
          { key: 'trace', value: encodeUtf8('t1') },
          { key: 'trace', value: null },
        ],
      },
    ])
    expect(oversize).toEqual([])
    expect(messages).toHaveLength(1)
    expect(messages[0]).toMatchObject({ topic: 'trips.dead', key: encodeUtf8('k'), value })
    expect(textsOf(messages[0]!)).toEqual([
      ['trace', 't1'],
      ['trace', null],
      ['millrace.reason', 'undecodable'],
      ['millrace.stage', 'decode'],
      ['millrace.message', 'is no Trip'],
      ['millrace.stack', 'at x'],
      ['millrace.source.topic', 'trips'],
      ['millrace.source.partition', '3'],
      ['millrace.source.offset', '1099511627776'],
      ['millrace.source.timestamp', '2025-12-31T23:59:59.999Z'],
      ['millrace.schema.id', '7'],
      ['millrace.correlation', 'r9/trips-3/41'],
      ['millrace.time', '2026-01-02T03:04:05.006Z'],
      ['millrace.pipeline', 'taxi'],
      ['millrace.incarnation', '2'],
      ['millrace.life', 'l1'],
      ['millrace.task', 'trips-3'],
      ['millrace.epoch', '41'],
      ['millrace.index', '10'],
    ])
  })

  test('tells a null key and value from empty ones, and leaves out what is not known', () => {
    const { messages } = messagesOf([
      { key: null, value: null },
      { key: new Uint8Array(0), value: new Uint8Array(0), headers: [] },
    ])
    expect(messages.map(({ key, value }) => [key, value])).toEqual([
      [null, null],
      [new Uint8Array(0), new Uint8Array(0)],
    ])
    const names = textsOf(messages[1]!).map(([name]) => name)
    expect(names).not.toContain('millrace.stack')
    expect(names).not.toContain('millrace.schema.id')
    expect(textsOf(messages[1]!).at(-1)).toEqual(['millrace.index', '11'])
  })

  test('that the topic would refuse goes without its value and says where the whole one is', () => {
    const value = new Uint8Array(200_000).fill(9)
    const small: Letter = { key: encodeUtf8('k'), value: null }
    const { messages, oversize } = messagesOf([small, { key: encodeUtf8('k'), value }], 100_000)
    expect(messages[1]).toMatchObject({ key: encodeUtf8('k'), value: null })
    expect(textsOf(messages[1]!).at(-1)).toEqual(['millrace.letter.at', 'staged/letter-11.json'])
    expect(oversize).toHaveLength(1)
    expect(oversize[0]).toMatchObject({ key: 'staged/letter-11.json', message: { value } })
    expect(messageBytes(messages[1]!)).toBeLessThanOrEqual(100_000)
  })

  test('whose key or headers are too large goes without them too', () => {
    const huge = new Uint8Array(200_000)
    const { messages, oversize } = messagesOf(
      [
        { key: huge, value: null },
        { key: encodeUtf8('k'), value: null, headers: [{ key: 'h', value: huge }] },
      ],
      100_000,
    )
    expect(messages.map(({ key }) => key)).toEqual([null, null])
    expect(textsOf(messages[1]!)[0]![0]).toBe('millrace.reason')
    expect(oversize.map(({ message }) => message.key?.length)).toEqual([200_000, 1])
  })

  test('fits with the longest message and stack there can be', () => {
    const long = '€'.repeat(20_000)
    const letter = { key: null, value: new Uint8Array(70_000), message: long, stack: long }
    const { messages } = messagesOf([letter], DEAD_LETTER_BYTES_MIN)
    expect(messageBytes(messages[0]!)).toBeLessThanOrEqual(DEAD_LETTER_BYTES_MIN)
  })
})
