import { createMergeWindow } from './create-merge-window.ts'
import { checkKeys, checkPanes } from './merge-limits.ts'
import type { FiredResults, MergeRules, MergeWindow, ResultReaders } from './merge-window.ts'
import { NextWindow } from './next-window.ts'
import type { PartialsJson } from './partial.ts'
import type { Plan, ResultInput } from './plan.ts'
import { type MergedTable, type MergedTopic, TableReader, TopicReader } from './result-readers.ts'
import {
  areEnded,
  holdsWatermark,
  type SourceLineage,
  type SourceProgress,
  UNHEARD,
} from './source-progress.ts'
import { Counts, countUp, type Totals } from './totals.ts'

/** An epoch of a source (a partition task, or a merge task of the stage below), as its checkpoint record tells it. */
export interface SourceEpoch extends SourceLineage {
  readonly task: string
  readonly epoch: number
  readonly watermarkMs: number
  readonly idle: boolean
  readonly ended: boolean
  readonly lastArrivalMs: number
  /** Those of this task's slice. */
  readonly partials: PartialsJson | null
}

/** Small enough to travel in every checkpoint record. */
export interface MergeState {
  readonly sources: Readonly<Record<string, SourceProgress>>
  readonly watermarkMs: number
  /** For the next stage: no result to come is final before. */
  readonly downstreamWatermarkMs: number
  readonly totals: Totals
}

/** Parts of the state by the name of their result; in their order. */
export type MergeSnapshot = Readonly<Record<string, unknown>>

export type { MergeRules } from './merge-window.ts'

export interface MergeTaskOptions {
  readonly stage: number
  readonly slice: number
  /** All sources there are, whether they have recorded anything or not. Those of the state come on top. */
  readonly tasks: readonly string[]
  readonly state: MergeState | null
  readonly rules: MergeRules
}

export interface MergeCut {
  /** Of this task's own chain. */
  readonly epoch: number
  /** Never goes back: the newest arrival in a replay, the clock in a live run. */
  readonly nowMs: number
}

/** What an epoch of a merge task writes. Valid until `clear`. */
export interface MergeOutput {
  /** Tables without rows are left out, but for those of which files are replaced by nothing. */
  readonly tables: readonly MergedTable[]
  readonly topics: readonly MergedTopic[]
  /** For the next stage, by its slices; [] where there is nothing for it. */
  readonly partials: readonly (PartialsJson | null)[]
}

/**
 * The state machine whose input is the epoch chains of its sources. Which epochs, and in which order, is for the runtime to say and to
 * record; the rows that come out in the end do not depend on it.
 */
export class MergeTask {
  readonly #plan: Plan
  readonly #rules: MergeRules
  readonly #sources: Map<string, SourceProgress>
  readonly #windows: ReadonlyMap<number, MergeWindow>
  readonly #next: readonly NextWindow[]
  readonly #tables: readonly TableReader[]
  readonly #topics: readonly TopicReader[]
  /** Between W here and W of the next stage. */
  readonly #downstreamDelayMs: number
  readonly #counts: Counts
  #watermarkMs: number

  constructor(plan: Plan, { stage, tasks, state, rules }: MergeTaskOptions) {
    this.#plan = plan
    this.#rules = rules
    this.#sources = new Map(Object.entries(state?.sources ?? {}))
    this.expect(tasks)
    this.#watermarkMs = state?.watermarkMs ?? -Infinity
    this.#counts = Counts.from(state?.totals ?? null)
    const isOurs = ({ result }: ResultInput): boolean => plan.results[result]!.stage === stage
    const next = plan.results.filter(({ from }) => from !== null && isOurs(from))
    this.#next = next.map((result) => new NextWindow(result))
    this.#downstreamDelayMs = Math.max(
      0,
      ...next.map(({ from }) => plan.results[from!.result]!.node.allowedLatenessMs),
    )
    this.#tables = plan.gold.filter(isOurs).map((table) => new TableReader(plan, table))
    this.#topics = plan.topics.flatMap((topic, i) => (isOurs(topic) ? [new TopicReader(plan, topic, i)] : []))
    this.#windows = new Map(
      plan.results.flatMap((result, i) => {
        if (result.stage !== stage) return []
        return [[i, createMergeWindow({ plan: result, rules, readers: this.#readersOf(i) })] as const]
      }),
    )
  }

  get watermarkMs(): number {
    return this.#watermarkMs
  }

  get openPanes(): number {
    let open = 0
    for (const window of this.#windows.values()) open += window.openPanes
    return open
  }

  /** The `nowMs` at which an early result is due, whether anything has been folded or not. Infinity: none is. */
  get earlyDueMs(): number {
    return Math.min(Infinity, ...[...this.#windows.values()].map((window) => window.earlyDueMs))
  }

  /** Epochs of this task of which files may still be replaced. */
  get liveEpochs(): ReadonlySet<number> {
    const epochs = new Set<number>()
    for (const window of this.#windows.values()) for (const epoch of window.liveEpochs) epochs.add(epoch)
    return epochs
  }

  get state(): MergeState {
    return {
      sources: Object.fromEntries(this.#sources),
      watermarkMs: this.#watermarkMs,
      downstreamWatermarkMs: this.#downstreamWatermarkMs,
      totals: this.#counts.toTotals(),
    }
  }

  get #downstreamWatermarkMs(): number {
    return this.#watermarkMs - this.#downstreamDelayMs
  }

  /** Sources that there are, and whom they follow: one that is new holds W until it is heard of, or somebody does for it. */
  expect(tasks: readonly string[], parentsOf: (task: string) => SourceLineage['parents'] = noParents): void {
    for (const task of tasks) {
      const known = this.#sources.get(task)
      const parents = parentsOf(task)
      if (known === undefined) this.#sources.set(task, { ...UNHEARD, ...(parents && { parents }) })
      else if (parents !== undefined && known.parents === undefined && isUnheard(known))
        this.#sources.set(task, { ...known, parents })
    }
  }

  /** The sources of an epoch that is to be folded again: those that were heard in it are to be heard anew, also where nobody but their parents knew what they follow. */
  expectAgain(sources: MergeState['sources']): void {
    this.expect(Object.keys(sources), (task) => {
      const { parents, heard } = sources[task]!
      return parents ?? (heard === true ? [] : undefined)
    })
  }

  /** Sources that were handed on, and those that they were handed on to, by those that they follow as far as that is known. */
  get handedOn(): ReadonlyMap<string, SourceLineage['parents']> {
    const tasks = new Map<string, SourceLineage['parents']>()
    for (const [task, { successors, parents }] of this.#sources) {
      if (successors === undefined) continue
      tasks.set(task, parents)
      for (const follower of successors) tasks.set(follower, [...(tasks.get(follower) ?? []), task])
    }
    return tasks
  }

  progressOf(task: string): SourceProgress | undefined {
    return this.#sources.get(task)
  }

  /** Sources of which another epoch is to be expected: neither idle nor at their end. */
  get busySources(): number {
    let busy = 0
    for (const [task, source] of this.#sources)
      if (!source.idle && !source.ended && this.#holds(task, source)) busy++
    return busy
  }

  /** True where no source will add anything more. */
  get isEnded(): boolean {
    return areEnded(this.#sources)
  }

  #holds(task: string, source: SourceProgress): boolean {
    if (!this.#rules.parentHoldsWatermark && source.successors !== undefined) return false
    if (!this.#rules.allSourcesHoldWatermark && source.epoch < 0) return false
    return holdsWatermark(this.#sources, task, source)
  }

  /** Adds one epoch of a source. Throws STATE_LIMIT where the windows that are open are too many. */
  fold(source: SourceEpoch): void {
    const { task, epoch, watermarkMs, idle, ended, parents, successors } = source
    const known = this.#sources.get(task)
    const isFollower = parents !== undefined || known?.parents !== undefined || known?.heard === true
    this.#sources.set(task, {
      epoch,
      watermarkMs,
      idle,
      ended,
      ...(isFollower && { heard: true }),
      ...(successors && { successors }),
    })
    if (source.partials === null) return
    for (const window of this.#windows.values()) {
      const json = source.partials[window.plan.node.name]
      if (json !== undefined && json !== null) window.fold(json, task)
    }
    checkPanes(this.#windows.values(), this.#plan.spec.limits)
  }

  /** A claim of a source, also of one that is new: it moves the chain on, and nothing else. */
  skip(task: string, epoch: number): void {
    this.#sources.set(task, { ...(this.#sources.get(task) ?? UNHEARD), epoch })
  }

  /** Fires what the watermark has passed, and what is due early. Throws HAVING_FAILED, AGGREGATE_FAILED, and STATE_LIMIT. */
  cut({ epoch, nowMs }: MergeCut): MergeOutput {
    const all = [...this.#sources].flatMap(([task, source]) => (this.#holds(task, source) ? [source] : []))
    const slowestMs = Math.min(...all.map((source) => source.watermarkMs))
    const busy = all.filter((source) => !source.idle)
    // When all are idle W stays where it is.
    if (busy.length > 0) {
      this.#watermarkMs = Math.max(this.#watermarkMs, Math.min(...busy.map((source) => source.watermarkMs)))
    }
    const at = { watermarkMs: this.#watermarkMs, slowestMs, epoch, nowMs }
    for (const window of this.#windows.values()) {
      window.fire(at)
      countUp(this.#counts.dropped, window.plan.node.name, window.dropped ?? 0)
    }
    checkKeys(this.#windows.values(), this.#plan.spec.limits)
    const tables = this.#tables.map((table) => table.read(this.#firedBy(table.from), nowMs))
    for (const { output, added } of tables) countUp(this.#counts.rows, output.shape.path, added)
    return {
      tables: tables
        .map(({ output }) => output)
        .filter(({ count, replaces }) => count > 0 || replaces.length > 0),
      topics: this.#topics
        .map((topic) => topic.read(this.#firedBy(topic.from)))
        .filter(({ count, retracted }) => count > 0 || retracted.count > 0),
      partials: this.#passOn(),
    }
  }

  /** Forgets the rows of the last cut. */
  clear(): void {
    for (const window of this.#windows.values()) window.clear()
  }

  /** All state, or what has changed since the last call, after a cut; in parts, so that many panes are never in memory twice. */
  *snapshot(kind: 'full' | 'changes'): Generator<MergeSnapshot> {
    for (const window of this.#windows.values()) {
      for (const part of window.snapshot(kind)) yield { [window.plan.node.name]: part }
    }
    for (const next of this.#next) {
      for (const part of next.snapshot(kind, this.#downstreamWatermarkMs))
        yield { [next.plan.node.name]: part }
    }
  }

  /** Adds a part: those of a full snapshot in their order, then those of the changes since. */
  restore(snapshot: MergeSnapshot): void {
    for (const { plan, restore } of this.#restorable()) {
      const json = snapshot[plan.node.name]
      if (json !== undefined) restore(json)
    }
  }

  *#restorable(): Generator<{ readonly plan: MergeWindow['plan']; restore: (json: unknown) => void }> {
    for (const window of this.#windows.values()) {
      yield { plan: window.plan, restore: (json) => window.restore(json) }
    }
    for (const next of this.#next) yield { plan: next.plan, restore: (json) => next.restore(json) }
  }

  #firedBy({ result }: ResultInput): FiredResults {
    return this.#windows.get(result)!.fired
  }

  #readersOf(result: number): ResultReaders {
    const topics = this.#topics.filter(({ from }) => from.result === result)
    return {
      newest: this.#tables.some(({ from }) => from.result === result && from.node.revisions !== 'all'),
      nextStage: this.#next.some(({ plan }) => plan.from!.result === result),
      topics: topics.map((topic) => topic.takes),
      topicNames: topics.map(({ from }) => from.node.name),
    }
  }

  #passOn(): readonly (PartialsJson | null)[] {
    const slices: Record<string, unknown>[] = Array.from({ length: this.#plan.slices }, () => ({}))
    for (const next of this.#next) {
      const late = next.run(this.#firedBy(next.plan.from!))
      countUp(this.#counts.late, next.plan.node.name, late)
      next.takePartials(slices.length).forEach((partial, slice) => {
        if (partial !== null) slices[slice]![next.plan.node.name] = partial
      })
    }
    const partials = slices.map((slice) => (Object.keys(slice).length === 0 ? null : slice))
    return partials.every((partial) => partial === null) ? [] : partials
  }
}

function noParents(): undefined {}

/** Its chain may have claims all the same. */
function isUnheard({ heard, watermarkMs }: SourceProgress): boolean {
  return heard !== true && watermarkMs === -Infinity
}
