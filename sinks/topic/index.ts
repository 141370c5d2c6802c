import type { OutboxBinding, SchemaRegistry } from '../../src/ports.ts'
import { KafkaOutbox } from './kafka-outbox.ts'
import { resolveTopicOptions, type TopicOptions } from './outbox-options.ts'

export type { KafkaOptions, KafkaSasl, KafkaTls } from '../../src/kafka/client.ts'
export type { CreateTopics, TopicOptions } from './outbox-options.ts'

export interface KafkaTopicsOptions extends TopicOptions {
  /** Where the schemas of the topics are registered, as `<topic>-key` and `<topic>-value`. */
  readonly registry: SchemaRegistry
}

/**
 * The topics that a program names with `topic()`: each result once, for readers with `read_committed`. Records are Avro in Confluent's frame,
 * keyed by the fields of `keyBy`.
 */
export function kafkaTopics(options: KafkaTopicsOptions): OutboxBinding {
  const { registry, ...kafka } = options
  const resolved = resolveTopicOptions(options)
  return { open: (world) => new KafkaOutbox({ ...resolved, kafka, registry, world, kind: 'out' }) }
}
