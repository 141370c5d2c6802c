import type { ColumnBatch } from '../columns/column.ts'
import { appendInt32, int32Column } from '../columns/write.ts'
import type { TriggerSpec } from '../topology/node.ts'
import { DueList } from './due-list.ts'
import { IntList } from './int-list.ts'
import type { FireAt, FiredRows, MergeRules, MergeWindowOptions, ResultReaders } from './merge-window.ts'
import { PaneStates, type PaneStatesJson, Phase } from './pane-states.ts'

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

/** The panes of which the rows came into the newest-revision tables in one epoch. */
interface Group {
  size: number
  /** Members that may still fire again. */
  open: number
  /** Those that have left are still listed. */
  readonly panes: IntList
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
  readonly #groups = new Map<number, Group>()
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
  /** Groups of which a row is no longer so. */
  readonly #replaced = new Set<number>()
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
      rows: this.#trigger.earlyEveryRows !== undefined,
      times: this.#trigger.earlyEveryMs !== undefined,
    })
    this.#byWatermark = new DueList((pane) => this.#watermarkMsOf(pane))
    this.#bySlowest = new DueList((pane) =>
      this.#panes.phaseOf(pane) === Phase.Final ? this.#closeMsOf(pane) : Number.NaN,
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
    return this.#groups.keys()
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
    if (this.#panes.phaseOf(pane) === Phase.Final) {
      this.#bySlowest.add(pane, this.#closeMsOf(pane))
      return
    }
    this.#panes.setPhase(pane, Phase.Waiting)
    this.#byWatermark.add(pane, this.#watermarkMsOf(pane))
    if (this.#panes.isChanged(pane) && this.#trigger.earlyEveryMs !== undefined) this.#addEarly(pane)
  }

  /** What was written of a pane is no longer so: its row leaves with the next cut. Its revisions go on. Nothing where nothing stands. */
  retract(pane: number): void {
    const panes = this.#panes
    if (!panes.isStanding(pane)) return
    this.#leave(pane)
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
    const before = panes.phaseOf(pane) === Phase.None ? -1 : panes.groupOf(pane)
    if (before >= 0) this.#uncount(before, pane)
    panes.read(pane, json, index)
    const group = panes.groupOf(pane)
    if (group >= 0) this.#count(group, pane, group !== before)
    if (before >= 0 && this.#groups.get(before)!.size === 0) this.#groups.delete(before)
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
    this.#quit(pane)
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
    this.#leave(pane)
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
    for (const epoch of this.#replaced) {
      for (const pane of this.#membersOf(epoch)) if (this.#panes.isChanged(pane)) this.#write(pane)
    }
  }

  #moveOthersOfReplaced(): void {
    for (const epoch of this.#replaced) {
      for (const pane of this.#membersOf(epoch)) {
        this.#append(pane)
        this.#quit(pane)
        this.#joinThis(pane)
      }
      this.fired.replacedEpochs.push(epoch)
    }
    this.#replaced.clear()
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
    const group = this.#groups.get(this.#panes.groupOf(pane))
    if (group !== undefined) group.open--
    this.#panes.setPhase(pane, Phase.Closed)
    this.#closing.push(pane)
  }

  #releaseClosed(): void {
    const panes = this.#panes
    // Closed panes that have changed again are in this epoch's group too.
    this.#releaseGroup(this.#at.epoch)
    for (let i = 0; i < this.#closing.length; i++) {
      const pane = this.#closing.values[i]!
      if (panes.phaseOf(pane) === Phase.None) continue
      const group = panes.groupOf(pane)
      if (group < 0) this.#release(pane)
      else this.#releaseGroup(group)
    }
    this.#closing.clear()
  }

  #releaseGroup(epoch: number): void {
    const group = this.#groups.get(epoch)
    if (group?.open !== 0) return
    this.#groups.delete(epoch)
    const { values, length } = group.panes
    for (let i = 0; i < length; i++) if (this.#isMember(values[i]!, epoch)) this.#release(values[i]!)
  }

  #release(pane: number): void {
    this.#host.release(pane)
    this.#panes.close(pane)
  }

  /** Also while they leave. */
  *#membersOf(epoch: number): Generator<number> {
    const group = this.#groups.get(epoch)
    if (group === undefined) return
    for (let i = 0; i < group.panes.length; i++) {
      const pane = group.panes.values[i]!
      if (this.#isMember(pane, epoch)) yield pane
    }
  }

  #isMember(pane: number, epoch: number): boolean {
    return this.#panes.phaseOf(pane) !== Phase.None && this.#panes.groupOf(pane) === epoch
  }

  /** The row of the pane is in the files of the cut in hand. */
  #joinThis(pane: number): void {
    if (this.#readers.newest && this.#mayChange) {
      this.#panes.setGroup(pane, this.#at.epoch)
      this.#count(this.#at.epoch, pane, true)
    } else if (this.#panes.phaseOf(pane) === Phase.Closed) this.#closing.push(pane)
  }

  /** The row of the pane leaves the files that it is in, so these are replaced. */
  #leave(pane: number): void {
    const epoch = this.#panes.groupOf(pane)
    if (epoch < 0) return
    this.#replaced.add(epoch)
    this.#quit(pane)
  }

  #quit(pane: number): void {
    const epoch = this.#panes.groupOf(pane)
    if (epoch < 0) return
    this.#uncount(epoch, pane)
    this.#panes.setGroup(pane, -1)
    if (this.#groups.get(epoch)!.size === 0) this.#groups.delete(epoch)
  }

  #count(epoch: number, pane: number, isNew: boolean): void {
    let group = this.#groups.get(epoch)
    if (group === undefined) {
      group = { size: 0, open: 0, panes: new IntList() }
      this.#groups.set(epoch, group)
    }
    if (isNew) group.panes.push(pane)
    group.size++
    if (this.#panes.phaseOf(pane) !== Phase.Closed) group.open++
  }

  #uncount(epoch: number, pane: number): void {
    const group = this.#groups.get(epoch)!
    group.size--
    if (this.#panes.phaseOf(pane) !== Phase.Closed) group.open--
  }
}
