import { PipelineError } from '../../src/errors.ts'
import { type KafkaClient, protocolFault, type TopicMetadata } from '../../src/kafka/client.ts'
import type { SourcePartition } from '../../src/ports.ts'
import { topicNotFound } from './source-error.ts'

/** Which topics a source reads. */
export type TopicChoice = { readonly names: readonly string[] } | { readonly pattern: RegExp }

const UNKNOWN_TOPIC = 3

export function sourcePartition(topic: string, partition: number): SourcePartition {
  // Kafka allows letters, digits, '.', '_' and '-' in the name of a topic: safe in the name of a file.
  return { id: `${topic}-${partition}`, topic, partition }
}

/** Looks up the topics of a source. */
export class Topics {
  readonly #client: KafkaClient
  readonly #choice: TopicChoice

  constructor(client: KafkaClient, choice: TopicChoice) {
    this.#client = client
    this.#choice = 'pattern' in choice ? { pattern: withoutState(choice.pattern) } : choice
  }

  get description(): string {
    const choice = this.#choice
    return 'pattern' in choice ? String(choice.pattern) : choice.names.join(', ')
  }

  /** In the order of their names. Throws TOPIC_NOT_FOUND, KAFKA_AUTHORIZATION. */
  async list(): Promise<readonly TopicMetadata[]> {
    const choice = this.#choice
    const { topics } = await this.#client.metadata('names' in choice ? choice.names : null)
    const chosen =
      'names' in choice
        ? topics
        : topics.filter(({ topic, isInternal }) => !isInternal && choice.pattern.test(topic))
    if (chosen.length === 0) {
      throw new PipelineError('TOPIC_NOT_FOUND', `no topic matches ${this.description}`, {
        advice:
          'Topics that this program may not describe are not listed to it: check its ACLs, and the pattern.',
      })
    }
    for (const { topic, errorCode, partitions } of chosen) {
      if (errorCode === UNKNOWN_TOPIC) throw topicNotFound(topic, `there is no topic ${topic}`)
      if (errorCode !== 0) throw protocolFault(errorCode, { what: `look up topic ${topic}`, topic })
      if (partitions.length === 0) throw topicNotFound(topic, `topic ${topic} has no partitions`)
    }
    return chosen.toSorted((a, b) => (a.topic < b.topic ? -1 : 1))
  }

  async counts(): Promise<ReadonlyMap<string, number>> {
    return new Map((await this.list()).map(({ topic, partitions }) => [topic, partitions.length]))
  }
}

/** With the flags g and y a pattern remembers where it matched last. */
function withoutState(pattern: RegExp): RegExp {
  return new RegExp(pattern.source, pattern.flags.replaceAll(/[gy]/g, ''))
}
