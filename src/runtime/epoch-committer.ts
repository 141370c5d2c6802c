import { type DataRecord, OUTBOX, type OutboxRef, RECORD_VERSION } from '../checkpoint/record.ts'
import { encodeOutboxLines } from '../checkpoint/outbox-lines.ts'
import { saysMessagesPublished } from '../checkpoint/decide.ts'
import { assert } from '../errors.ts'
import type { GroupOffset, RemovedFile } from '../ports.ts'
import type { Chain } from './chain.ts'
import { type Ownership, OwnershipLost } from './ownership.ts'
import { type EpochMessages, sinkNames } from './outputs.ts'
import type { OutboxPublication, OutboxPublisher } from './outbox-publisher.ts'
import { stageLines } from './staged-lines.ts'
import { filesByTable, type NamedFiles, stageFiles, type TaskContext } from './task-context.ts'

/** What a task gives for one epoch once it is cut and encoded. */
export interface EpochWork {
  readonly epoch: number
  readonly cutMs: number
  readonly tables: readonly NamedFiles[]
  /** By table path: files of earlier epochs that this one replaces. Absent: none. */
  readonly removes?: Readonly<Record<string, readonly RemovedFile[]>>
  readonly outbox: EpochMessages
  /** What the users' group is to show when the epoch is published. */
  readonly groupOffset: GroupOffset | null
  /** Stages state and partials, and says what the record is to name. */
  readonly stage: () => Promise<DataRecord['work']>
  /** Called when the record is known to be put. */
  readonly recorded: () => void
}

export interface CommitterHooks {
  /** An epoch could not be published: the task must end, also where nothing more comes. */
  failed(error: unknown): void
  /** Everything up to this epoch is in every sink. */
  published?(epoch: number, groupOffset: GroupOffset | null): void
}

/** Epochs that are recorded but not in every table: beyond, the task waits. */
const UNPUBLISHED_EPOCHS_MAX = 16

/**
 * Stages, records and publishes the epochs of one task. Staging may run ahead; records are put one after the other, each only
 * when the outcome of the one before is known; publishing follows in the same order.
 */
export class EpochCommitter {
  readonly #context: TaskContext
  readonly #chain: Chain
  readonly #ownership: Ownership
  readonly #tables: readonly string[]
  readonly #hooks: CommitterHooks
  readonly #published: Map<string, number>
  #recorded: Promise<void> = Promise.resolve()
  #unpublished: Promise<void>[] = []
  #publishFailure: { readonly error: unknown } | null = null
  #records = 0
  /** Of the newest epoch with messages that the chain may not say to be published. */
  #messagesEpoch = -1
  /** Up to here the newest record says that messages are published. */
  #saidEpoch = -1

  /** `tables` are all tables that the task may write to. Everything up to the last record is published. */
  constructor(
    context: TaskContext,
    chain: Chain,
    ownership: Ownership,
    tables: readonly string[],
    hooks: CommitterHooks,
  ) {
    this.#context = context
    this.#chain = chain
    this.#ownership = ownership
    this.#tables = tables
    this.#hooks = hooks
    if (ownership.outbox !== null && !saysMessagesPublished(ownership.recordsRead))
      this.#messagesEpoch = ownership.last!.epoch
    const epoch = ownership.last?.epoch ?? -1
    this.#published = new Map(sinkNames(tables, ownership.outbox).map((path) => [path, epoch]))
  }

  /** False where a later start would have to ask the outbox whether the last messages are published. */
  get saysMessagesPublished(): boolean {
    return this.#messagesEpoch <= this.#saidEpoch
  }

  /** Records put by this run. */
  get records(): number {
    return this.#records
  }

  /**
   * Starts an epoch's way. Resolves when its record is put and there is room for another; rejects with OwnershipLost
   * where somebody else has taken over, and with the error of an earlier epoch's publication: more records would only make the
   * redo longer.
   */
  async commit(work: EpochWork): Promise<void> {
    if (this.#publishFailure !== null) throw this.#publishFailure.error
    const { rules } = this.#context
    const staged = Promise.all([
      stageFiles(this.#context, work.tables, work.outbox.objects),
      work.stage(),
      this.#stageOutbox(work),
    ])
    if (!rules.publishAfterRecord) this.#publish(work)
    if (!rules.mergeAfterRecord) work.recorded()
    const previous = rules.recordsInOrder ? this.#recorded : Promise.resolve()
    this.#recorded = this.#recordAfter(previous, staged, work)
    this.#recorded.catch(() => {})
    await this.#recorded
    if (this.#unpublished.length > UNPUBLISHED_EPOCHS_MAX) await this.#unpublished.shift()
  }

  /** Resolves when everything recorded is in every table. */
  async drain(): Promise<void> {
    await this.#recorded
    await Promise.all(this.#unpublished)
    this.#unpublished = []
  }

  /** Both are waited for, also where one fails: when the chain of records has come to its end, no upload is on its way. */
  async #recordAfter(
    previous: Promise<void>,
    staged: Promise<readonly [void, DataRecord['work'], OutboxRef | null]>,
    work: EpochWork,
  ): Promise<void> {
    const [before, uploads] = await Promise.allSettled([previous, staged])
    if (before.status === 'rejected') throw before.reason
    if (uploads.status === 'rejected') throw uploads.reason
    await this.#record(work, uploads.value[1], uploads.value[2])
  }

  /** Resolves when nothing is on its way any more, whatever came of it. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.#recorded])
    await Promise.allSettled(this.#unpublished)
  }

  async #stageOutbox({ epoch, outbox: { messages } }: EpochWork): Promise<OutboxRef | null> {
    if (messages.length === 0) return null
    const { claim, nonce } = this.#ownership
    const body = encodeOutboxLines(messages)
    const key = await stageLines(this.#context, this.#chain.task, { epoch, claim, nonce }, 'outbox', body)
    return { key, messages: messages.length, topics: [...new Set(messages.map(({ topic }) => topic))] }
  }

  async #record(work: EpochWork, recordWork: DataRecord['work'], outbox: OutboxRef | null): Promise<void> {
    const { pipeline, incarnation, run, owner, entropy, clock, rules, log } = this.#context
    const { task } = this.#chain
    const published = Object.fromEntries(this.#published)
    const said = published[OUTBOX] ?? -1
    const { removes = {} } = work
    const outcome = await this.#chain.put({
      version: RECORD_VERSION,
      kind: 'data',
      pipeline,
      incarnation,
      task,
      epoch: work.epoch,
      nonce: entropy.nonce(),
      run,
      writtenMs: clock.nowMs(),
      owner,
      claim: this.#ownership.claim,
      files: filesByTable(work.tables),
      ...(Object.keys(removes).length === 0 ? {} : { removes }),
      published,
      work: recordWork,
      ...(this.#ownership.outbox === null ? {} : { outbox, outboxMarker: this.#ownership.outbox.marker }),
    })
    if (outcome === 'lost') throw new OwnershipLost(task)
    this.#records++
    if (outbox !== null) this.#messagesEpoch = work.epoch
    this.#saidEpoch = said
    const correlation = `${run}/${task}/${work.epoch}`
    log.debug({ task, epoch: work.epoch, correlation }, 'recorded an epoch')
    if (rules.publishAfterRecord) this.#publish(work)
    if (rules.mergeAfterRecord) work.recorded()
  }

  /**
   * A table without rows in this epoch is in the queue too: it keeps the order, and the marker's meaning. Nothing here may hold on to `work`: of an
   * epoch that waits to be published the bytes of its files are in the store, and not in memory too.
   */
  #publish(work: EpochWork): void {
    const { epoch, groupOffset, removes = {} } = work
    const publications = this.#publishFiles(epoch, filesByTable(work.tables), removes)
    if (this.#ownership.outbox !== null)
      publications.push(this.#publishMessages(this.#ownership.outbox, messagesOf(work)))
    // Shown also where a transaction holds the offset: it may be of another cluster, and what was shown before may arrive behind it.
    this.#unpublished.push(this.#awaitPublished(epoch, groupOffset, publications))
  }

  #publishFiles(
    epoch: number,
    files: DataRecord['files'],
    removes: NonNullable<DataRecord['removes']>,
  ): Promise<void>[] {
    const { keys, publishers } = this.#context
    const appId = keys.appId(this.#chain.task)
    return this.#tables.map(async (path) => {
      const publisher = publishers.get(path)
      assert(publisher !== undefined, `table ${path} has no publisher`)
      await publisher.publish({ appId, epoch, files: files[path] ?? [], remove: removes[path] ?? [] })
      this.#published.set(path, epoch)
    })
  }

  async #publishMessages(outbox: OutboxPublisher, publication: OutboxPublication): Promise<void> {
    await outbox.publish(publication)
    this.#published.set(OUTBOX, publication.epoch)
  }

  #awaitPublished(
    epoch: number,
    groupOffset: GroupOffset | null,
    publications: readonly Promise<void>[],
  ): Promise<void> {
    const all = Promise.all(publications).then(() => this.#hooks.published?.(epoch, groupOffset))
    all.catch((error: unknown) => {
      this.#publishFailure ??= { error }
      this.#hooks.failed(error)
    })
    return all
  }
}

function messagesOf({ epoch, outbox: { messages }, groupOffset }: EpochWork): OutboxPublication {
  return { epoch, messages, groupOffset }
}
