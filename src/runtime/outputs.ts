import { deadLetterMessages as lettersOf } from '../engine/dead-letter-messages.ts'
import type { MergeTask } from '../engine/merge-task.ts'
import type { MessageIdentity } from '../engine/message-identity.ts'
import type { TableRows } from '../engine/partition-task.ts'
import { resultMessages as resultsOf } from '../engine/result-messages.ts'
import { encodeOutboxLines } from '../checkpoint/outbox-lines.ts'
import type { StagedName } from '../checkpoint/keys.ts'
import { OUTBOX } from '../checkpoint/record.ts'
import type { OutboxMessage } from '../ports.ts'
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

/** The tables that the merge task writes to. */
export function mergeTables({ plan }: Pick<TaskContext, 'plan'>): readonly string[] {
  return plan.gold.map((table) => table.shape.path)
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

/** The results that the merge has fired at its last cut, as messages of the topics that the program names. */
export function resultMessages(
  context: TaskContext,
  task: string,
  epoch: number,
  merge: MergeTask,
): EpochMessages {
  const { topics, plan } = context
  if (topics === null) return NOTHING
  const identity = identityOf(context, task, epoch)
  const { messageBytesMax } = topics.outbox
  const messages: OutboxMessage[] = []
  for (const [index, { node, result }] of plan.topics.entries()) {
    const batch = merge.rowsOf(result)
    const encoder = topics.encoders[index]!
    const options = { topic: node.name, encoder, identity, firstIndex: messages.length, messageBytesMax }
    for (const message of resultsOf(batch, batch.length, options)) messages.push(message)
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
