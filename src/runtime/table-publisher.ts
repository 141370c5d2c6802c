import { assert, PipelineError } from '../errors.ts'
import type { RemovedFile, StagedFile, TableHead, TableLog, TableState } from '../ports.ts'
import type { TableSummary } from './bindings.ts'
import { Backoff, type Retry, retrying } from './retry.ts'
import type { ProtocolRules } from './rules.ts'

/** One epoch's files for one table. */
export interface Publication {
  readonly appId: string
  readonly epoch: number
  readonly files: readonly StagedFile[]
  /** Files of the task's earlier epochs, which leave the table in the same commit. Absent: none. */
  readonly remove?: readonly RemovedFile[]
}

/** The epoch of a task that a table is to be marked with. */
export type Mark = Pick<Publication, 'appId' | 'epoch'>

export interface PublisherOptions {
  readonly log: TableLog
  readonly retry: Retry
  readonly rules: ProtocolRules
  readonly pipeline: string
  readonly incarnation: number
  /** Its version is the newest incarnation that has written to the table. */
  readonly incarnationAppId: string
  /** The table belongs to this pipeline alone. The dead letters' does not. */
  readonly isOwned: boolean
  /** What the incarnation before has written is part of this one: its first commit removes nothing. Absent: false. */
  readonly keepsFiles?: boolean
  readonly run: string
}

interface Waiting {
  readonly publication: Publication
  /** The marker itself is what matters. Else an epoch without files makes no commit. */
  readonly isMark: boolean
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export const PIPELINE_PROPERTY = 'millrace.pipeline'
/** Of the files in a table that several pipelines share. */
const PIPELINE_TAG = 'millrace.pipeline'

/**
 * Publishes epochs to one table, for all tasks of a process: one FIFO, one Delta commit for all that waits. The library
 * that writes the log does not enforce `txn`, so it is compared here, before each try and for every task in it.
 */
export class TablePublisher {
  readonly #options: PublisherOptions
  readonly #queue: Waiting[] = []
  #version = -1
  #txn = new Map<string, number>()
  #commits = 0
  #running: Promise<void> | null = null
  /** After a failure nothing more is published: a later epoch must not overtake the one that failed. */
  #failure: { readonly error: unknown } | null = null
  #rowsAdded = 0
  #filesAdded = 0

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  get path(): string {
    return this.#options.log.shape.path
  }

  /** Commits of this run. */
  get commits(): number {
    return this.#commits
  }

  /** Reads the table's log. Throws TABLE_OF_ANOTHER where the table belongs to somebody else. */
  async open(): Promise<void> {
    await this.#refresh()
  }

  /** Reads what others have committed since. A log is read by one caller at a time. */
  async look(): Promise<void> {
    while (this.#running !== null) await this.#running
    const looking = this.#refresh()
    const settled = (): void => {
      this.#running = this.#queue.length > 0 ? this.#drain() : null
    }
    this.#running = looking.then(settled, settled)
    await looking
  }

  /** The newest epoch of a task that the table is known to have; −1 for none. */
  markerOf(appId: string): number {
    return this.#txn.get(appId) ?? -1
  }

  /** True where the table has been taken over by this incarnation. */
  get isCurrent(): boolean {
    return this.markerOf(this.#options.incarnationAppId) >= this.#options.incarnation
  }

  /** Resolves when the epoch is in the table. Epochs of one task must come in ascending order. */
  publish(publication: Publication): Promise<void> {
    return this.#enqueue([{ publication, isMark: false }])
  }

  /**
   * Resolves when the table's marker of each task is at least there. Everything up to that epoch must be in the table already. One commit
   * without files for all that are lower, together with whatever else waits.
   */
  async raise(marks: readonly Mark[]): Promise<void> {
    const lower = marks.filter(({ appId, epoch }) => this.markerOf(appId) < epoch)
    if (lower.length > 0) {
      await this.#enqueue(lower.map((mark) => ({ publication: { ...mark, files: [] }, isMark: true })))
    }
  }

  /** All at once, so that one commit takes them. */
  #enqueue(wanted: readonly Pick<Waiting, 'publication' | 'isMark'>[]): Promise<void> {
    return new Promise((resolve, reject) => {
      // Not into the queue: a drain that ends without waiting for anything would leave itself behind as running.
      if (this.#failure !== null) {
        reject(this.#failure.error)
        return
      }
      for (const one of wanted) this.#queue.push({ ...one, resolve, reject })
      this.#running ??= this.#drain()
    })
  }

  /** The table as its readers see it now, and what this run added. */
  async summary(): Promise<TableSummary> {
    // Where another owner took over, commits may still be under way, and a log is read by one caller at a time.
    while (this.#running !== null) await this.#running
    const state = await this.#read()
    let rows = 0
    for (const file of state.files.values()) rows += file.rows
    return {
      path: this.path,
      rows,
      files: state.files.size,
      rowsAdded: this.#rowsAdded,
      filesAdded: this.#filesAdded,
    }
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const waiting = this.#queue.splice(0)
      try {
        if (this.#failure !== null) throw this.#failure.error
        await this.#commit(waiting)
        for (const { resolve } of waiting) resolve()
      } catch (error) {
        if (!waiting.every(({ isMark }) => isMark)) this.#failure ??= { error }
        for (const { reject } of waiting) reject(error)
      }
    }
    this.#running = null
  }

  async #commit(group: readonly Waiting[]): Promise<void> {
    const { rules } = this.#options
    const first = group[0]!.publication.appId
    const pending = (): readonly Waiting[] =>
      onceEach(group).filter(
        ({ publication: { appId, epoch } }) =>
          this.markerOf(appId) < epoch || (!rules.txnOfEveryTask && appId !== first),
      )
    let todo = rules.txnBeforeCommit ? pending() : group
    const backoff = new Backoff(this.#options.retry, `commit to ${this.path}`)
    for (;;) {
      this.#fence()
      if (this.isCurrent && !todo.some(changesTable)) return
      const { add, remove } = this.#changesOf(todo)
      if (!this.isCurrent && this.#options.keepsFiles !== true) {
        const before = this.#version
        remove.push(...this.#ownFiles(await this.#read()))
        if (this.#version > before) {
          if (rules.txnAfterLostRace) todo = pending()
          continue
        }
      }
      const isApart = !rules.removeWithAdd && this.isCurrent && remove.length > 0
      const outcome = await this.#tryCommit(todo, add, isApart ? [] : remove, backoff)
      if (outcome === 'committed') {
        if (isApart) await this.#tryCommit([], [], remove, backoff)
        this.#count(add)
        backoff.done()
        return
      }
      await this.#refresh()
      // After a lost answer all of them are in the table, or none.
      if (outcome === 'unknown') this.#count(this.#changesOf(todo.filter(this.#isPublished)).add)
      if (rules.txnAfterLostRace) todo = pending()
    }
  }

  async #tryCommit(
    todo: readonly Waiting[],
    add: readonly StagedFile[],
    remove: readonly RemovedFile[],
    backoff: Backoff,
  ): Promise<'committed' | 'lost' | 'unknown'> {
    const { log, incarnation, incarnationAppId, pipeline, retry, run } = this.#options
    const isNew = this.#version < 0
    const isSwitch = !this.isCurrent
    const txn = new Map<string, number>()
    for (const { publication } of todo) {
      const { appId, epoch } = publication
      txn.set(appId, Math.max(epoch, txn.get(appId) ?? -1))
    }
    if (isSwitch) txn.set(incarnationAppId, incarnation)
    const configuration = this.#options.isOwned ? { [PIPELINE_PROPERTY]: pipeline } : {}
    try {
      const result = await log.commit(this.#version + 1, {
        metadata: isNew || isSwitch ? { configuration } : null,
        add,
        remove,
        txn,
        committedMs: retry.clock.nowMs(),
        operation: isNew ? 'CREATE TABLE' : 'WRITE',
        info: { 'millrace.run': run },
      })
      if (result === 'lost') return 'lost'
    } catch (error) {
      await backoff.wait(error)
      return 'unknown'
    }
    this.#version++
    this.#commits++
    for (const [appId, version] of txn) this.#txn.set(appId, version)
    return 'committed'
  }

  /**
   * What a group of epochs adds and takes out. A file that one adds and a later one takes out again is in neither list: within a commit the
   * order means nothing, and a reader would be left with it.
   */
  #changesOf(group: readonly Waiting[]): {
    readonly add: readonly StagedFile[]
    readonly remove: RemovedFile[]
  } {
    const add = group.flatMap(({ publication }) => publication.files)
    const remove = group.flatMap(({ publication }) => publication.remove ?? [])
    if (remove.length === 0 || !this.#options.rules.netRemoves) return { add, remove }
    const added = new Set(add.map(({ path }) => path))
    const removed = new Set(remove.map(({ path }) => path))
    return {
      add: add.filter(({ path }) => !removed.has(path)),
      remove: remove.filter(({ path }) => !added.has(path)),
    }
  }

  #count(added: readonly StagedFile[]): void {
    this.#filesAdded += added.length
    for (const file of added) this.#rowsAdded += file.rows
  }

  /** A process of an incarnation that has been replaced writes nothing more. */
  #fence(): void {
    const { incarnation, incarnationAppId, rules } = this.#options
    const newest = this.markerOf(incarnationAppId)
    if (newest > incarnation && rules.fenceOldIncarnation) {
      throw new PipelineError(
        'INCARNATION_REPLACED',
        `incarnation ${incarnation} has been replaced by ${newest}, which writes to ${this.path} now`,
        { advice: 'Another process was started with --fresh. This one has stopped; nothing is lost.' },
      )
    }
  }

  readonly #isPublished = ({ publication: { appId, epoch } }: Waiting): boolean =>
    this.markerOf(appId) >= epoch

  /** What the first commit of an incarnation takes out of the table. */
  #ownFiles(state: TableState): readonly StagedFile[] {
    if (!this.#options.rules.switchRemovesFiles) return []
    const files = [...state.files.values()]
    if (this.#options.isOwned) return files
    return files.filter((file) => file.tags[PIPELINE_TAG] === this.#options.pipeline)
  }

  async #refresh(): Promise<void> {
    const { log, retry } = this.#options
    this.#know(await retrying(retry, `read the log of ${this.path}`, () => log.refresh()))
  }

  async #read(): Promise<TableState> {
    const { log, retry } = this.#options
    const state = await retrying(retry, `read the log of ${this.path}`, () => log.read())
    this.#know(state)
    return state
  }

  #know(state: TableHead): void {
    assert(state.version >= this.#version, `the log of ${this.path} went back`)
    this.#refuseForeign(state)
    this.#version = state.version
    this.#txn = new Map(state.txn)
  }

  /** Asked of every state, not only of the first: another pipeline may make the table between our look and our commit. */
  #refuseForeign(state: TableHead): void {
    if (state.version < 0 || !this.#options.isOwned) return
    const owner = state.configuration[PIPELINE_PROPERTY]
    if (owner === this.#options.pipeline) return
    throw new PipelineError(
      'TABLE_OF_ANOTHER',
      owner === undefined
        ? `table ${this.path} was not made by Millrace`
        : `table ${this.path} belongs to pipeline ${owner}, this is ${this.#options.pipeline}`,
      { advice: 'Choose another lake, or give the table another name in the program.' },
    )
  }
}

/** Also where what it adds is taken out again: the marker says that the epoch is in the table. */
function changesTable({ publication: { files, remove }, isMark }: Waiting): boolean {
  return isMark || files.length > 0 || (remove?.length ?? 0) > 0
}

/**
 * Without the second of two publications of one epoch: where a process takes its own task over again, what the task had in the queue before is redone
 * behind it.
 */
function onceEach(group: readonly Waiting[]): readonly Waiting[] {
  const newest = new Map<string, number>()
  return group.filter(({ publication: { appId, epoch }, isMark }) => {
    if (isMark) return true
    const isNew = epoch > (newest.get(appId) ?? -1)
    if (isNew) newest.set(appId, epoch)
    return isNew
  })
}
