import type { ColumnBatch } from '../columns/column.ts'
import { appendInt32, int32Column } from '../columns/write.ts'
import type { TriggerSpec } from '../topology/node.ts'
import { DueList } from './due-list.ts'
import { IntList } from './int-list.ts'
import type { FireAt, FiredRows, MergeRules, MergeWindowOptions, ResultReaders } from './merge-window.ts'
import { PaneStates, type PaneStatesJson, Phase } from './pane-states.ts'
import { ResultGroups } from './result-groups.ts'

/** Whoever holds the panes. They are dense indices, which may be used again once they are released. */
export interface PaneHost {
  /** Infinity for a window without end. */
  endMsOf(pane: number): number
  /** Appends the row of a pane, all but its revision, which is the last column. */
  appendRow(pane: number, batch: ColumnBatch): void
  /** Appends its key and bounds, all other columns being null. */
  appendRetracted(pane: number, batch: ColumnBatch): void
  /** No row can change it any more, and no file with its row will be replaced. */
  release(pane: number): void
}

/**
 * Which results are written when, as which revision, and which rows must be written again because the file that they are in is replaced. It
 * knows nothing of keys, windows and aggregates: any kind of window can keep its panes in it.
 *
 * A pane is *waiting* until W reaches its end, then *refined* (with `refine`) until W reaches its end + allowed lateness; then it is
 * *final*, until the slowest source has passed it as well; then it is *closed*, and kept only for the rest of its group.
 */
export class ResultBook {
  readonly fired: FiredRows
  readonly #host: PaneHost
  readonly #rules: MergeRules
  readonly #readers: ResultReaders
  readonly #trigger: TriggerSpec
  readonly #hasTriggers: boolean
  readonly #allowedLatenessMs: number
  /** A bit for each. */
  readonly #allTopics: number
  readonly #panes: PaneStates
  readonly #groups: ResultGroups
  /** Panes that wait for W, by the time that they wait for. */
  readonly #byWatermark: DueList
  /** Final panes that wait for the slowest source. */
  readonly #bySlowest: DueList
  /** Waiting panes that have changed, by the time of an early result. */
  readonly #early: DueList
  /** Panes that are to be looked at by the next cut whatever the time. */
  readonly #dirty = new IntList()
  /** Panes that no cut has seen. */
  readonly #fresh = new IntList()
  /** Only within a cut, as the next. */
  readonly #finalAsWritten = new IntList()
  readonly #closing = new IntList()
  /** Whether what this cut writes may change again. If not, there is no group to keep. */
  #mayChange = true
  #at: FireAt = { watermarkMs: -Infinity, slowestMs: -Infinity, epoch: -1, nowMs: -Infinity }

  constructor(options: MergeWindowOptions, host: PaneHost, fired: FiredRows) {
    const { node } = options.plan
    this.fired = fired
    this.#host = host
    this.#rules = options.rules
    this.#readers = options.readers
    this.#trigger = node.kind === 'aggregate' ? (node.trigger ?? {}) : {}
    this.#hasTriggers = Object.keys(this.#trigger).length > 0
    this.#allowedLatenessMs = node.allowedLatenessMs
    this.#allTopics = 2 ** options.readers.topics.length - 1
    this.#panes = new PaneStates({
      groups: options.readers.newest,
      topics: options.readers.topics.some((takes) => takes !== null),
      topicNames: options.readers.topicNames,
      rows: this.#trigger.earlyEveryRows !== undefined,
      times: this.#trigger.earlyEveryMs !== undefined,
    })
    this.#groups = new ResultGroups(this.#panes)
    this.#byWatermark = new DueList((pane) => this.#watermarkMsOf(pane), true)
    this.#bySlowest = new DueList(
      (pane) => (this.#panes.phaseOf(pane) === Phase.Final ? this.#closeMsOf(pane) : Number.NaN),
      true,
    )
    this.#early = new DueList((pane) => this.#earlyMsOf(pane))
  }

  /** What is at rest of each pane. */
  get panes(): PaneStates {
    return this.#panes
  }

  get earlyDueMs(): number {
    return this.#early.nextMs
  }

  get liveEpochs(): Iterable<number> {
    return this.#groups.epochs
  }

  /** A new pane, without rows. */
  open(pane: number): void {
    this.#panes.open(pane)
    this.#byWatermark.add(pane, this.#watermarkMsOf(pane))
    if (this.#trigger.earlyEveryMs !== undefined) this.#fresh.push(pane)
  }

  /** Rows have come. */
  touch(pane: number, rows: number): void {
    const panes = this.#panes
    const wasChanged = panes.isChanged(pane)
    panes.change(pane, rows)
    if (panes.phaseOf(pane) !== Phase.Waiting) {
      if (!wasChanged) this.#dirty.push(pane)
      return
    }
    const { earlyEveryRows, earlyEveryMs } = this.#trigger
    if (earlyEveryRows !== undefined && panes.rowsOf(pane) >= earlyEveryRows) {
      if (panes.rowsOf(pane) - rows < earlyEveryRows) this.#dirty.push(pane)
    }
    if (earlyEveryMs !== undefined && !wasChanged) this.#addEarly(pane)
  }

  /**
   * The end of a pane has moved: it waits again for W. One that was final stays so, as the windows above have seen it: it is written again by
   * the next cut if it has changed.
   */
  moved(pane: number): void {
    const phase = this.#panes.phaseOf(pane)
    if (phase === Phase.Final) return
    if (phase !== Phase.Waiting) {
      this.#panes.setPhase(pane, Phase.Waiting)
      this.#byWatermark.add(pane, this.#watermarkMsOf(pane))
    }
    if (this.#panes.isChanged(pane) && this.#trigger.earlyEveryMs !== undefined) this.#addEarly(pane)
  }

  /** What was written of a pane is no longer so: its row leaves with the next cut. Its revisions go on. Nothing where nothing stands. */
  retract(pane: number): void {
    const panes = this.#panes
    if (!panes.isStanding(pane)) return
    this.#groups.leave(pane)
    const topics = panes.topicsOf(pane) & this.#allTopics
    if (topics !== 0) this.#retractFrom(pane, topics)
    panes.setTopics(pane, 0)
    panes.retract(pane)
  }

  /** The pane is no more: its host may use it again. */
  remove(pane: number): void {
    this.retract(pane)
    this.#panes.close(pane)
  }

  /** Fills `fired` and releases panes. A function of what was folded and of the moments of the cuts alone. */
  fire(at: FireAt): void {
    this.#at = at
    this.#mayChange = this.#hasTriggers || (this.#rules.keepFiredPanes && at.slowestMs < at.watermarkMs)
    // Growing row by row would leave half of what millions of rows take as garbage.
    const rowsMax = this.#byWatermark.countDue(at.watermarkMs)
    for (const column of this.fired.batch.columns) column.reserve(rowsMax)
    this.#byWatermark.takeDue(at.watermarkMs, (pane) => this.#passed(pane))
    for (let i = 0; i < this.#dirty.length; i++) this.#lookAgain(this.#dirty.values[i]!)
    this.#dirty.clear()
    this.#startClocks()
    this.#early.takeDue(at.nowMs, (pane) => this.#write(pane))
    this.#writeChangedOfReplaced()
    this.fired.count = this.fired.batch.length
    this.#moveOthersOfReplaced()
    this.fired.written = this.fired.batch.length
    this.#handOnAsWritten()
    this.#bySlowest.takeDue(at.slowestMs, (pane) => this.#close(pane))
    this.#releaseClosed()
  }

  /** Puts a pane into the state that a snapshot has of it, whether it is known or new. Its end is to be as in the snapshot. */
  restore(pane: number, json: PaneStatesJson, index: number): void {
    const panes = this.#panes
    this.#groups.restore(pane, () => panes.read(pane, json, index))
    const phase = panes.phaseOf(pane)
    if (phase === Phase.Final) this.#bySlowest.add(pane, this.#closeMsOf(pane))
    if (phase === Phase.Waiting || phase === Phase.Refined) {
      this.#byWatermark.add(pane, this.#watermarkMsOf(pane))
    }
    if (!panes.isChanged(pane)) return
    // A cut leaves nothing changed but waiting panes; what an earlier version left may be otherwise.
    this.#dirty.push(pane)
    if (this.#trigger.earlyEveryMs !== undefined) this.#addEarly(pane)
  }

  /** A pane that is gone by the next part of a snapshot. */
  forget(pane: number): void {
    this.#groups.quit(pane)
    this.#panes.close(pane)
  }

  #closeMsOf(pane: number): number {
    return this.#host.endMsOf(pane) + this.#allowedLatenessMs
  }

  #watermarkMsOf(pane: number): number {
    const phase = this.#panes.phaseOf(pane)
    if (phase === Phase.Refined) return this.#closeMsOf(pane)
    if (phase !== Phase.Waiting) return Number.NaN
    return this.#trigger.refine === true ? this.#host.endMsOf(pane) : this.#closeMsOf(pane)
  }

  #earlyMsOf(pane: number): number {
    const panes = this.#panes
    if (panes.phaseOf(pane) !== Phase.Waiting || !panes.isChanged(pane)) return Number.NaN
    return panes.writtenMsOf(pane) + this.#trigger.earlyEveryMs!
  }

  #addEarly(pane: number): void {
    // A pane that no cut has seen yet has no clock.
    if (this.#panes.writtenMsOf(pane) > -Infinity) this.#early.add(pane, this.#earlyMsOf(pane))
  }

  #startClocks(): void {
    const panes = this.#panes
    for (let i = 0; i < this.#fresh.length; i++) {
      const pane = this.#fresh.values[i]!
      if (panes.phaseOf(pane) !== Phase.Waiting || panes.writtenMsOf(pane) > -Infinity) continue
      panes.setWrittenMs(pane, this.#at.nowMs)
      this.#early.add(pane, this.#earlyMsOf(pane))
    }
    this.#fresh.clear()
  }

  /** W has reached the end of a pane, or its end + allowed lateness. */
  #passed(pane: number): void {
    const isFinal = this.#at.watermarkMs >= this.#closeMsOf(pane)
    this.#panes.setPhase(pane, isFinal ? Phase.Final : Phase.Refined)
    const isWritten = this.#panes.isChanged(pane)
    if (isWritten) this.#write(pane)
    if (!isFinal) {
      this.#byWatermark.add(pane, this.#closeMsOf(pane))
      return
    }
    if (this.#readers.nextStage) {
      if (isWritten) this.fired.addFinal(this.fired.batch.length - 1, this.#host.endMsOf(pane) - 1)
      else this.#finalAsWritten.push(pane)
    }
    const isOver = this.#at.slowestMs >= this.#closeMsOf(pane) || !this.#rules.keepFiredPanes
    if (!isOver) this.#bySlowest.add(pane, this.#closeMsOf(pane))
    // At once, so that millions of panes that go are not all still there when the last of their rows is made.
    else if (isWritten && !this.#mayChange) this.#release(pane)
    else this.#close(pane)
  }

  #lookAgain(pane: number): void {
    const panes = this.#panes
    if (!panes.isChanged(pane)) return
    const phase = panes.phaseOf(pane)
    if (phase === Phase.Waiting) {
      const { earlyEveryRows } = this.#trigger
      if (earlyEveryRows !== undefined && panes.rowsOf(pane) >= earlyEveryRows) this.#write(pane)
      return
    }
    if (phase === Phase.None) return
    this.#write(pane)
    if (phase === Phase.Refined || !this.#readers.nextStage) return
    const { afterFinal, batch } = this.fired
    afterFinal.reserve(afterFinal.count + 1)
    afterFinal.rows[afterFinal.count++] = batch.length - 1
  }

  /** A new revision. */
  #write(pane: number): void {
    const panes = this.#panes
    this.#groups.leave(pane)
    panes.written(pane, this.#at.nowMs)
    const row = this.#append(pane)
    const taken = this.#topicsThatTake(row)
    const given = panes.topicsOf(pane) & ~taken & this.#allTopics
    if (given !== 0) this.#retractFrom(pane, given)
    panes.setTopics(pane, taken)
    this.#joinThis(pane)
  }

  #append(pane: number): number {
    const { batch } = this.fired
    this.#host.appendRow(pane, batch)
    appendInt32(int32Column(batch.columns.at(-1)!), this.#panes.revisionOf(pane))
    return batch.length++
  }

  #topicsThatTake(row: number): number {
    const { topics } = this.#readers
    let taken = 0
    for (let i = 0; i < topics.length; i++) {
      const takes = topics[i]!
      if (takes === null || takes(this.fired.batch, row)) taken |= 1 << i
    }
    return taken
  }

  #retractFrom(pane: number, topics: number): void {
    const { retracted, retractedFrom } = this.fired
    this.#host.appendRetracted(pane, retracted)
    retracted.length++
    retractedFrom.push(topics)
  }

  /** Of what changed without being due: its row cannot be written again as it was. So it gives its early result now. */
  #writeChangedOfReplaced(): void {
    for (const epoch of this.#groups.replaced) {
      for (const pane of this.#groups.membersOf(epoch)) if (this.#panes.isChanged(pane)) this.#write(pane)
    }
  }

  #moveOthersOfReplaced(): void {
    for (const epoch of this.#groups.takeReplaced()) {
      for (const pane of this.#groups.membersOf(epoch)) {
        this.#append(pane)
        this.#groups.quit(pane)
        this.#joinThis(pane)
      }
      this.fired.replacedEpochs.push(epoch)
    }
  }

  /** The row of the pane is in the files of the cut in hand. */
  #joinThis(pane: number): void {
    if (
      this.#readers.newest &&
      (this.#mayChange ||
        (this.#rules.keepFiredPanes &&
          this.#panes.phaseOf(pane) !== Phase.Closed &&
          this.#at.slowestMs < this.#closeMsOf(pane)))
    )
      this.#groups.join(pane, this.#at.epoch)
    else if (this.#panes.phaseOf(pane) === Phase.Closed) this.#closing.push(pane)
  }

  /** What is final and was written by an earlier cut as it is. */
  #handOnAsWritten(): void {
    for (let i = 0; i < this.#finalAsWritten.length; i++) {
      const pane = this.#finalAsWritten.values[i]!
      this.fired.addFinal(this.#append(pane), this.#host.endMsOf(pane) - 1)
    }
    this.#finalAsWritten.clear()
  }

  #close(pane: number): void {
    this.#groups.close(pane)
    this.#panes.setPhase(pane, Phase.Closed)
    this.#closing.push(pane)
  }

  #releaseClosed(): void {
    const panes = this.#panes
    // Closed panes that have changed again are in this epoch's group too.
    const release = (pane: number): void => this.#release(pane)
    this.#groups.releaseClosed(this.#at.epoch, release)
    for (let i = 0; i < this.#closing.length; i++) {
      const pane = this.#closing.values[i]!
      if (panes.phaseOf(pane) === Phase.None) continue
      const group = panes.groupOf(pane)
      if (group < 0) this.#release(pane)
      else this.#groups.releaseClosed(group, release)
    }
    this.#closing.clear()
  }

  #release(pane: number): void {
    this.#host.release(pane)
    this.#panes.close(pane)
  }
}
