import type { ColumnBatch } from '../columns/column.ts'
import { PipelineError } from '../errors.ts'
import type { OutboxMessage, TopicEncoder } from '../ports.ts'
import { identityHeaders, messageBytes, type MessageIdentity } from './message-identity.ts'

export interface ResultMessagesOptions {
  readonly topic: string
  readonly encoder: TopicEncoder
  readonly identity: MessageIdentity
  /** Index within the epoch of the first message. */
  readonly firstIndex: number
  /** `Outbox.messageBytesMax`. */
  readonly messageBytesMax: number
}

/** Rows of a batch: those that are selected, or the first `count` where the selection is null. */
export interface ResultRows {
  readonly batch: ColumnBatch
  readonly selection: Int32Array | null
  readonly count: number
}

/**
 * Results as records of a topic: what is no more as null values, then each row with its value. Throws MESSAGE_TOO_LARGE: a result has no other
 * place, and the topic would refuse it again and again.
 */
export function resultMessages(
  rows: ResultRows,
  retracted: ResultRows,
  options: ResultMessagesOptions,
): readonly OutboxMessage[] {
  const { encoder, firstIndex } = options
  const toMessage = messageMaker(options)
  const gone = Array.from({ length: retracted.count }, (_, i) => {
    const key = encoder.encodeKey(retracted.batch, rowAt(retracted, i))
    return toMessage(key, null, firstIndex + i)
  })
  const results = Array.from({ length: rows.count }, (_, i) => {
    const { key, value } = encoder.encode(rows.batch, rowAt(rows, i))
    return toMessage(key, value, firstIndex + retracted.count + i)
  })
  return [...gone, ...results]
}

function rowAt({ selection }: ResultRows, index: number): number {
  return selection === null ? index : selection[index]!
}

function messageMaker({ topic, identity, messageBytesMax }: ResultMessagesOptions) {
  const headersOf = identityHeaders(identity)
  return (key: Uint8Array | null, value: Uint8Array | null, index: number): OutboxMessage => {
    const message: OutboxMessage = { topic, key, value, headers: headersOf(index) }
    const bytes = messageBytes(message)
    if (bytes <= messageBytesMax) return message
    throw new PipelineError(
      'MESSAGE_TOO_LARGE',
      `a result for topic ${topic} has ${bytes} bytes; the topic takes ${messageBytesMax}`,
      {
        advice: `Raise max.message.bytes of ${topic}, or keep long strings out of the key and of min and max, and collect less.`,
      },
    )
  }
}
