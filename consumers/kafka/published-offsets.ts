import { messageOf } from '../../src/errors.ts'
import type { GroupOffset, Log } from '../../src/ports.ts'
import type { PartitionOffset } from './group-coordinator.ts'

/** False: nobody would take them now, but later. */
type Commit = (offsets: readonly PartitionOffset[]) => Promise<boolean>

/**
 * Shows in the users' group how far each partition is published: what Kafka's own tools call lag. Nobody reads it for positions, so it
 * may fail, and is then overtaken by the next. One request at a time; of each partition the newest offset goes.
 */
export class PublishedOffsets {
  readonly #commit: Commit
  readonly #log: Log
  readonly #waiting = new Map<string, PartitionOffset>()
  #sending: Promise<void> | null = null

  constructor(commit: Commit, log: Log) {
    this.#commit = commit
    this.#log = log
  }

  show({ topic, partition, offset }: GroupOffset): void {
    this.#waiting.set(`${topic}/${partition}`, { topic, partition, offset })
    this.resume()
  }

  /** Somebody would take them again. */
  resume(): void {
    this.#sending ??= this.#send()
  }

  /** Resolves when what can be sent has been. */
  async flush(): Promise<void> {
    await this.#sending
  }

  /** The partitions are somebody else's. */
  forget(): void {
    this.#waiting.clear()
  }

  async #send(): Promise<void> {
    // What comes at the same moment goes together.
    await Promise.resolve()
    try {
      while (this.#waiting.size > 0 && (await this.#sendAll())) {
        // What has come meanwhile is next.
      }
    } finally {
      // At once, and not a moment after the last look at what waits.
      this.#sending = null
    }
  }

  /** False: later. */
  async #sendAll(): Promise<boolean> {
    const sent = [...this.#waiting]
    this.#waiting.clear()
    try {
      if (await this.#commit(sent.map(([, offset]) => offset))) return true
      for (const [key, offset] of sent) if (!this.#waiting.has(key)) this.#waiting.set(key, offset)
      return false
    } catch (error) {
      this.#log.debug({ error: messageOf(error) }, 'published offsets could not be shown')
      return true
    }
  }
}
