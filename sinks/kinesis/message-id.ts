import { decodeUtf8 } from '../../src/columns/utf8.ts'
import { assert } from '../../src/errors.ts'
import { type Header, IDENTITY_HEADERS, type OutboxMessage } from '../../src/ports.ts'

const PARTS = [
  IDENTITY_HEADERS.pipeline,
  IDENTITY_HEADERS.incarnation,
  IDENTITY_HEADERS.life,
  IDENTITY_HEADERS.task,
  IDENTITY_HEADERS.epoch,
  IDENTITY_HEADERS.index,
]

/**
 * `<pipeline>/<incarnation>/<life>/<task>/<epoch>/<index>`: another for every message there ever is, and the same however often it is sent, because
 * the message is staged in the lake before it is sent at all.
 */
export function messageId({ headers }: Pick<OutboxMessage, 'headers'>): string {
  return PARTS.map((name) => lastText(headers, name)).join('/')
}

function lastText(headers: readonly Header[], name: string): string {
  // The last counts: a dead letter of a dead letter has those of both.
  const value = headers.findLast(({ key }) => key === name)?.value ?? null
  assert(value !== null, `a message has the header ${name}`)
  return decodeUtf8(value)
}
