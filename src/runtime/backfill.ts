import { historyOffset } from '../checkpoint/history-position.ts'
import { ChainKeys, isChainFolder } from '../checkpoint/keys.ts'
import type { DataRecord } from '../checkpoint/record.ts'
import { PipelineError } from '../errors.ts'
import type { StagedFile, TableFormat, TableShape } from '../ports.ts'
import { Chain } from './chain.ts'
import { encodeHistoryList, type HistoryFile, type IncarnationHistory, readHistoryList } from './history.ts'
import type { BackfillSteps, IncarnationRecord } from './incarnation.ts'
import { openPublishers } from './open-publishers.ts'
import { programsOf } from './program-record.ts'
import { retrying } from './retry.ts'
import { settleSealed } from './takeover.ts'
import type { TaskContext } from './task-context.ts'

/** Everything of a task's context that is the same in all incarnations. */
export type ContextBase = Omit<
  TaskContext,
  'incarnation' | 'program' | 'life' | 'keys' | 'publishers' | 'formerPublishers'
>

export interface BackfillOptions {
  readonly base: ContextBase
  readonly format: TableFormat
  /** Of a task: the source has it still, or can open it all the same. */
  readonly isReadable: (task: string) => boolean
}

/** Makes what an incarnation has written the history of the next one. */
export class Backfill implements BackfillSteps {
  readonly #base: ContextBase
  readonly #format: TableFormat
  readonly #isReadable: (task: string) => boolean
  /** The bronze tables that have every row since the incarnation began. */
  #bronze: readonly TableShape[] = []

  constructor({ base, format, isReadable }: BackfillOptions) {
    this.#base = base
    this.#format = format
    this.#isReadable = isReadable
  }

  /** Throws where it cannot be. Nothing has been changed then. */
  async check(old: IncarnationRecord): Promise<void> {
    const { plan, pipeline, store, retry } = this.#base
    const programs = await programsOf({ store, pipeline, incarnation: old.incarnation, retry })
    const all = [old, ...programs].map(({ fingerprint }) => fingerprint.steps)
    const shapes = plan.bronze.map(({ shape }) => shape)
    // A table that the incarnation is filling out of its own history may lack the rest of it.
    const whole = old.history?.tables ?? shapes.map(({ path }) => path)
    this.#bronze = shapes.filter(({ path }) => all.every((steps) => path in steps) && whole.includes(path))
    if (this.#bronze.length === 0) throw noBronze(pipeline, shapes)
    if (this.#format.decoder === undefined) {
      throw new PipelineError('BACKFILL_UNREADABLE', `the tables of ${store.description} cannot be read back`)
    }
    for (const shape of this.#bronze) {
      const log = this.#format.open(shape)
      await retrying(retry, `read the log of ${shape.path}`, () => log.refresh())
      log.checkSchema?.()
    }
  }

  /** Called when the chains are sealed: publishes what they still promise to these tables, then says what the history is. */
  async pin(old: IncarnationRecord): Promise<IncarnationHistory> {
    const { store, pipeline, retry, entropy, log } = this.#base
    const context = await this.#contextOf(old)
    const lasts = await this.#settle(context)
    // What an incarnation before it left in a table that it has never written to is no history of its own.
    const nothing = { appId: context.keys.appId('none'), epoch: -1, files: [] }
    for (const { path } of this.#bronze) await context.publishers.get(path)!.publish(nothing)
    const positions: Record<string, string> = {}
    const files = new Map<string, HistoryFile[]>()
    for (const task of new Set([...lasts.keys(), ...Object.keys(old.history?.positions ?? {})])) {
      const position = lasts.get(task)?.work.state.position ?? null
      const rest = await this.#restOf(old, task, position)
      files.set(task, rest.files)
      if (rest.position !== null) positions[task] = rest.position
    }
    const named = [...lasts.values()].flatMap(({ work }) => work.state.successors ?? [])
    const successors = [...new Set([...named, ...(old.history?.successors ?? [])])].filter(
      (task) => positions[task] === undefined,
    )
    const gone = Object.keys(positions).filter((task) => !this.#isReadable(task))
    if (gone.length > 0)
      log.warn({ tasks: gone }, 'the source does not have these any more: their history stays in bronze only')
    const { deadLetters } = this.#base.plan
    for (const shape of [...this.#bronze, deadLetters]) {
      if (!context.publishers.get(shape.path)!.isCurrent) continue
      for (const file of await this.#activeFiles(shape)) {
        const task = file.tags['millrace.task']
        const isOurs = shape !== deadLetters || file.tags['millrace.pipeline'] === pipeline
        if (!isOurs) continue
        const entry = entryOf(shape.path, file)
        // A file that somebody else has made of ours may have rows of any of them.
        for (const [id, list] of files) if (task === undefined || task === id) list.push(entry)
      }
    }
    const lists = `${String(old.incarnation + 1).padStart(6, '0')}-${entropy.nonce()}`
    for (const task of Object.keys(positions)) {
      const key = ChainKeys.history(pipeline, lists, task)
      await retrying(retry, `put ${key}`, () => store.put(key, encodeHistoryList(files.get(task)!)))
    }
    return {
      incarnation: old.incarnation,
      tables: this.#bronze.map(({ path }) => path),
      positions,
      ...(successors.length === 0 ? {} : { successors }),
      lists,
    }
  }

  /** Of the old incarnation, with the tables that have the history. The others are built anew. */
  async #contextOf(old: IncarnationRecord): Promise<TaskContext> {
    const { pipeline, plan, retry, rules, run } = this.#base
    const { incarnation, nonce } = old
    const { deadLetters } = plan
    const place = { format: this.#format, retry, rules, run, deadLetters }
    const publishers = await openPublishers(place, old, [...this.#bronze, deadLetters])
    const keys = new ChainKeys(pipeline, incarnation)
    const formerPublishers = new Map()
    return { ...this.#base, incarnation, program: 1, life: nonce, keys, publishers, formerPublishers }
  }

  /** The newest record of each partition's chain, with everything that it promises published. */
  async #settle(context: TaskContext): Promise<ReadonlyMap<string, PartitionRecord>> {
    const { store, keys, retry, deadLetters, publishers } = context
    const objects = await retrying(retry, `list ${keys.root}`, () => store.list(keys.root))
    const folders = new Set(objects.map(({ key }) => key.slice(keys.root.length).split('/')[0]!))
    const sinks = { tables: [...publishers.keys()], outbox: deadLetters?.outbox ?? null }
    const lasts = new Map<string, PartitionRecord>()
    for (const task of [...folders].filter(isChainFolder)) {
      const last = await settleSealed(context, new Chain(context, task), sinks)
      if (last !== null) lasts.set(task, last)
    }
    return lasts
  }

  /** Where a task's source goes on, and what it has not read yet of a history of its own. */
  async #restOf(
    old: IncarnationRecord,
    task: string,
    position: string | null,
  ): Promise<{ readonly position: string | null; readonly files: HistoryFile[] }> {
    const { store, pipeline, retry } = this.#base
    const { history } = old
    const from = position === null ? 0 : historyOffset(position)
    const then = history?.positions[task]
    if (history === undefined || then === undefined || from === null) return { position, files: [] }
    const list = await retrying(retry, `read the history of ${task}`, () =>
      readHistoryList({ store, pipeline, history }, task),
    )
    // Bronze has its rows still; dead letters have left their table with the first commit of the incarnation.
    const letters = list.filter(({ table }) => table === this.#base.plan.deadLetters.path)
    return {
      position: then,
      files: letters.map((file) => ({ ...file, from: Math.max(from, file.from ?? 0) })),
    }
  }

  async #activeFiles(shape: TableShape): Promise<readonly StagedFile[]> {
    const log = this.#format.open(shape)
    const { files } = await retrying(this.#base.retry, `read the log of ${shape.path}`, () => log.read())
    return [...files.values()]
  }
}

type PartitionRecord = DataRecord & { readonly work: { readonly type: 'partition' } }

function entryOf(table: string, { path, partitionValues, stats }: StagedFile): HistoryFile {
  const { minValues, maxValues } = statsOf(stats)
  const last = maxValues?.['_offset']
  const first = minValues?.['_offset']
  return {
    table,
    path,
    partitionValues,
    first: typeof first === 'number' ? first : 0,
    ...(typeof last === 'number' ? { last } : {}),
  }
}

interface Stats {
  readonly minValues?: Readonly<Record<string, unknown>>
  readonly maxValues?: Readonly<Record<string, unknown>>
}

/** Files of others may have none. */
function statsOf(text: string): Stats {
  try {
    return JSON.parse(text) as Stats
  } catch {
    return {}
  }
}

function noBronze(pipeline: string, shapes: readonly TableShape[]): PipelineError {
  const names = shapes.map(({ path }) => path).join(', ')
  return new PipelineError(
    'BACKFILL_NO_HISTORY',
    names === ''
      ? `pipeline ${pipeline} has no bronze table, which the history of a backfill is read from`
      : `${names} of pipeline ${pipeline} does not have every record since the incarnation began`,
    {
      advice:
        'History is in a bronze table that the pipeline has had from its beginning. Begin again with --fresh, which reads what the source still has.',
    },
  )
}
