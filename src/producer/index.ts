export { createProducer } from './create-producer.ts'
export type {
  KeyOf,
  Producer,
  ProducerOptions,
  ProducerRegistry,
  SendOptions,
  TimestampOf,
} from './producer-options.ts'
export type { Sent } from '../kafka/idempotent-producer.ts'
export type { KafkaSasl, KafkaTls } from '../kafka/client.ts'
