import { encodeUtf8 } from '../columns/utf8.ts'
import { type Header, IDENTITY_HEADERS, type OutboxMessage } from '../ports.ts'

/** The epoch that a message belongs to. */
export interface MessageIdentity {
  readonly pipeline: string
  readonly incarnation: number
  /** The nonce of the incarnation's record. */
  readonly life: string
  readonly task: string
  readonly epoch: number
}

/** Makes the headers by which a message is found again; what messages of one epoch share is made once. */
export function identityHeaders(identity: MessageIdentity): (index: number) => readonly Header[] {
  const { pipeline, incarnation, life, task, epoch } = identity
  const shared = [
    textHeader(IDENTITY_HEADERS.pipeline, pipeline),
    textHeader(IDENTITY_HEADERS.incarnation, `${incarnation}`),
    textHeader(IDENTITY_HEADERS.life, life),
    textHeader(IDENTITY_HEADERS.task, task),
    textHeader(IDENTITY_HEADERS.epoch, `${epoch}`),
  ]
  return (index) => [...shared, textHeader(IDENTITY_HEADERS.index, `${index}`)]
}

export function textHeader(key: string, text: string): Header {
  return { key, value: encodeUtf8(text) }
}

/** The two lengths of a header, as varints, at their longest. */
const HEADER_LENGTHS_BYTES = 10

/** What a message counts against `Outbox.messageBytesMax`: never less than what it takes on the wire, but for the frame around it. */
export function messageBytes({ key, value, headers }: OutboxMessage): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0)
  for (const header of headers) {
    // A character of UTF-16 takes at most three bytes of UTF-8.
    bytes += 3 * header.key.length + (header.value?.length ?? 0) + HEADER_LENGTHS_BYTES
  }
  return bytes
}
