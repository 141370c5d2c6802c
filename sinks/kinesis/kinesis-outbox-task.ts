import type { PutEntry } from '../../src/kinesis/api.ts'
import type { OutboxEpoch, OutboxMarker, OutboxTask } from '../../src/ports.ts'
import type { StreamContent } from './content.ts'
import { putAll, type PutWorld } from './put-all.ts'
import { PutQueue } from './put-queue.ts'

export interface KinesisOutboxTaskOptions extends PutWorld {
  readonly content: StreamContent
}

/** An epoch on its way: what of it is still to be put, by stream. */
interface Unfinished extends OutboxMarker {
  readonly queues: ReadonlyMap<string, PutQueue>
}

/** One claim of a task's outbox. Another one may send at the same time, but nothing that is not in the chain, and with the same ids. */
export class KinesisOutboxTask implements OutboxTask {
  /** There is no place for one: only the chain knows. */
  readonly marker = null
  readonly #options: KinesisOutboxTaskOptions
  /** Of a call that has failed: the next one of the same epoch goes on from there. */
  #unfinished: Unfinished | null = null

  constructor(options: KinesisOutboxTaskOptions) {
    this.#options = options
  }

  /** None: a stream has no index, and to look through all of it would take longer than to send an epoch again. */
  findPublished(): Promise<ReadonlySet<number>> {
    return Promise.resolve(new Set())
  }

  async publish(epoch: OutboxEpoch): Promise<void> {
    const { queues } = await this.#begin(epoch)
    const puts = [...queues].map(([stream, queue]) => putAll(stream, queue, this.#options))
    // All of them are waited for: the next call must find none of them at work.
    const outcomes = await Promise.allSettled(puts)
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    this.#unfinished = null
  }

  async close(): Promise<void> {}

  async #begin({ incarnation, life, epoch, messages }: OutboxEpoch): Promise<Unfinished> {
    const last = this.#unfinished
    if (last !== null && last.life === life && last.epoch === epoch) return last
    const entries = await this.#options.content.entriesOf(messages)
    const byStream = new Map<string, PutEntry[]>()
    for (const [index, { topic }] of messages.entries()) {
      const ofStream = byStream.get(topic)
      if (ofStream === undefined) byStream.set(topic, [entries[index]!])
      else ofStream.push(entries[index]!)
    }
    const queues = new Map([...byStream].map(([stream, all]) => [stream, new PutQueue(all)]))
    this.#unfinished = { incarnation, life, epoch, queues }
    return this.#unfinished
  }
}
