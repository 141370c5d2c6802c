import { PipelineError } from '../errors.ts'
import type { OutboxMessage } from '../ports.ts'
import { base64Bytes, base64Text } from './base64.ts'

/** A staged message as JSON, one object a line. Bytes are base64; null is null. */
export interface OutboxLine {
  readonly topic: string
  readonly key: string | null
  readonly value: string | null
  /** Name and value of each, in order. */
  readonly headers: readonly (readonly [string, string | null])[]
}

export function outboxLine({ topic, key, value, headers }: OutboxMessage): OutboxLine {
  return {
    topic,
    key: textOf(key),
    value: textOf(value),
    headers: headers.map((header) => [header.key, textOf(header.value)] as const),
  }
}

/** Reads what `outboxLine` gave. Throws RECORD_UNREADABLE; `place` says in the message where the line is. */
export function outboxMessage(line: unknown, place: string): OutboxMessage {
  const { topic, key, value, headers } = (line ?? {}) as Partial<Record<keyof OutboxLine, unknown>>
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

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : base64Text(bytes)
}

function bytesOf(text: unknown, place: string): Uint8Array | null {
  if (text === null) return null
  const bytes = typeof text === 'string' ? base64Bytes(text) : null
  if (bytes === null) throw unreadable(place)
  return bytes
}

function unreadable(place: string): PipelineError {
  return new PipelineError('RECORD_UNREADABLE', `${place} is not a staged message`, {
    advice:
      'The lake was changed by something else than Millrace. Restore the object, or begin again with --fresh.',
  })
}
