import type { PutEntry } from '../../src/kinesis/api.ts'
import type { OutboxMessage, TopicEncoder, TopicShape } from '../../src/ports.ts'

/** How messages look in a stream. */
export interface StreamContent {
  /** The largest message, in bytes of key, value and headers, of which an entry is no larger than this. */
  messageBytesMax(recordBytesMax: number): number
  /** Gives an encoder for each shape, in their order. Throws SCHEMA_INCOMPATIBLE. */
  encoders(shapes: readonly TopicShape[]): Promise<readonly TopicEncoder[]>
  /** In the order of the messages. */
  entriesOf(messages: readonly OutboxMessage[]): Promise<readonly PutEntry[]>
}
