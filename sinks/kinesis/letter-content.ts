import { decodeUtf8, encodeUtf8 } from '../../src/columns/utf8.ts'
import { assert } from '../../src/errors.ts'
import type { PutEntry } from '../../src/kinesis/api.ts'
import type { Header, OutboxMessage } from '../../src/ports.ts'
import type { StreamContent } from './content.ts'
import { messageId } from './message-id.ts'
import { partitionKeyOfBytes } from './partition-key.ts'

/** A dead letter in a stream, as JSON. Bytes are base64; times are ISO 8601. */
export interface StreamLetter {
  /** `<pipeline>/<incarnation>/<life>/<task>/<epoch>/<index>`: the same when the letter is sent again. */
  readonly id: string
  readonly reason: string
  readonly stage: string
  readonly message: string
  /** Of a callback that threw. */
  readonly stack: string | null
  readonly source: {
    /** The topic or stream. */
    readonly topic: string
    /** The number of the partition or shard. */
    readonly partition: number
    /** A string: it may be larger than a number can say. */
    readonly offset: string
    readonly timestamp: string
    /** Of Kinesis. */
    readonly sequenceNumber: string | null
    /** In an aggregate of the KPL. */
    readonly subSequenceNumber: number | null
  }
  readonly schemaId: number | null
  readonly key: string | null
  readonly value: string | null
  /** Of the record: name and value of each, in order. */
  readonly headers: readonly (readonly [string, string | null])[]
  readonly pipeline: string
  readonly incarnation: number
  readonly task: string
  /** `run/task/epoch`, as in the log. */
  readonly correlation: string
  /** When its epoch was cut. */
  readonly time: string
  /** Where the letter is larger than the stream takes: the key in the lake of the whole one. */
  readonly letterAt: string | null
}

/** Names, punctuation, the partition key, and what JSON makes of 10,000 characters of message and stack at their worst. */
const OVERHEAD_BYTES = 65_536

/** Dead letters, a line of JSON each. */
export const letterContent: StreamContent = {
  // Keys, values and headers become base64, which takes four bytes for three.
  messageBytesMax: (recordBytesMax) => Math.floor(((recordBytesMax - OVERHEAD_BYTES) * 3) / 4),
  encoders(shapes) {
    assert(shapes.length === 0, 'dead letters have no shape')
    return Promise.resolve([])
  },
  entriesOf: (messages) => Promise.resolve(messages.map(letterEntry)),
}

function letterEntry(message: OutboxMessage): PutEntry {
  const letter = streamLetter(message)
  return {
    // Those without a key go anywhere.
    partitionKey: partitionKeyOfBytes(message.key ?? encodeUtf8(letter.id)),
    // With its end, because Firehose and others put records one behind the other.
    data: encodeUtf8(`${JSON.stringify(letter)}\n`),
  }
}

const FIRST_OWN_HEADER = 'millrace.reason'

function streamLetter(message: OutboxMessage): StreamLetter {
  const { headers, key, value } = message
  // A dead letter of a dead letter has the headers of both: those of this one are behind.
  const first = headers.findLastIndex((header) => header.key === FIRST_OWN_HEADER)
  assert(first >= 0, 'a dead letter has its reason in a header')
  const [original, own] = [headers.slice(0, first), headers.slice(first)]
  const text = (name: string): string => {
    const found = textOf(own, `millrace.${name}`)
    assert(found !== null, `a dead letter has the header millrace.${name}`)
    return found
  }
  const schemaId = textOf(own, 'millrace.schema.id')
  const subSequenceNumber = textOf(original, 'kinesis.sub_sequence_number')
  return {
    id: messageId(message),
    reason: text('reason'),
    stage: text('stage'),
    message: text('message'),
    stack: textOf(own, 'millrace.stack'),
    source: {
      topic: text('source.topic'),
      partition: Number(text('source.partition')),
      offset: text('source.offset'),
      timestamp: text('source.timestamp'),
      sequenceNumber: textOf(original, 'kinesis.sequence_number'),
      subSequenceNumber: subSequenceNumber === null ? null : Number(subSequenceNumber),
    },
    schemaId: schemaId === null ? null : Number(schemaId),
    key: base64(key),
    value: base64(value),
    headers: original.map((header) => [header.key, base64(header.value)] as const),
    pipeline: text('pipeline'),
    incarnation: Number(text('incarnation')),
    task: text('task'),
    correlation: text('correlation'),
    time: text('time'),
    letterAt: textOf(own, 'millrace.letter.at'),
  }
}

function textOf(headers: readonly Header[], name: string): string | null {
  const value = headers.findLast(({ key }) => key === name)?.value ?? null
  return value === null ? null : decodeUtf8(value)
}

function base64(bytes: Uint8Array | null): string | null {
  return bytes === null
    ? null
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
