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

/**
 * The first `count` rows of an aggregate's results as records of a topic. Throws MESSAGE_TOO_LARGE: a result has no other place, and
 * the topic would refuse it again and again.
 */
export function resultMessages(
  batch: ColumnBatch,
  count: number,
  options: ResultMessagesOptions,
): readonly OutboxMessage[] {
  const { topic, encoder, identity, firstIndex, messageBytesMax } = options
  const headersOf = identityHeaders(identity)
  return Array.from({ length: count }, (_, row) => {
    const { key, value } = encoder.encode(batch, row)
    const message: OutboxMessage = { topic, key, value, headers: headersOf(firstIndex + row) }
    const bytes = messageBytes(message)
    if (bytes <= messageBytesMax) return message
    throw new PipelineError(
      'MESSAGE_TOO_LARGE',
      `a result for topic ${topic} has ${bytes} bytes; the topic takes ${messageBytesMax}`,
      {
        advice: `Raise max.message.bytes of ${topic}, or keep long strings out of the key and of min and max.`,
      },
    )
  })
}
