import { PipelineError } from '../../src/errors.ts'
import { type IsolationLevel, type KafkaOptions, resolveKafkaOptions } from '../../src/kafka/client.ts'
import type { SchemaRegistry, SourceBinding } from '../../src/ports.ts'
import type { FetcherLimits } from './fetcher.ts'
import { GROUP_TIMES, type GroupTimes } from './group.ts'
import { KafkaSource } from './source.ts'
import type { StartFrom } from './start.ts'
import type { TopicChoice } from './topics.ts'

export interface KafkaSourceBindingOptions extends KafkaOptions {
  /** Exactly one of `topic`, `topics` and `pattern`. */
  readonly topic?: string
  readonly topics?: readonly string[]
  /** All topics whose whole or partial name matches: anchor it with ^ and $. Kafka's internal topics never do. */
  readonly pattern?: RegExp
  /** The consumer group that hands out the partitions, and shows how far they are published. One for each pipeline. */
  readonly groupId: string
  /** Where the writers' schemas are: `confluentRegistry({ url })`, `directoryRegistry(path)`. */
  readonly registry: SchemaRegistry
  /**
   * Where a new pipeline begins: 'earliest' (default), 'latest', or the first record of a time. Partitions that are added while it runs are read
   * from their beginning in any case.
   */
  readonly from?: StartFrom
  /** Default 'read_committed': records of transactions that are open or were aborted are not read. */
  readonly isolation?: IsolationLevel
  readonly fetch?: Partial<FetcherLimits>
  /** How often new partitions are looked for, in milliseconds, such as `minutes(1)` (default). */
  readonly refreshEvery?: number
  /** A name that this process keeps over restarts: it gets its partitions back without a rebalance, and others wait for it. */
  readonly groupInstanceId?: string
  /** Time-outs of the group. */
  readonly group?: Partial<Omit<GroupTimes, 'refreshMs'>>
}

const FETCH_LIMITS: FetcherLimits = {
  maxWaitMs: 500,
  minBytes: 16 * 1024,
  answerBytes: 16 * 1024 * 1024,
  partitionBytes: 1024 * 1024,
  bufferBytes: 64 * 1024 * 1024,
}

/**
 * Kafka topics as the source of a run. docs/kafka.md has the options, the ACLs and what each error means.
 *
 * @example
 * kafka({ brokers: ['localhost:9092'], topic: 'trips', groupId: 'taxi', registry: confluentRegistry({ url }) })
 */
export function kafka(options: KafkaSourceBindingOptions): SourceBinding {
  const { registry, groupId, groupInstanceId, refreshEvery, from = 'earliest' } = options
  const source = {
    kafka: options,
    topics: topicChoice(options),
    group: {
      groupId,
      instanceId: groupInstanceId ?? null,
      times: { ...GROUP_TIMES, ...options.group, refreshMs: refreshEvery ?? GROUP_TIMES.refreshMs },
    },
    from,
    isolation: options.isolation ?? ('read_committed' as const),
    limits: { ...FETCH_LIMITS, ...options.fetch },
  }
  if (groupId === '') throw invalid('groupId is empty', 'Give each pipeline a groupId of its own.')
  if (from instanceof Date ? Number.isNaN(from.getTime()) : from !== 'earliest' && from !== 'latest') {
    throw invalid(`from is ${JSON.stringify(from)}`, "It is 'earliest', 'latest' or a Date.")
  }
  for (const [name, value] of Object.entries(source.limits)) {
    if (!Number.isSafeInteger(value) || value < 1 || value > LIMIT_MAX) {
      throw invalid(`fetch.${name} is ${String(value)}`, `A whole number from 1 to ${LIMIT_MAX}.`)
    }
  }
  resolveKafkaOptions(options)
  return { open: (world) => new KafkaSource(source, world), registry, isReplay: false }
}

/** An answer is one Buffer, and its places are 32-bit integers. */
const LIMIT_MAX = 1024 * 1024 * 1024

function topicChoice({ topic, topics, pattern }: KafkaSourceBindingOptions): TopicChoice {
  const given = [topic, topics, pattern].filter((choice) => choice !== undefined)
  if (given.length !== 1) {
    throw invalid(
      'topic, topics and pattern: one of them is needed, and no more',
      "For one topic: topic: 'trips'.",
    )
  }
  if (pattern !== undefined) return { pattern }
  const names = [...new Set(topics ?? [topic!])]
  const wrong = names.find((name) => !/^[\w.-]{1,249}$/.test(name))
  if (wrong !== undefined || names.length === 0) {
    throw invalid(
      names.length === 0 ? 'topics is empty' : `${JSON.stringify(wrong)} is no name of a topic`,
      'A topic has letters, digits, dots, underscores and hyphens in its name, 249 at most.',
    )
  }
  return { names }
}

function invalid(what: string, advice: string): PipelineError {
  return new PipelineError('OPTION_INVALID', `kafka(): ${what}`, { advice })
}

export type { KafkaOptions, KafkaSasl, KafkaTls } from '../../src/kafka/client.ts'
