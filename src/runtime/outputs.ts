import { deadLetterMessages as lettersOf } from '../engine/dead-letter-messages.ts'
import type { MergeOutput } from '../engine/merge-task.ts'
import type { MessageIdentity } from '../engine/message-identity.ts'
import type { TableRows } from '../engine/partition-task.ts'
import type { Plan } from '../engine/plan.ts'
import { resultMessages as resultsOf } from '../engine/result-messages.ts'
import { encodeOutboxLines } from '../checkpoint/outbox-lines.ts'
import type { StagedName } from '../checkpoint/keys.ts'
import { OUTBOX } from '../checkpoint/record.ts'
import type { Outbox, OutboxMessage, TableShape } from '../ports.ts'
import { nameOf, type StagedObject, type TaskContext } from './task-context.ts'

/** What an epoch sends to outside topics. */
export interface EpochMessages {
  readonly messages: readonly OutboxMessage[]
  /** To be in the store before the record is: letters that are too large for the topic. */
  readonly objects: readonly StagedObject[]
}

const NOTHING: EpochMessages = { messages: [], objects: [] }

/** The tables that partition tasks write to. Dead letters that go to a topic have none. */
export function partitionTables({
  plan,
  deadLetters,
}: Pick<TaskContext, 'plan' | 'deadLetters'>): readonly string[] {
  const tables = [...plan.bronze, ...plan.silver].map((table) => table.shape.path)
  return deadLetters === null ? [...tables, plan.deadLetters.path] : tables
}

/** The tables that the merge tasks of a stage write to. */
export function mergeTables({ plan }: Pick<TaskContext, 'plan'>, stage: number): readonly string[] {
  return mergeShapes(plan, stage).map(({ path }) => path)
}

export function mergeShapes({ gold, results }: Plan, stage: number): readonly TableShape[] {
  return gold.filter(({ result }) => results[result]!.stage === stage).map(({ shape }) => shape)
}

/** Where the merge tasks of a stage send results; null where they send none. */
export function mergeOutbox(
  { plan, topics }: Pick<TaskContext, 'plan' | 'topics'>,
  stage: number,
): Outbox | null {
  const hasTopic = plan.topics.some(({ result }) => plan.results[result]!.stage === stage)
  return hasTopic ? (topics?.outbox ?? null) : null
}

/** All that a task writes to, as `published` in its records names it. `outbox` is null where it writes to no outside topic. */
export function sinkNames(tables: readonly string[], outbox: object | null): readonly string[] {
  return outbox === null ? tables : [...tables, OUTBOX]
}

/** An epoch's rows for tables. */
export function tablesOnly(context: TaskContext, tables: readonly TableRows[]): readonly TableRows[] {
  if (context.deadLetters === null) return tables
  return tables.filter(({ shape }) => shape !== context.plan.deadLetters)
}

/** An epoch's dead letters as messages, where they go to a topic. */
export function deadLetterMessages(
  context: TaskContext,
  task: string,
  name: StagedName,
  tables: readonly TableRows[],
  cutMs: number,
): EpochMessages {
  const { deadLetters, plan, keys, run } = context
  const rows = tables.find(({ shape }) => shape === plan.deadLetters)
  if (deadLetters === null || rows === undefined) return NOTHING
  const { messages, oversize } = lettersOf(rows.batch, rows.count, {
    topic: deadLetters.topic,
    identity: identityOf(context, task, name.epoch),
    run,
    timeMs: cutMs,
    firstIndex: 0,
    messageBytesMax: deadLetters.outbox.messageBytesMax,
    oversizeKey: (index) => keys.letter(task, nameOf(context, name), index),
  })
  const objects = oversize.map(({ key, message }) => ({ key, body: encodeOutboxLines([message]) }))
  return { messages, objects }
}

/** The results of a merge's epoch, as messages of the topics that the program names. */
export function resultMessages(
  context: TaskContext,
  task: string,
  epoch: number,
  results: MergeOutput['topics'],
): EpochMessages {
  const { topics, plan } = context
  if (topics === null) return NOTHING
  const identity = identityOf(context, task, epoch)
  const { messageBytesMax } = topics.outbox
  const messages: OutboxMessage[] = []
  for (const { topic, retracted, ...rows } of results) {
    const options = {
      topic: plan.topics[topic]!.node.name,
      encoder: topics.encoders[topic]!,
      identity,
      firstIndex: messages.length,
      messageBytesMax,
    }
    for (const message of resultsOf(rows, retracted, options)) messages.push(message)
  }
  return { messages, objects: [] }
}

function identityOf(
  { pipeline, incarnation, life }: TaskContext,
  task: string,
  epoch: number,
): MessageIdentity {
  return { pipeline, incarnation, life, task, epoch }
}
