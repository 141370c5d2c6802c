import { decodeUtf8, encodeUtf8 } from '../columns/utf8.ts'
import { PipelineError } from '../errors.ts'
import type { OutboxMessage } from '../ports.ts'
import { base64Bytes, base64Text } from './base64.ts'

/** A staged message as JSON, one object a line. Bytes are base64; null is null. */
interface OutboxLine {
  readonly topic: string
  readonly key: string | null
  readonly value: string | null
  /** Name and value of each, in order. */
  readonly headers: readonly (readonly [string, string | null])[]
}

/** The messages of one epoch, as they are staged. */
export function encodeOutboxLines(messages: readonly OutboxMessage[]): Uint8Array {
  // Line by line: all of them together may be longer than a string can be.
  const lines = messages.map((message) => encodeUtf8(`${JSON.stringify(outboxLine(message))}\n`))
  const body = new Uint8Array(lines.reduce((bytes, line) => bytes + line.length, 0))
  let at = 0
  for (const line of lines) {
    body.set(line, at)
    at += line.length
  }
  return body
}

const LINE_FEED = 0x0a

/** Reads what `encodeOutboxLines` gave. Throws RECORD_UNREADABLE, with `place`, a key of the lake, in the message. */
export function decodeOutboxLines(body: Uint8Array, place: string): readonly OutboxMessage[] {
  const messages: OutboxMessage[] = []
  for (let start = 0; start < body.length; ) {
    const feed = body.indexOf(LINE_FEED, start)
    // A line without its end was cut off.
    if (feed < 0) throw unreadable(place)
    messages.push(outboxMessage(decodeUtf8(body, start, feed), place))
    start = feed + 1
  }
  return messages
}

function outboxLine({ topic, key, value, headers }: OutboxMessage): OutboxLine {
  return {
    topic,
    key: textOf(key),
    value: textOf(value),
    headers: headers.map((header) => [header.key, textOf(header.value)] as const),
  }
}

function outboxMessage(text: string, place: string): OutboxMessage {
  const { topic, key, value, headers } = parsed(text, place)
  if (typeof topic !== 'string' || !Array.isArray(headers)) throw unreadable(place)
  return {
    topic,
    key: bytesOf(key, place),
    value: bytesOf(value, place),
    headers: (headers as readonly unknown[]).map((header) => {
      if (!Array.isArray(header) || typeof header[0] !== 'string') throw unreadable(place)
      return { key: header[0], value: bytesOf(header[1], place) }
    }),
  }
}

function parsed(text: string, place: string): Partial<Record<keyof OutboxLine, unknown>> {
  try {
    return (JSON.parse(text) ?? {}) as Partial<Record<keyof OutboxLine, unknown>>
  } catch (error) {
    throw unreadable(place, error)
  }
}

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : base64Text(bytes)
}

function bytesOf(text: unknown, place: string): Uint8Array | null {
  if (text === null) return null
  const bytes = typeof text === 'string' ? base64Bytes(text) : null
  if (bytes === null) throw unreadable(place)
  return bytes
}

function unreadable(place: string, cause?: unknown): PipelineError {
  return new PipelineError('RECORD_UNREADABLE', `${place} does not hold staged messages`, {
    cause,
    advice:
      'The lake was changed by something else than Millrace. Restore the object, or begin again with --fresh.',
  })
}
