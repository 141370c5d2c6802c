import type { SourceEpoch } from '../engine/merge-task.ts'
import type { Clock } from '../ports.ts'

/** What a partition task tells the merge task of its own process. */
export type FeedItem =
  /** An epoch that is recorded, with its partials still in memory. */
  | { readonly kind: 'epoch'; readonly source: SourceEpoch }
  /** The chain has records up to this epoch: what the merge does not know of them is in the store. */
  | { readonly kind: 'reached'; readonly task: string; readonly epoch: number }

/** Epochs that the merge has not taken yet: beyond, the partition tasks wait, because their partials are in memory. */
export const WAITING_EPOCHS_MAX = 32

/**
 * The in-memory way from the partition tasks to the merge task of the same process. It holds nothing while the merge runs elsewhere: what is
 * not handed over here is read from the chains.
 */
export class MergeFeed {
  readonly #clock: Clock
  readonly #tasks = new Set<string>()
  #items: FeedItem[] = []
  #listening = false
  #closed = false
  /** Something was said while the merge did not wait. */
  #isWoken = false
  #wake: (() => void) | null = null
  #waitingForRoom: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The partition tasks of this process: their epochs come by themselves, and need not be looked for. */
  isLocal(task: string): boolean {
    return this.#tasks.has(task)
  }

  /** A partition task is ours: its chain has a record of this epoch. */
  join(task: string, epoch: number): void {
    this.#tasks.add(task)
    this.offer({ kind: 'reached', task, epoch })
  }

  /** Somebody else goes on with it. */
  leave(task: string): void {
    this.#tasks.delete(task)
  }

  offer(item: FeedItem): void {
    if (!this.#listening) return
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

  /** The merge task runs in this process from now on. It begins with what the store has, so nothing earlier is kept. */
  listen(): void {
    this.#listening = true
    this.#items = []
  }

  /** The merge task is gone: nobody waits for it. */
  unlisten(): void {
    this.#listening = false
    this.#items = []
    this.#letGo()
  }

  /** No partition task will offer anything more in this run. */
  close(): void {
    this.#closed = true
    this.#wake?.()
  }

  get isClosed(): boolean {
    return this.#closed && this.#items.length === 0
  }

  /** For the merge: something else wants its attention. Where it does not wait, it will not wait the next time. */
  wake(): void {
    if (this.#wake === null) this.#isWoken = true
    else this.#wake()
  }

  /** Waits until there is something, the feed is closed, or the time is over (null: none). */
  async take(withinMs: number | null): Promise<readonly FeedItem[]> {
    if (this.#items.length === 0 && !this.#closed && !this.#isWoken) await this.#wait(withinMs)
    this.#isWoken = false
    const items = this.#items.splice(0)
    this.#letGo()
    return items
  }

  async #wait(withinMs: number | null): Promise<void> {
    const over = new AbortController()
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    await (withinMs === null ? woken : Promise.race([woken, this.#clock.sleep(withinMs, over.signal)]))
    over.abort()
    this.#wake = null
  }

  #letGo(): void {
    for (const resolve of this.#waitingForRoom.splice(0)) resolve()
  }
}
