import { EARLIEST, type KafkaClient, LATEST, NO_TOPIC_ID, type TopicPartition } from '../kafka/client.ts'
import { type BatchHead, readBatchHeads } from '../kafka/batch-head.ts'
import { FETCH_API_KEY, type FetchedPartition, fetchRequest } from '../kafka/fetch.ts'
import { visibleBatches } from '../kafka/visible-batches.ts'

/** As a pipeline reads by default: what is not committed is not there yet. */
const ISOLATION = 'read_committed'
/** How many answers without a record are looked at before the rest is believed to have one. */
const LOOKS_MAX = 16
const BATCH = { maxWaitMs: 100, minBytes: 1, maxBytes: 1, partitionBytes: 1 }

export interface TopicFacts {
  readonly topicId: string
  readonly partitions: number
}

export interface PartitionEnds extends TopicPartition {
  /** The oldest record that is still there. */
  readonly firstOffset: number
  /** Behind the newest that a reader may see. */
  readonly endOffset: number
}

/** Where topics begin and end, and when their records are from. Reads single batches, and moves nothing. */
export class TopicEnds {
  readonly #client: KafkaClient
  readonly #leaders = new Map<string, number>()

  constructor(client: KafkaClient) {
    this.#client = client
  }

  /** Those of these topics that are there. */
  async topics(names: readonly string[]): Promise<ReadonlyMap<string, TopicFacts>> {
    const { topics } = await this.#client.metadata(names)
    const facts = new Map<string, TopicFacts>()
    for (const { topic, topicId, errorCode, partitions } of topics) {
      if (errorCode !== 0) continue
      for (const { partition, leader } of partitions) this.#leaders.set(`${topic}/${partition}`, leader)
      facts.set(topic, { topicId, partitions: partitions.length })
    }
    return facts
  }

  /** In the order of `partitions`. */
  async ends(partitions: readonly TopicPartition[]): Promise<readonly PartitionEnds[]> {
    const listed = async (timestampMs: number) => {
      const queries = partitions.map(({ topic, partition }) => ({ topic, partition, timestampMs }))
      const offsets = await this.#client.listOffsets(queries, ISOLATION)
      return new Map(offsets.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]))
    }
    const [firsts, ends] = await Promise.all([listed(EARLIEST), listed(LATEST)])
    return partitions.map(({ topic, partition }) => {
      const key = `${topic}/${partition}`
      return { topic, partition, firstOffset: firsts.get(key) ?? 0, endOffset: ends.get(key) ?? 0 }
    })
  }

  /**
   * The time of the first record from `offset` on, by its own timestamp. Null where there is none: the ends of transactions, and what
   * was aborted, have offsets too.
   */
  async firstTime({ topic, partition, endOffset }: PartitionEnds, offset: number): Promise<number | null> {
    let at = offset
    for (let look = 0; look < LOOKS_MAX && at < endOffset; look++) {
      const { heads, visible } = await this.#batchAt({ topic, partition }, at)
      const first = visible[0]
      if (first !== undefined) return first.baseOffset >= at ? oldestOf(first) : first.maxTimestampMs
      const last = heads.at(-1)
      if (last === undefined) return null
      at = last.lastOffset + 1
    }
    return at < endOffset ? Number.NaN : null
  }

  /** The time of the newest record, by its own timestamp. Null where that is not known. */
  async newestTime({ topic, partition, firstOffset, endOffset }: PartitionEnds): Promise<number | null> {
    let at = endOffset - 1
    for (let look = 0; look < LOOKS_MAX && at >= firstOffset; look++) {
      const { heads } = await this.#batchAt({ topic, partition }, at)
      const head = heads.at(-1)
      if (head === undefined) return null
      if (!head.isControl) return head.maxTimestampMs
      at = head.baseOffset - 1
    }
    return null
  }

  async #batchAt(
    { topic, partition }: TopicPartition,
    offset: number,
  ): Promise<{ readonly heads: readonly BatchHead[]; readonly visible: readonly BatchHead[] }> {
    const client = this.#client
    const leader = this.#leaders.get(`${topic}/${partition}`) ?? -1
    if (leader < 0) return NOTHING
    const version = await client.maxVersion(leader, FETCH_API_KEY, 'fetch')
    const from = { topic, partition, topicId: NO_TOPIC_ID, offset }
    const limits = { ...BATCH, answerWithinMs: client.options.requestTimeoutMs }
    const request = fetchRequest([from], limits, ISOLATION, '', version)
    const answer = await client.send(
      leader,
      request,
      { what: `look at ${topic}-${partition}`, topic },
      'fetch',
    )
    const fetched: FetchedPartition | undefined = answer.partitions[0]
    if (fetched === undefined || fetched.errorCode !== 0 || fetched.records === null) return NOTHING
    const { records, aborted } = fetched
    const where = `${topic}-${partition}`
    const heads = readBatchHeads(records, where)
    const batches = {
      bytes: records,
      fetchOffset: offset,
      isolation: ISOLATION,
      aborted,
      arrivalMs: 0,
      where,
    } as const
    return { heads, visible: visibleBatches(batches, heads).map(({ head }) => head) }
  }
}

const NOTHING = { heads: [], visible: [] }

function oldestOf(head: BatchHead): number {
  return head.isLogAppendTime ? head.maxTimestampMs : head.baseTimestampMs
}
