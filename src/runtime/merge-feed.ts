import type { SourceEpoch } from '../engine/merge-task.ts'

/** What a partition task tells the merge: an epoch that is recorded, or a claim that only moves its chain on. */
export type FeedItem =
  | { readonly kind: 'epoch'; readonly source: SourceEpoch }
  | { readonly kind: 'claim'; readonly task: string; readonly epoch: number }

/** Epochs that the merge has not taken yet: beyond, the partition tasks wait, because their partials are in memory. */
export const WAITING_EPOCHS_MAX = 32

/** The in-memory way from the partition tasks to the merge task of the same process. */
export class MergeFeed {
  #items: FeedItem[] = []
  #closed = false
  #wake: (() => void) | null = null
  #waitingForRoom: (() => void)[] = []

  offer(item: FeedItem): void {
    this.#items.push(item)
    this.#wake?.()
  }

  /** Resolves when the merge has kept up. */
  async room(): Promise<void> {
    while (this.#items.length > WAITING_EPOCHS_MAX) {
      await new Promise<void>((resolve) => {
        this.#waitingForRoom.push(resolve)
      })
    }
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
    const items = this.#items.splice(0)
    for (const resolve of this.#waitingForRoom.splice(0)) resolve()
    return items
  }
}
