import { parsePosition } from '../../consumers/kafka/position.ts'
import { historyOffset } from '../checkpoint/history-position.ts'
import { parseMergeTask } from '../checkpoint/keys.ts'
import { holdsWatermark, UNHEARD } from '../engine/source-progress.ts'
import type { KafkaClient } from '../kafka/client.ts'
import type { ObjectStore } from '../ports.ts'
import type { Retry } from '../runtime/retry.ts'
import type { AggregateNode } from '../topology/node.ts'
import { pipelineChains, type TaskProgress, taskProgress } from './chain-facts.ts'
import { openWindows } from './open-windows.ts'
import { TopicEnds } from './topic-ends.ts'
import {
  heldBackBy,
  type MergeHold,
  type SourceFacts,
  type SourceHold,
  sourceHold,
  stateOf,
  type WindowsReport,
} from './windows-report.ts'

export interface WindowsSources {
  readonly store: ObjectStore
  readonly pipeline: string
  /** Null where nobody can be asked what is still to be read. */
  readonly client: KafkaClient | null
  /** Of the program, where it is known. */
  readonly aggregates: readonly AggregateNode[]
  /** Of the windows that are asked for; null: the oldest that are open. */
  readonly endMs: number | null
  /** A task without an epoch for longer is called silent. */
  readonly silentAfterMs: number
  readonly retry: Retry
}

/** Records of a chain that are looked back at to find since when a watermark stands. */
const LOOK_BACK = 64
/** What is published is not asked for here. */
const NO_MARKERS = { table: async () => Infinity, outbox: async () => Infinity }

/**
 * Who holds the watermark of each merge task back. Looks from outside: nothing is claimed and nothing is changed.
 * @throws PipelineError PIPELINE_NOT_FOUND, and what store and brokers throw
 */
export async function measureWindows(sources: WindowsSources): Promise<WindowsReport> {
  const { store, pipeline, aggregates, endMs, retry } = sources
  const { keys, incarnation, tasks } = await pipelineChains(store, pipeline)
  const progresses = await Promise.all(
    tasks.map((task) => taskProgress(store, keys, task, NO_MARKERS, retry)),
  )
  const nowMs = retry.clock.nowMs()
  const unread = await unreadOf(progresses, sources.client)
  const facts = new Map<string, SourceFacts>()
  for (const progress of progresses) {
    const { task } = progress
    facts.set(task, {
      progress,
      sinceMs: await standsSince(progress),
      unread: unread.get(task) ?? null,
      isItsTurn: true,
    })
  }
  const merges = progresses
    .filter(({ isMerge }) => isMerge)
    .map((merge) => mergeHold(merge, facts, nowMs, sources.silentAfterMs))
  return {
    pipeline,
    incarnation: incarnation.incarnation,
    at: new Date(nowMs).toISOString(),
    merges,
    windows: merges.flatMap((merge) => openWindows(aggregates, merge, endMs)),
  }
}

function mergeHold(
  merge: TaskProgress,
  facts: ReadonlyMap<string, SourceFacts>,
  nowMs: number,
  silentAfterMs: number,
): MergeHold {
  const { recorded, task, owner } = merge
  const work = recorded?.work.type === 'merge' ? recorded.work : null
  const known = work?.state.sources ?? {}
  const watermarkMs = recorded?.work.state.watermarkMs ?? -Infinity
  // A merge that has recorded nothing waits for all of the stage below that there are.
  const below = stageOf(task) - 1
  const names =
    work === null ? [...facts.keys()].filter((name) => stageOf(name) === below) : Object.keys(known)
  const asFolded = new Map(Object.entries(known))
  const slowestMs = slowestOf(names.map((name) => facts.get(name)))
  const sources = names.map((name): SourceHold => {
    const folded = known[name] ?? UNHEARD
    const isItsTurn = holdsWatermark(asFolded, name, folded)
    const fact = { ...(facts.get(name) ?? unheard(name, merge)), isItsTurn }
    return sourceHold(fact, folded, slowestMs, nowMs, silentAfterMs)
  })
  const sorted = sources.toSorted((a, b) => compare(a.foldedWatermarkMs, b.foldedWatermarkMs))
  return {
    task,
    watermark: Number.isFinite(watermarkMs) ? new Date(watermarkMs).toISOString() : null,
    watermarkMs,
    owner,
    epochAgeMs: recorded === null ? null : Math.max(0, nowMs - recorded.writtenMs),
    heldBackBy: heldBackBy(sorted),
    sources: sorted,
  }
}

/** Partitions are below the merges of stage 0. */
function stageOf(task: string): number {
  return parseMergeTask(task)?.stage ?? -1
}

/** A partition without a chain. */
function unheard(task: string, { chain }: TaskProgress): SourceFacts {
  const progress = {
    task,
    chain,
    isMerge: false,
    recorded: null,
    published: null,
    unpublished: 0,
    owner: null,
  }
  return { progress, sinceMs: null, unread: null, isItsTurn: true }
}

function slowestOf(facts: readonly (SourceFacts | undefined)[]): number {
  const states = facts.map((fact) => stateOf(fact?.progress.recorded ?? null))
  return Math.min(
    ...states.filter(({ idle, ended }) => !idle && !ended).map(({ watermarkMs }) => watermarkMs),
  )
}

function compare(left: number, right: number): number {
  return left === right ? 0 : left < right ? -1 : 1
}

/** The time of the oldest record, of those that are kept and near, that has the watermark of the newest. */
async function standsSince({ chain, recorded }: TaskProgress): Promise<number | null> {
  if (recorded === null) return null
  const { watermarkMs } = stateOf(recorded)
  let sinceMs = recorded.writtenMs
  for (let epoch = recorded.epoch - 1; epoch >= 0 && epoch > recorded.epoch - LOOK_BACK; epoch--) {
    const record = await chain.read(epoch)
    if (record === null) break
    if (record.kind !== 'data') continue
    if (stateOf(record).watermarkMs !== watermarkMs) break
    sinceMs = record.writtenMs
  }
  return sinceMs
}

/** Records that the brokers have behind each task's position; tasks of what is not read from Kafka are left out. */
async function unreadOf(
  progresses: readonly TaskProgress[],
  client: KafkaClient | null,
): Promise<ReadonlyMap<string, number>> {
  const unread = new Map<string, number>()
  if (client === null) return unread
  const places = progresses.flatMap(({ task, recorded, isMerge }) => {
    const named = isMerge ? null : /^(.+)-(\d+)$/.exec(task)
    return named === null ? [] : [{ task, topic: named[1]!, partition: Number(named[2]), recorded }]
  })
  const ends = new TopicEnds(client)
  const known = await ends.topics([...new Set(places.map(({ topic }) => topic))])
  const asked = places.filter(({ topic }) => known.has(topic))
  const found = await ends.ends(asked)
  for (const [index, { task, recorded }] of asked.entries()) {
    const position = recorded?.work.type === 'partition' ? recorded.work.state.position : null
    const { firstOffset, endOffset } = found[index]!
    // In the history of a backfill everything that the topic has may be unread.
    const isNew = position === null || historyOffset(position) !== null
    const next = isNew ? firstOffset : parsePosition(position).offset
    unread.set(task, Math.max(0, endOffset - Math.max(next, firstOffset)))
  }
  return unread
}
