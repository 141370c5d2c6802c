import { PipelineError } from '../src/errors.ts'
import type { DeadLetterBinding } from '../src/ports.ts'
import { KafkaOutbox } from './topic/kafka-outbox.ts'
import { resolveTopicOptions, type TopicOptions } from './topic/outbox-options.ts'

export interface DeadLetterTopicOptions extends TopicOptions {
  readonly topic: string
}

/**
 * A Kafka topic for dead letters, in place of the lake's table: each once, for readers with `read_committed`. Key, value and headers are those of
 * the record; headers that begin with `millrace.` say what happened.
 */
export function deadLetterTopic(options: DeadLetterTopicOptions): DeadLetterBinding {
  const { topic, ...kafka } = options
  if (typeof topic !== 'string' || topic === '') {
    throw new PipelineError('OPTION_INVALID', 'deadLetterTopic() has no topic', {
      advice: "As in deadLetterTopic({ brokers, topic: 'trips.dead-letters' }).",
    })
  }
  const resolved = resolveTopicOptions(options)
  return {
    topic,
    open: (world) => new KafkaOutbox({ ...resolved, kafka, registry: null, world, kind: 'dlq' }),
  }
}
