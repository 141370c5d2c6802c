import { PipelineError } from '../../src/errors.ts'
import type { KafkaOptions } from '../../src/kafka/client.ts'

/** What output topics and the dead-letter topic have in common. */
export interface TopicOptions extends KafkaOptions {
  /**
   * The brokers abort a transaction that is open for longer. Default 60,000 ms; at most the brokers' `transaction.max.timeout.ms`. Readers with
   * `read_committed` wait so long for what follows a transaction whose owner died and that nobody takes over.
   */
  readonly transactionTimeoutMs?: number
  /**
   * Transactional ids and marker groups are called `<prefix>-<pipeline>-<task>-…`. Default 'millrace'. Two lakes whose pipelines have the same
   * name and write to the same cluster need different ones, else each fences the other.
   */
  readonly transactionalIdPrefix?: string
  /** Topics that are not there are created. Without it they are an error: who runs a cluster decides on partitions and replicas. */
  readonly createTopics?: CreateTopics
}

export interface CreateTopics {
  readonly partitions: number
  readonly replicationFactor: number
}

export interface ResolvedTopicOptions {
  readonly transactionTimeoutMs: number
  readonly transactionalIdPrefix: string
  readonly createTopics: CreateTopics | null
}

const TRANSACTION_TIMEOUT_MS_DEFAULT = 60_000
const TRANSACTION_TIMEOUT_MS_MIN = 5_000

/** Throws OPTION_INVALID. */
export function resolveTopicOptions(options: TopicOptions): ResolvedTopicOptions {
  const { transactionTimeoutMs = TRANSACTION_TIMEOUT_MS_DEFAULT, transactionalIdPrefix = 'millrace' } =
    options
  if (!Number.isSafeInteger(transactionTimeoutMs) || transactionTimeoutMs < TRANSACTION_TIMEOUT_MS_MIN) {
    throw new PipelineError('OPTION_INVALID', `transactionTimeoutMs is ${transactionTimeoutMs}`, {
      advice: `It is a whole number of milliseconds, at least ${TRANSACTION_TIMEOUT_MS_MIN}.`,
    })
  }
  if (!/^[A-Za-z0-9._-]{1,100}$/.test(transactionalIdPrefix)) {
    throw new PipelineError(
      'OPTION_INVALID',
      `transactionalIdPrefix is ${JSON.stringify(transactionalIdPrefix)}`,
      {
        advice: 'It has letters, digits, dots, _ and -, at most 100 of them.',
      },
    )
  }
  return { transactionTimeoutMs, transactionalIdPrefix, createTopics: options.createTopics ?? null }
}
