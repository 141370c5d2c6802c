import { PipelineError } from '../../src/errors.ts'
import type { KafkaClient, TopicMetadata } from '../../src/kafka/client.ts'

/** The partitions of the topics that are written to, and who leads them. */
export class TopicDirectory {
  readonly #client: KafkaClient
  readonly #topics = new Map<string, TopicMetadata>()
  #refreshing: Promise<void> | null = null

  constructor(client: KafkaClient) {
    this.#client = client
  }

  learn(topics: readonly TopicMetadata[]): void {
    for (const topic of topics) if (topic.errorCode === 0) this.#topics.set(topic.topic, topic)
  }

  get names(): readonly string[] {
    return [...this.#topics.keys()]
  }

  partitionCount(topic: string): number {
    return this.#known(topic).partitions.length
  }

  /** -1 where there is none at the moment. */
  leader(topic: string, partition: number): number {
    return this.#known(topic).partitions[partition]?.leader ?? -1
  }

  /** Asks the brokers again; those who ask at the same time share the answer. Throws what the client throws. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#client
      .metadata(this.names)
      .then(({ topics }) => this.learn(topics))
      .finally(() => {
        this.#refreshing = null
      })
    return this.#refreshing
  }

  #known(topic: string): TopicMetadata {
    const known = this.#topics.get(topic)
    if (known !== undefined) return known
    throw new PipelineError(
      'TOPIC_NOT_FOUND',
      `there are messages for the topic ${topic}, which was not opened`,
      {
        advice:
          'The topic of dead letters or of a program was changed: publish what is open with the old one first.',
      },
    )
  }
}
