import {
  changedTables,
  claimHolds,
  decideClaim,
  decideRedo,
  redoFrom,
  saysMessagesPublished,
} from '../checkpoint/decide.ts'
import { assertRetained, retainedEpochs } from '../checkpoint/retention.ts'
import type { ChainRecord, DataRecord, PartitionWork } from '../checkpoint/record.ts'
import { OUTBOX, RECORD_VERSION } from '../checkpoint/record.ts'
import { PipelineError } from '../errors.ts'
import type { Outbox } from '../ports.ts'
import type { Chain } from './chain.ts'
import { claimOutbox } from './outbox-publisher.ts'
import { sinkNames } from './outputs.ts'
import { type Ownership, OwnershipLost } from './ownership.ts'
import type { TaskContext } from './task-context.ts'

/** The newest part of a chain: back to the newest data record and every epoch that may not be published. */
export interface ChainTail {
  readonly epochs: readonly number[]
  /** Ascending. */
  readonly records: readonly ChainRecord[]
  readonly last: DataRecord | null
}

/** Lists a chain and reads its tail. `sinks` are tables, and OUTBOX where there is one. */
export async function readTail(chain: Chain, sinks: readonly string[]): Promise<ChainTail> {
  for (;;) {
    const epochs = retainedEpochs(await chain.list())
    const tail = await readListedTail(chain, epochs, sinks)
    if (tail.kind === 'tail') return tail
    // Its owner has come far beyond, and has deleted it. Where nobody has, something else deletes records.
    const head = (await chain.list()).at(-1) ?? -1
    if (head <= epochs.at(-1)!) await chain.readListed(tail.epoch)
  }
}

/** 'gone' names a record that was listed and cannot be read. */
async function readListedTail(
  chain: Chain,
  epochs: readonly number[],
  sinks: readonly string[],
): Promise<({ readonly kind: 'tail' } & ChainTail) | { readonly kind: 'gone'; readonly epoch: number }> {
  const records: ChainRecord[] = []
  let last: DataRecord | null = null
  let from = -1
  for (let i = epochs.length - 1; i >= 0 && (last === null || epochs[i]! >= from); i--) {
    const epoch = epochs[i]!
    const record = await chain.read(epoch)
    if (record === null) return { kind: 'gone', epoch }
    records.unshift(record)
    if (last === null && record.kind === 'data') {
      last = record
      // Also what an earlier run wrote to, and this one does not.
      from = redoFrom(record, [...sinks, ...Object.keys(record.published)])
    }
  }
  return { kind: 'tail', epochs, records, last }
}

/** What a task writes to. */
export interface TaskSinks {
  readonly tables: readonly string[]
  readonly outbox: Outbox | null
}

/**
 * Takes a task over: claims its chain, fences its outbox, then restores from a list that ends in the claim. Throws OwnershipLost where
 * somebody claims after us, and INCARNATION_SEALED where the chain has ended.
 */
export async function takeOver(context: TaskContext, chain: Chain, sinks: TaskSinks): Promise<Ownership> {
  const { rules, entropy } = context
  const { tables } = sinks
  const nonce = entropy.nonce()
  const claim = rules.claimBeforeWork ? await putClaim(context, chain, nonce) : await headOf(chain)
  const outbox = await claimOutbox(context, sinks.outbox, chain.task)
  try {
    const tail = await readTail(chain, sinkNames(tables, sinks.outbox))
    if (rules.claimBeforeWork && rules.claimIsHead && !claimHolds(tail.epochs, claim)) {
      throw new OwnershipLost(chain.task)
    }
    if (sinks.outbox === null) refuseUnsent(chain.task, tail)
    await refuseLostRecords(context, chain.task, tail, tables)
    refuseChainBehindTables(context, chain.task, tail, tables)
    // Only where the rule is taken out: what a later owner wrote is not restored.
    const records = tail.records.filter((record) => record.epoch <= claim)
    const data = records.filter((record) => record.kind === 'data')
    await Promise.all([redo(context, chain.task, records, tables), outbox?.redo(context, data)])
    const last = data.at(-1) ?? null
    if (last !== null && tail.epochs[0]! > 0) await markAdded(context, last, tables)
    context.log.debug({ task: chain.task, claim, restoredFrom: last?.epoch ?? null }, 'took over')
    return { claim, nonce, last, recordsRead: records, outbox }
  } catch (error) {
    await outbox?.close()
    throw error
  }
}

/**
 * Publishes what the chain of a partition promises to these sinks after its seal, when nobody adds to it. What it promises to other tables is left
 * out: the next incarnation builds them anew. Returns the chain's newest work; null for a chain without any, or of another kind of task.
 */
export async function settleSealed(
  context: TaskContext,
  chain: Chain,
  sinks: TaskSinks,
): Promise<(DataRecord & { readonly work: PartitionWork }) | null> {
  const { tables } = sinks
  const tail = await readTail(chain, sinkNames(tables, sinks.outbox))
  const { last } = tail
  if (last?.work.type !== 'partition') return null
  if (sinks.outbox === null) refuseUnsent(chain.task, tail)
  await refuseLostRecords(context, chain.task, tail, tables)
  refuseChainBehindTables(context, chain.task, tail, tables)
  const data = tail.records.filter((record) => record.kind === 'data')
  const outbox = saysMessagesPublished(data) ? null : await claimOutbox(context, sinks.outbox, chain.task)
  try {
    const appId = context.keys.appId(chain.task)
    for (const path of tables) {
      const publisher = context.publishers.get(path)!
      for (const record of data) {
        const files = record.files[path] ?? []
        const isThere = files.length === 0 || publisher.markerOf(appId) >= record.epoch
        if (!isThere) await publisher.publish({ appId, epoch: record.epoch, files })
      }
    }
    await outbox?.redo(context, data)
  } finally {
    await outbox?.close()
  }
  return { ...last, work: last.work }
}

/** Messages that only a run with their outbox can send: without it they would never be, and nobody would know. */
function refuseUnsent(task: string, { records, last }: ChainTail): void {
  if (saysMessagesPublished(records)) return
  const said = last?.published[OUTBOX] ?? -1
  const unsent = records.filter((record) => record.kind === 'data').filter(({ epoch }) => epoch > said)
  const topics = [...new Set(unsent.flatMap(({ outbox }) => outbox?.topics ?? []))].join(', ')
  throw new PipelineError(
    'OUTBOX_UNBOUND',
    `epoch ${unsent[0]!.epoch} of ${task} has messages for ${topics}, which may not be sent yet, and this run does not write there`,
    {
      advice: `Write to ${topics} again. When epochs without messages have followed, a later start may do without.`,
    },
  )
}

/** A chain loses its beginning only when every table is marked above it: looked at anew, for another process may have marked them. */
async function refuseLostRecords(
  context: TaskContext,
  task: string,
  tail: ChainTail,
  tables: readonly string[],
): Promise<void> {
  const first = tail.epochs[0] ?? 0
  if (first === 0) return
  const appId = context.keys.appId(task)
  // A table that the last run did not write to has no mark of it.
  const marked = tables.filter((path) => tail.last === null || path in tail.last.published)
  const publishers = marked.map((path) => [path, context.publishers.get(path)!] as const)
  const behind = publishers.filter(([, publisher]) => publisher.markerOf(appId) < first)
  await Promise.all(behind.map(([, publisher]) => publisher.look()))
  const markers = new Map(publishers.map(([path, publisher]) => [path, publisher.markerOf(appId)]))
  assertRetained(task, tail.epochs, markers)
}

/**
 * An epoch is in a table only when its record is in the chain. Where it is not, somebody has deleted records, or brought back an
 * older copy of them: the table would take what we publish for what it has already, or get rows twice.
 */
function refuseChainBehindTables(
  context: TaskContext,
  task: string,
  tail: ChainTail,
  tables: readonly string[],
): void {
  const last = tail.last?.epoch ?? -1
  for (const path of tables) {
    const marker = context.publishers.get(path)!.markerOf(context.keys.appId(task))
    if (marker <= last) continue
    throw new PipelineError(
      'CHAIN_BEHIND',
      `table ${path} has epoch ${marker} of ${task}, but the last record of its chain is ${last < 0 ? 'missing' : last}`,
      {
        advice:
          'Objects below _millrace/ were deleted, or are an older copy. Restore them, or begin again with --fresh or in another lake.',
      },
    )
  }
}

/** A table that the program has got since: the chain has lost its beginning already, and from the next record on the table must say that this is right. */
async function markAdded(
  context: TaskContext,
  { task, epoch, published }: DataRecord,
  tables: readonly string[],
) {
  const appId = context.keys.appId(task)
  const added = tables.filter((path) => !(path in published))
  await Promise.all(added.map((path) => context.publishers.get(path)!.raise([{ appId, epoch }])))
}

async function headOf(chain: Chain): Promise<number> {
  return (await chain.list()).at(-1) ?? -1
}

async function putClaim(context: TaskContext, chain: Chain, nonce: string): Promise<number> {
  let decision = decideClaim(await chain.readHead())
  for (;;) {
    if (decision.kind === 'sealed') throw sealed(context)
    const { epoch } = decision
    const { pipeline, incarnation, run, clock, entropy } = context
    const outcome = await chain.put({
      version: RECORD_VERSION,
      kind: 'claim',
      pipeline,
      incarnation,
      task: chain.task,
      epoch,
      // Fresh for each number: an earlier try may still arrive.
      nonce: `${nonce}${entropy.nonce()}`,
      run,
      writtenMs: clock.nowMs(),
      owner: context.owner,
    })
    if (outcome === 'won') return epoch
    decision = decideClaim((await chain.read(epoch)) ?? (await chain.readHead()))
  }
}

/** Publishes what the records promise and the tables lack. */
async function redo(
  context: TaskContext,
  task: string,
  records: readonly ChainRecord[],
  tables: readonly string[],
): Promise<void> {
  const { keys, publishers, formerPublishers, rules } = context
  const appId = keys.appId(task)
  const first = tables[0]!
  const markers = new Map(
    tables.map((path) => [path, publishers.get(rules.markerPerTable ? path : first)!.markerOf(appId)]),
  )
  for (const [path, publisher] of formerPublishers) markers.set(path, publisher.markerOf(appId))
  // Of a table that the program no longer has nothing may be pending.
  const named = records.flatMap((record) => (record.kind === 'data' ? changedTables(record) : []))
  for (const path of new Set(named)) {
    if (!markers.has(path)) markers.set(path, await context.markerElsewhere(path, appId))
  }
  let pending = [...decideRedo(records, markers)]
  if (!rules.redoAll) pending = pending.slice(-1)
  if (!rules.redoAscending) pending.reverse()
  for (const record of pending) await publishRecord(context, record, markers)
}

async function publishRecord(
  context: TaskContext,
  record: DataRecord,
  markers: ReadonlyMap<string, number>,
): Promise<void> {
  const appId = context.keys.appId(record.task)
  const { rules, publishers, formerPublishers } = context
  const publications = changedTables(record).map((path) => {
    const isThere = (markers.get(path) ?? -1) >= record.epoch
    if (!rules.markerPerTable && isThere) return Promise.resolve()
    const publisher = publishers.get(path) ?? formerPublishers.get(path)
    if (publisher === undefined && isThere) return Promise.resolve()
    if (publisher === undefined) throw unknownTable(record, path)
    const files = record.files[path] ?? []
    const remove = rules.redoRemoves ? (record.removes?.[path] ?? []) : []
    return publisher.publish({ appId, epoch: record.epoch, files, remove })
  })
  await Promise.all(publications)
}

/** A program without the table has come before everything of it was published. */
function unknownTable({ epoch, task }: DataRecord, path: string): PipelineError {
  return new PipelineError(
    'TABLE_REMOVED',
    `epoch ${epoch} of ${task} has rows for table ${path} that are not published yet, and this program does not have the table`,
    {
      advice: 'Run the program as it was once more and stop it: it publishes them. Then run this one.',
    },
  )
}

function sealed(context: TaskContext): PipelineError {
  return new PipelineError(
    'INCARNATION_SEALED',
    `incarnation ${context.incarnation} of ${context.pipeline} has been sealed by a start with --fresh or --backfill`,
    {
      advice:
        'If no other process runs it, that start was interrupted: start again with --fresh, or with --backfill where that was asked for.',
    },
  )
}
