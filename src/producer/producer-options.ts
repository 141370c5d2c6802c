import type { KafkaOptions } from '../kafka/client.ts'
import type { Sent } from '../kafka/idempotent-producer.ts'
import type { Header, Log, SchemaRegistry } from '../ports.ts'
import type { AvroSchema } from '../topology/schema.ts'

/** A registry that schemas can be written to, or at least looked up in: `confluentRegistry({ url })`. */
export interface ProducerRegistry extends SchemaRegistry {
  /** Null where the schema is not registered under the subject. */
  idOf?(subject: string, schema: string): Promise<number | null>
}

export interface ProducerOptions<Row> extends KafkaOptions {
  /** It must exist: it is not made by writing to it. */
  readonly topic: string
  /** What `millrace schema types` generates beside the .avsc file. */
  readonly schema: AvroSchema<Row>
  readonly registry: ProducerRegistry
  /** Default `<topic>-value`, as all of Confluent's clients name it. */
  readonly subject?: string
  /** True (the default) registers the schema where it is not there yet. False only looks it up: someone else registers, in a review. */
  readonly autoRegister?: boolean
  /** Of each value: records with one key keep their order. Default: no key, and any partition. */
  readonly key?: KeyOf<Row>
  /** Of each value, in milliseconds since 1970. Default: the time of sending. */
  readonly timestamp?: TimestampOf<Row>
  /** Default 'none'. */
  readonly compression?: 'none' | 'gzip'
  /** How long a value waits for others to share its batch. Default 5. */
  readonly lingerMs?: number
  /** A batch has at most so many bytes before compression, unless it is one record. Default 900,000: brokers take 1 MiB. */
  readonly batchBytesMax?: number
  /** How long a value is sent again, while the brokers do not answer, until it counts as failed. Default 120,000. */
  readonly deliveryTimeoutMs?: number
  /** While more bytes than this are not acknowledged, `send` waits before it takes more. Default 32 MiB. */
  readonly queueBytesMax?: number
  /** Told of what is sent again. Default: nobody. */
  readonly log?: Log
}

/** The key is text (as UTF-8), bytes or null. */
export type KeyOf<Row> = (value: Row) => string | Uint8Array | null

export type TimestampOf<Row> = (value: Row) => number

/** Of one call, in place of the producer's own `key` and `timestamp`. */
export interface SendOptions {
  readonly key?: string | Uint8Array | null
  readonly timestamp?: number
  readonly headers?: Readonly<Record<string, string | Uint8Array | null>> | readonly Header[]
  /** In place of the one that the key chooses. */
  readonly partition?: number
}

export interface Producer<Row> {
  readonly topic: string
  /** Under which the schema is registered; in the frame of each record. */
  readonly schemaId: number
  /**
   * Resolves when all replicas in sync have stored it. Each value is stored once, however often it had to be sent.
   * Rejects with PRODUCE_INVALID where a value does not fit the schema (nothing of the call is sent then), PRODUCE_TIMEOUT, MESSAGE_TOO_LARGE,
   * KAFKA_AUTHORIZATION.
   */
  send(value: Row, options?: SendOptions): Promise<Sent>
  /** As for one, in the order of the values. Rejects where one of them fails; the others may be stored. */
  send(values: readonly Row[], options?: SendOptions): Promise<readonly Sent[]>
  /** A record without a value: in a compacted topic it deletes the key. */
  sendTombstone(key: string | Uint8Array, options?: Omit<SendOptions, 'key'>): Promise<Sent>
  /** Resolves when everything that was sent is stored or has failed. */
  flush(): Promise<void>
  /** Flushes, and closes the connections. */
  close(): Promise<void>
}
