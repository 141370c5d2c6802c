import type { PartitionFeed } from './partition-feed.ts'

/** A partition and what is known of the way to it. */
export class FeedState {
  readonly feed: PartitionFeed
  /** The broker that is asked; null while that has to be found out. */
  node: number | null = null
  /** In a row. */
  failures = 0
  /** When a broker last answered for it. */
  answeredMs: number
  /** When the log last said that nobody does; null where it need not. */
  warnedMs: number | null = null
  retryAtMs = 0
  /** How often nobody knew the topic. */
  missing = 0
  /** A broker has called the offset out of range. */
  mustCheck = false
  /** When it got records last: a running number. */
  turn = 0

  constructor(feed: PartitionFeed, nowMs: number) {
    this.feed = feed
    this.answeredMs = nowMs
  }
}
