import { messageOf } from '../../src/errors.ts'
import type { SourceWorld } from '../../src/ports.ts'
import { joinCounts, type PartitionCounts } from './group-tasks.ts'

/** What a member knows of the topics of its source: more and more, because partitions are only ever added. */
export class TopicWatch {
  readonly #topics: () => Promise<PartitionCounts>
  readonly #world: SourceWorld
  #seen: PartitionCounts = new Map()

  constructor(topics: () => Promise<PartitionCounts>, world: SourceWorld) {
    this.#topics = topics
    this.#world = world
  }

  get seen(): PartitionCounts {
    return this.#seen
  }

  /** From what others know. */
  learn(known: readonly PartitionCounts[]): void {
    this.#seen = joinCounts([this.#seen, ...known])
  }

  /** Throws only where nothing is known yet: what has become of a known topic, its readers find out. */
  async look(): Promise<void> {
    try {
      this.learn([await this.#topics()])
    } catch (error) {
      if (this.#seen.size === 0) throw error
      this.#world.log.debug({ error: messageOf(error) }, 'the topics could not be looked at')
    }
  }
}
