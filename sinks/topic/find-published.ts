import { decodeUtf8 } from '../../src/columns/utf8.ts'
import { PipelineError } from '../../src/errors.ts'
import {
  EARLIEST,
  type KafkaClient,
  LATEST,
  protocolErrorName,
  protocolFault,
  type TopicMetadata,
} from '../../src/kafka/client.ts'
import { type Header, IDENTITY_HEADERS, type SourceWorld } from '../../src/ports.ts'
import { type ScanContext, scanRange } from './scan-range.ts'
import { Tries } from './tries.ts'

export interface FindPublishedOptions {
  readonly client: KafkaClient
  readonly world: SourceWorld
  readonly pipeline: string
  readonly task: string
  readonly life: string
  readonly epochs: readonly number[]
  readonly topics: readonly string[]
}

/** Offsets of one piece: the newest come first, and pieces get larger, because what is looked for is mostly near the end. */
const PIECE_OFFSETS_MIN = 2_000
const PIECE_OFFSETS_MAX = 200_000
/** How long the transactions of others are waited for, before the caller is told to come back. */
const STABLE_LIMIT_MS = 60_000

/**
 * Which of the epochs are in the topics, by the headers of their messages. Reads each partition from its end to its beginning, a piece at a time;
 * it stops where all are found, and in each partition at an older epoch of the task, because epochs are published in ascending order. What
 * retention or compaction has deleted is not found.
 */
export async function findPublished(options: FindPublishedOptions): Promise<ReadonlySet<number>> {
  const { client, epochs, topics } = options
  const found = new Set<number>()
  const { topics: described } = await client.metadata(topics)
  const wanted: Wanted = { ...options, epochs: new Set(epochs), oldest: Math.min(...epochs), found }
  for (const topic of described) {
    // A topic that cannot be looked at must never count as one without messages.
    if (topic.errorCode !== 0) throw unseen(topic)
    for (const [partition, { from, end }] of await rangesOf(topic, options)) {
      await searchPartition(topic, partition, from, end, wanted)
      if (found.size === wanted.epochs.size) return found
    }
  }
  return found
}

function unseen({ topic, errorCode }: TopicMetadata): PipelineError {
  if (protocolErrorName(errorCode) !== 'UNKNOWN_TOPIC_OR_PARTITION') {
    return protocolFault(errorCode, { what: `look for published messages in ${topic}`, topic })
  }
  return new PipelineError('TOPIC_NOT_FOUND', `the topic ${topic}, which messages are waiting for, is gone`, {
    advice: 'Create it again and start again: what is not in it is sent.',
  })
}

interface Wanted {
  readonly client: KafkaClient
  readonly pipeline: string
  readonly task: string
  readonly life: string
  readonly epochs: ReadonlySet<number>
  readonly oldest: number
  readonly found: Set<number>
}

/**
 * What is in the partitions of a topic now, [from, end). Readers with 'read_committed' see no further than the first transaction that is open,
 * whoever has it, so it waits until all that were open at the beginning have ended: else what is there could not be seen.
 */
async function rangesOf(
  { topic, partitions }: TopicMetadata,
  { client, world }: FindPublishedOptions,
): Promise<ReadonlyMap<number, { readonly from: number; readonly end: number }>> {
  const at = (timestampMs: number) => partitions.map(({ partition }) => ({ topic, partition, timestampMs }))
  const ends = await client.listOffsets(at(LATEST))
  const starts = await client.listOffsets(at(EARLIEST))
  const tries = new Tries(world, STABLE_LIMIT_MS)
  for (;;) {
    const stable = await client.listOffsets(at(LATEST), 'read_committed')
    const open = ends.filter(({ partition, offset }) => offsetOf(stable, partition) < offset)
    if (open.length === 0) break
    if (await tries.more()) continue
    const names = open.map(({ partition }) => `${topic}-${partition}`).join(', ')
    throw new PipelineError('OUTBOX_UNSTABLE', `transactions of others are open in ${names}`, {
      retryable: true,
      advice:
        'They end when their owners commit them, or time out (transaction.timeout.ms of those producers).',
    })
  }
  return new Map(
    ends.map(({ partition, offset }) => [partition, { from: offsetOf(starts, partition), end: offset }]),
  )
}

function offsetOf(
  listed: readonly { readonly partition: number; readonly offset: number }[],
  partition: number,
): number {
  return listed.find((one) => one.partition === partition)?.offset ?? -1
}

async function searchPartition(
  { topic, topicId }: TopicMetadata,
  partition: number,
  from: number,
  end: number,
  wanted: Wanted,
): Promise<void> {
  const context: ScanContext = { client: wanted.client, topic, topicId, partition }
  let isOlder = false
  const look = (headers: readonly Header[]): void => {
    const epoch = epochOf(headers, wanted)
    if (epoch === null) return
    if (wanted.epochs.has(epoch)) wanted.found.add(epoch)
    if (epoch < wanted.oldest) isOlder = true
  }
  let pieceOffsets = PIECE_OFFSETS_MIN
  for (let to = end; to > from; ) {
    const start = Math.max(from, to - pieceOffsets)
    await scanRange(context, start, to, look)
    if (isOlder || wanted.found.size === wanted.epochs.size) return
    to = start
    pieceOffsets = Math.min(pieceOffsets * 4, PIECE_OFFSETS_MAX)
  }
}

/** Null where the message is somebody else's. */
function epochOf(headers: readonly Header[], { pipeline, task, life }: Wanted): number | null {
  if (lastText(headers, IDENTITY_HEADERS.life) !== life) return null
  if (lastText(headers, IDENTITY_HEADERS.task) !== task) return null
  if (lastText(headers, IDENTITY_HEADERS.pipeline) !== pipeline) return null
  const epoch = Number(lastText(headers, IDENTITY_HEADERS.epoch) ?? Number.NaN)
  return Number.isSafeInteger(epoch) ? epoch : null
}

/** The last counts: a dead letter of a dead letter has those of both. */
function lastText(headers: readonly Header[], key: string): string | null {
  const header = headers.findLast((one) => one.key === key)
  return header?.value ? decodeUtf8(header.value) : null
}
