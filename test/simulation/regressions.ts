/** Seeds that failed once, with what was wrong. They run on every test run, before the others. */
export const REGRESSIONS: readonly Regression[] = [
  { seed: 471, kafka: true, story: 'the messages of the last epoch were taken for published' },
  { seed: 285, kafka: true, story: "a fence that was nobody's ended the only process" },
  { seed: 20569, kafka: true, story: 'a process that took its own task over again added files twice' },
  { seed: 31396, kafka: true, story: 'the merge read the claim of a partition that was new for ever' },
  { seed: 1142, story: 'a key of a sliding window forgot, when it was restored, what it was waiting for' },
  { seed: 3349, kafka: true, story: 'the merge missed what was recorded before it listened' },
  {
    seed: 105,
    shards: true,
    story: 'the merge no longer asked for a shard that had left the list before its end was folded',
  },
  {
    seed: 295,
    shards: true,
    story: 'what is shown of a shard that no list has any more was waited for in vain',
  },
  {
    seed: 2206,
    shards: true,
    story: 'a dead member was seen alive for as long as the look had taken in which it was seen first',
  },
]

export interface Regression {
  readonly seed: number
  readonly story: string
  /** In a world with a Kafka. */
  readonly kafka?: boolean
  /** … where the partitions are shards. */
  readonly shards?: boolean
}
