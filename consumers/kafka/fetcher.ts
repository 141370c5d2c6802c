import { messageOf, PipelineError } from '../../src/errors.ts'
import {
  type IsolationLevel,
  isRetryableCode,
  type KafkaClient,
  NO_TOPIC_ID,
  protocolFault,
  type TopicMetadata,
} from '../../src/kafka/client.ts'
import { FETCH_API_KEY, type FetchedPartition, fetchRequest } from '../../src/kafka/fetch.ts'
import type { SourceWorld } from '../../src/ports.ts'
import { Bell } from '../../src/leases/bell.ts'
import { FeedState } from './feed-state.ts'
import type { PartitionFeed } from './partition-feed.ts'
import { SharedAnswer } from './shared-answer.ts'
import { topicNotFound, topicRecreated } from './source-error.ts'
import { checkOffset } from './start.ts'

export interface FetcherLimits {
  readonly maxWaitMs: number
  readonly minBytes: number
  /** Of one answer. */
  readonly answerBytes: number
  readonly partitionBytes: number
  /** What waits in memory, over all partitions, as it came over the wire. */
  readonly bufferBytes: number
}

/** What of a client is needed. */
export type FetchClient = Pick<
  KafkaClient,
  'options' | 'metadata' | 'maxVersion' | 'send' | 'listOffsets' | 'recycle'
>

export interface FetcherOptions {
  readonly client: FetchClient
  readonly world: SourceWorld
  readonly limits: FetcherLimits
  readonly isolation: IsolationLevel
}

/** While a partition is left out because it is full, nobody waits longer than this for the others. */
const FULL_WAIT_MS = 100
/** A partition's buffer never grows beyond so many fetches. */
const FETCHES_AHEAD = 4
/** A topic is unknown to some brokers for a moment after it was created. */
const MISSING_TRIES = 10
const CODE = { offsetOutOfRange: 1, unknownTopic: 3 } as const
const IDLE_MS = 60_000

/**
 * Fetches for all open partitions of a source: one loop for each broker that leads some of them, which asks for those whose buffer has
 * room. What fails is tried again from here, with fresh metadata: a reader sees an interruption as nothing to read. It moves no
 * position: an answer that is lost is asked for again.
 */
export class Fetcher {
  readonly #options: FetcherOptions
  readonly #feeds = new Map<string, FeedState>()
  readonly #loops = new Map<number, { readonly bell: Bell; readonly done: Promise<void> }>()
  readonly #bell: Bell
  #placing: Promise<void> | null = null
  #turns = 0
  /** Of answers that somebody looks into. */
  #sharedBytes = 0
  #isClosed = false

  constructor(options: FetcherOptions) {
    this.#options = options
    this.#bell = new Bell(options.world.clock)
  }

  add(feed: PartitionFeed): void {
    this.#feeds.set(feed.partition.id, new FeedState(feed, this.#options.world.clock.nowMs()))
    this.#bell.ring()
    this.#placing ??= this.#place()
  }

  /** Something of the feed has changed: it has room again, or is over. */
  changed(feed: PartitionFeed): void {
    const state = this.#feeds.get(feed.partition.id)
    if (state === undefined || state.feed !== feed) return
    if (feed.isOver) this.#feeds.delete(feed.partition.id)
    if (state.node !== null) this.#loops.get(state.node)?.bell.ring()
  }

  /** Resolves when the client is closed too: what is on its way keeps it waiting. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#bell.ring()
    for (const { bell } of this.#loops.values()) bell.ring()
    await this.#placing
    await Promise.all([...this.#loops.values()].map(({ done }) => done))
  }

  /** Finds the leaders of those that have none, until the source is closed. */
  async #place(): Promise<void> {
    const { clock } = this.#options.world
    while (!this.#isClosed) {
      const nowMs = clock.nowMs()
      const homeless = [...this.#feeds.values()].filter(({ node }) => node === null)
      const due = homeless.filter(({ retryAtMs }) => retryAtMs <= nowMs)
      if (due.length > 0) await this.#placeAll(due)
      else {
        const nextMs = Math.min(nowMs + IDLE_MS, ...homeless.map(({ retryAtMs }) => retryAtMs))
        await this.#bell.sleep(Math.max(1, nextMs - nowMs))
      }
    }
  }

  async #placeAll(states: readonly FeedState[]): Promise<void> {
    const { client } = this.#options
    const names = [...new Set(states.map(({ feed }) => feed.partition.topic))]
    try {
      const { topics } = await client.metadata(names)
      const byName = new Map(topics.map((topic) => [topic.topic, topic]))
      for (const state of states) await this.#placeOne(state, byName.get(state.feed.partition.topic))
    } catch (error) {
      this.#interrupted(states, error)
    }
  }

  async #placeOne(state: FeedState, topic: TopicMetadata | undefined): Promise<void> {
    const { feed } = state
    const { partition } = feed
    const found = topic?.partitions.find((known) => known.partition === partition.partition)
    const errorCode = topic?.errorCode ?? CODE.unknownTopic
    if (errorCode !== 0 || topic === undefined || found === undefined) {
      const code = errorCode === 0 ? CODE.unknownTopic : errorCode
      state.missing += code === CODE.unknownTopic ? 1 : 0
      if (state.missing >= MISSING_TRIES) {
        feed.fail(topicNotFound(partition.topic, `topic ${partition.topic} has been deleted`))
      } else this.#interrupted([state], this.#fault(code, state))
      return
    }
    state.missing = 0
    const { topicId } = topic
    if (topicId !== feed.topicId && topicId !== NO_TOPIC_ID && feed.topicId !== NO_TOPIC_ID) {
      feed.fail(topicRecreated(partition.topic, feed.topicId, topicId))
    } else if (found.leader < 0) this.#interrupted([state], this.#fault(LEADER_NOT_AVAILABLE, state))
    else if (!state.mustCheck || (await this.#check(state))) this.#assign(state, found.leader)
  }

  /** What a broker called out of range: lost to retention, or never there. False where it is not known yet. */
  async #check(state: FeedState): Promise<boolean> {
    const { client, world } = this.#options
    const { feed } = state
    try {
      feed.moveTo(await checkOffset(client, feed.partition, feed.fetchOffset, world))
      state.mustCheck = false
      return true
    } catch (error) {
      this.#interrupted([state], error)
      return false
    }
  }

  #assign(state: FeedState, node: number): void {
    state.node = node
    const loop = this.#loops.get(node)
    if (loop !== undefined) return loop.bell.ring()
    const bell = new Bell(this.#options.world.clock)
    // Not before it is in the map: the loop takes itself out.
    const done = Promise.resolve().then(() => this.#fetch(node, bell))
    this.#loops.set(node, { bell, done })
  }

  /** One request after the other to one broker, as long as it leads something. */
  async #fetch(node: number, bell: Bell): Promise<void> {
    while (!this.#isClosed) {
      const mine = [...this.#feeds.values()].filter((state) => state.node === node)
      if (mine.length === 0) break
      const open = mine.filter(({ feed }) => feed.bufferedBytes < this.#roomBytes).sort(byTurn)
      if (open.length === 0) await bell.sleep(IDLE_MS)
      else await this.#fetchOnce(node, open, open.length < mine.length)
    }
    this.#loops.delete(node)
  }

  async #fetchOnce(node: number, states: readonly FeedState[], someAreFull: boolean): Promise<void> {
    const { client, limits, isolation } = this.#options
    const asked = new Map(
      states.map((state) => [state.feed.partition.id, { state, version: state.feed.version }]),
    )
    const maxWaitMs = someAreFull ? Math.min(FULL_WAIT_MS, limits.maxWaitMs) : limits.maxWaitMs
    try {
      const version = await client.maxVersion(node, FETCH_API_KEY, 'fetch')
      const request = fetchRequest(
        states.map(({ feed }) => ({
          topic: feed.partition.topic,
          partition: feed.partition.partition,
          topicId: feed.topicId,
          offset: feed.fetchOffset,
        })),
        {
          maxWaitMs,
          answerWithinMs: client.options.requestTimeoutMs,
          minBytes: limits.minBytes,
          maxBytes: limits.answerBytes,
          partitionBytes: limits.partitionBytes,
        },
        isolation,
        client.options.rack,
        version,
      )
      const answer = await client.send(node, request, { what: `read from broker ${node}` }, 'fetch')
      if (answer.errorCode !== 0) throw protocolFault(answer.errorCode, { what: `read from broker ${node}` })
      const shared = this.#share(answer.memory)
      // While answers wait for their slowest partition, the parts of new ones are copied: memory has a limit.
      const views = this.#sharedBytes <= limits.bufferBytes * 2 ? shared : null
      for (const fetched of answer.partitions) {
        const { state, version: wanted } = asked.get(`${fetched.topic}-${fetched.partition}`) ?? {}
        // Closed, failed or moved meanwhile: the answer is about something else.
        if (state === undefined || state.feed.isOver || state.feed.version !== wanted) continue
        this.#accept(state, fetched, views)
      }
      shared.release()
    } catch (error) {
      this.#interrupted(states, error)
    }
  }

  #share(memory: ArrayBufferLike): SharedAnswer {
    const bytes = memory.byteLength
    this.#sharedBytes += bytes
    return new SharedAnswer(() => {
      this.#sharedBytes -= bytes
      this.#options.client.recycle(memory)
    })
  }

  #accept(state: FeedState, fetched: FetchedPartition, answer: SharedAnswer | null): void {
    const { errorCode, preferredReplica, records } = fetched
    if (errorCode === CODE.offsetOutOfRange) {
      // A replica may be behind its leader; the leader's own word is checked.
      state.mustCheck = true
      return this.#interrupted([state], this.#fault(errorCode, state, true))
    }
    if (errorCode !== 0) return this.#interrupted([state], this.#fault(errorCode, state))
    const { clock, log } = this.#options.world
    if (state.warnedMs !== null) log.info({ partition: state.feed.partition.id }, 'reading goes on')
    state.warnedMs = null
    state.answeredMs = clock.nowMs()
    state.failures = 0
    state.feed.accept(fetched, answer)
    if (records !== null && records.length > 0) state.turn = ++this.#turns
    if (preferredReplica >= 0 && preferredReplica !== state.node) this.#assign(state, preferredReplica)
  }

  /** Final errors are the reader's; the others are tried again, after a while and with fresh metadata. */
  #interrupted(states: readonly FeedState[], error: unknown): void {
    if (this.#isClosed) return
    const { clock, log } = this.#options.world
    if (!(error instanceof PipelineError)) {
      const fault = new PipelineError('KAFKA_FAILED', `cannot read: ${messageOf(error)}`, { cause: error })
      return this.#interrupted(states, fault)
    }
    if (!error.retryable) {
      for (const { feed } of states) feed.fail(error)
      return
    }
    for (const state of states) {
      state.node = null
      state.failures++
      state.retryAtMs = this.#retryAt(state)
    }
    this.#bell.ring()
    const nowMs = clock.nowMs()
    const news = states.filter((state) => isNews(state, nowMs))
    for (const state of news) state.warnedMs = nowMs
    const told = news.length > 0 ? news : states
    const partitions = told.map(({ feed }) => feed.partition.id)
    const attempt = Math.max(...told.map(({ failures }) => failures))
    log[news.length > 0 ? 'warn' : 'debug'](
      { partitions, attempt, error: error.message },
      'reading is interrupted, trying again',
    )
  }

  #retryAt({ failures }: FeedState): number {
    const { clock, entropy } = this.#options.world
    if (failures === 0) return clock.nowMs()
    const limitMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures, 10))
    return clock.nowMs() + limitMs * (0.5 + entropy.random() / 2)
  }

  get #roomBytes(): number {
    const { partitionBytes, bufferBytes } = this.#options.limits
    const share = bufferBytes / Math.max(1, this.#feeds.size)
    return Math.min(partitionBytes * FETCHES_AHEAD, Math.max(partitionBytes, share))
  }

  #fault(code: number, { feed }: FeedState, isRetryable = isRetryableCode(code)): PipelineError {
    const { id, topic } = feed.partition
    const fault = protocolFault(code, { what: `read ${id}`, topic })
    return fault.retryable === isRetryable
      ? fault
      : new PipelineError(fault.code, fault.message, { retryable: isRetryable })
  }
}

const LEADER_NOT_AVAILABLE = 5
const RETRY_MS_MIN = 25
const RETRY_MS_MAX = 2_000
const WARN_AFTER = 4
/** A broker that hangs fails seldom. */
const WARN_AFTER_MS = 15_000
const WARN_EVERY_MS = 30_000

function isNews({ failures, answeredMs, warnedMs }: FeedState, nowMs: number): boolean {
  const isLasting = failures >= WARN_AFTER || nowMs - answeredMs >= WARN_AFTER_MS
  return isLasting && (warnedMs === null || nowMs - warnedMs >= WARN_EVERY_MS)
}

/** Those that got something last go last: an answer is full before all partitions have a part in it. */
function byTurn(a: FeedState, b: FeedState): number {
  return a.turn - b.turn
}
