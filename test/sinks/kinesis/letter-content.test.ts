import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { letterContent, type StreamLetter } from '../../../sinks/kinesis/letter-content.ts'
import { encodeUtf8 } from '../../../src/columns/utf8.ts'
import { DEAD_LETTER_HEADERS } from '../../../src/engine/dead-letter-messages.ts'
import { identityHeaders, messageBytes, textHeader } from '../../../src/engine/message-identity.ts'
import type { Header, OutboxMessage } from '../../../src/ports.ts'

const headersOf = identityHeaders({
  pipeline: 'taxi',
  incarnation: 2,
  life: 'l1',
  task: 'trips-000000000003',
  epoch: 7,
})

interface Letter {
  readonly key?: Uint8Array | null
  readonly value?: Uint8Array | null
  readonly headers?: readonly Header[]
  readonly message?: string
  readonly more?: readonly Header[]
  readonly letterAt?: string
}

/** As the engine makes them. */
function letterOf(letter: Letter): OutboxMessage {
  const { key = null, value = null, headers = [], message = 'not a frame', more = [], letterAt } = letter
  const names = DEAD_LETTER_HEADERS
  return {
    topic: 'dead',
    key,
    value,
    headers: [
      ...headers,
      textHeader(names.reason, 'undecodable'),
      textHeader(names.stage, 'decode'),
      textHeader(names.message, message),
      ...more,
      textHeader(names.sourceTopic, 'trips'),
      textHeader(names.sourcePartition, '3'),
      textHeader(names.sourceOffset, '4711'),
      textHeader(names.sourceTimestamp, '2026-11-23T17:00:00.000Z'),
      textHeader(names.correlation, 'run/trips-3/7'),
      textHeader(names.time, '2026-11-23T17:00:05.000Z'),
      ...headersOf(0),
      ...(letterAt === undefined ? [] : [textHeader(names.letterAt, letterAt)]),
    ],
  }
}

async function entryOf(message: OutboxMessage) {
  const [entry] = await letterContent.entriesOf([message])
  const { partitionKey, data } = entry!
  return {
    partitionKey,
    bytes: data.length,
    letter: JSON.parse(new TextDecoder().decode(data)) as StreamLetter,
    data,
  }
}

const ID = 'taxi/2/l1/trips-000000000003/7/0'

describe('a dead letter in a stream', () => {
  test('is a line of JSON that says what happened, to which record, and from where', async () => {
    const message = letterOf({
      key: encodeUtf8('Midtown'),
      value: Uint8Array.of(255, 0, 1),
      headers: [
        textHeader('kinesis.sequence_number', '49590338271490256608559692538361571095921575989136588898'),
        textHeader('kinesis.sub_sequence_number', '2'),
        { key: 'trace', value: null },
      ],
      more: [textHeader(DEAD_LETTER_HEADERS.stack, 'at a callback')],
    })
    const { letter, partitionKey, data } = await entryOf(message)
    expect(letter).toEqual({
      id: ID,
      reason: 'undecodable',
      stage: 'decode',
      message: 'not a frame',
      stack: 'at a callback',
      source: {
        topic: 'trips',
        partition: 3,
        offset: '4711',
        timestamp: '2026-11-23T17:00:00.000Z',
        sequenceNumber: '49590338271490256608559692538361571095921575989136588898',
        subSequenceNumber: 2,
      },
      schemaId: null,
      key: 'TWlkdG93bg==',
      value: '/wAB',
      headers: [
        [
          'kinesis.sequence_number',
          Buffer.from('49590338271490256608559692538361571095921575989136588898').toString('base64'),
        ],
        ['kinesis.sub_sequence_number', 'Mg=='],
        ['trace', null],
      ],
      pipeline: 'taxi',
      incarnation: 2,
      task: 'trips-000000000003',
      correlation: 'run/trips-3/7',
      time: '2026-11-23T17:00:05.000Z',
      letterAt: null,
    })
    expect(partitionKey).toBe('Midtown')
    expect(data.at(-1)).toBe(10)
  })

  test('of a record without key or value goes anywhere, by its id', async () => {
    const { letter, partitionKey } = await entryOf(letterOf({}))
    expect([letter.key, letter.value, letter.source.sequenceNumber, partitionKey]).toEqual([
      null,
      null,
      null,
      ID,
    ])
  })

  test.each([
    ['bytes', Uint8Array.of(0xff, 1)],
    ['control characters', encodeUtf8('a\u0000b')],
    ['nothing', new Uint8Array(0)],
    ['more than 256 characters', encodeUtf8('k'.repeat(300))],
  ])('of a key of %s is placed by its hash', async (_, key) => {
    expect((await entryOf(letterOf({ key }))).partitionKey).toMatch(/^[0-9a-f]{64}$/)
  })

  test('of a dead letter has what the earlier one said among its headers', async () => {
    const first = letterOf({ message: 'first', letterAt: '_millrace/x' })
    const { letter } = await entryOf(letterOf({ message: 'second', headers: first.headers }))
    expect([letter.message, letter.letterAt, letter.headers.length]).toEqual([
      'second',
      null,
      first.headers.length,
    ])
  })

  test('says where the whole one is, where the stream does not take it', async () => {
    expect((await entryOf(letterOf({ letterAt: '_millrace/taxi/x' }))).letter.letterAt).toBe(
      '_millrace/taxi/x',
    )
  })

  test('that was let through is no larger than the stream takes, whatever is in it', async () => {
    const limit = 1_048_576
    const budget = letterContent.messageBytesMax(limit)
    const text = fc.string({ unit: 'grapheme', maxLength: 20 })
    const headers = fc.array(fc.record({ key: text, value: fc.option(fc.uint8Array({ maxLength: 9 })) }), {
      maxLength: 5,
    })
    await fc.assert(
      fc.asyncProperty(headers, fc.constantFrom(1, 400), fc.boolean(), async (some, times, isBytes) => {
        const many = Array.from({ length: times }, () => some).flat()
        const message = '\u0001'.repeat(2_000)
        const stack = [textHeader(DEAD_LETTER_HEADERS.stack, '\u0002'.repeat(8_000))]
        const empty = { headers: many, message, more: stack, key: encodeUtf8('k'.repeat(256)) }
        const room = budget - messageBytes(letterOf(empty))
        const value = new Uint8Array(room).fill(isBytes ? 255 : 65)
        const { bytes, partitionKey } = await entryOf(letterOf({ ...empty, value }))
        expect(bytes + partitionKey.length).toBeLessThanOrEqual(limit)
        // Nor much smaller than it could be.
        if (times === 1) expect(bytes).toBeGreaterThan(limit * 0.85)
      }),
      { numRuns: 10 },
    )
  })
})
