import type { SourceEpoch } from '../engine/merge-task.ts'

/** What a partition task tells the merge: an epoch that is recorded, or a claim that only moves its chain on. */
export type FeedItem =
  | { readonly kind: 'epoch'; readonly source: SourceEpoch }
  | { readonly kind: 'claim'; readonly task: string; readonly epoch: number }

/** The in-memory way from the partition tasks to the merge task of the same process. */
export class MergeFeed {
  #items: FeedItem[] = []
  #closed = false
  #wake: (() => void) | null = null

  offer(item: FeedItem): void {
    this.#items.push(item)
    this.#wake?.()
  }

  /** No partition task will offer anything more in this run. */
  close(): void {
    this.#closed = true
    this.#wake?.()
  }

  get isClosed(): boolean {
    return this.#closed && this.#items.length === 0
  }

  /** Waits until there is something; an empty answer means that the feed is closed. */
  async take(): Promise<readonly FeedItem[]> {
    while (this.#items.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#wake = null
    return this.#items.splice(0)
  }

  get length(): number {
    return this.#items.length
  }
}
