import type { ColumnBatch } from '../columns/column.ts'
import type { AggregateNode } from '../topology/node.ts'
import type { KeyJson } from './key-codec.ts'
import { type FireAt, FiredRows, type MergeWindow, type MergeWindowOptions } from './merge-window.ts'
import { OrderedPanes } from './ordered-panes.ts'
import type { KeyedStatesJson } from './ordered-partial.ts'
import { appendKeyAndBounds, appendNulls } from './ordered-row.ts'
import { type PaneStatesJson, Phase } from './pane-states.ts'
import type { ResultPlan } from './plan.ts'
import { ResultBook } from './result-book.ts'
import { floorFromJson, floorToJson, type SessionPartialJson } from './session-partial.ts'
import { countsRows } from './row-adder.ts'
import { areOne, type SessionExtent, type SessionPart, union } from './session-parts.ts'

/** Sessions at rest. `gone` is of changes, and comes before what is there; a pane that is there replaces what was known of it. */
export interface SessionSnapshotJson extends KeyedStatesJson, PaneStatesJson {
  readonly gone: readonly number[]
  readonly panes: readonly number[]
  /** [start, end, floor or null, …] */
  readonly parts: readonly (readonly (number | null)[])[]
  /** [start, end] as last written; null where nothing was. */
  readonly written: readonly (readonly [number, number] | null)[]
}

interface SessionsOfKey {
  readonly text: string
  readonly key: readonly KeyJson[]
  /** By start. */
  sessions: Session[]
  /** No session is longer. */
  spanMs: number
}

interface Session {
  readonly of: SessionsOfKey
  readonly pane: number
  extent: SessionExtent
  written: readonly [startMs: number, endMs: number] | null
}

/** Of a snapshot. */
const PART_PANES_MAX = 20_000

/**
 * The sessions of all partitions: grow by what partials add, are joined by the rule of `areOne` until nothing changes, and fire through the book of results. What comes
 * out does not depend on the order of the partials, and not on when it fires: a session that W has passed by its allowed lateness is below the floor of every row to come, or
 * out of its reach.
 */
export class SessionMergeWindow implements MergeWindow {
  readonly plan: ResultPlan
  readonly fired: FiredRows
  /** Of sessions, of some 700 bytes each for short keys. */
  readonly panesMax = 2_000_000
  readonly #latenessMs: number
  readonly #keys = new Map<string, SessionsOfKey>()
  /** By pane. */
  readonly #sessions: (Session | undefined)[] = []
  readonly #panes: OrderedPanes
  readonly #book: ResultBook
  readonly #gone = new Set<number>()
  readonly #countsRows: boolean
  readonly #hasTopics: boolean
  /** What has been retracted since the last `clear`, and the sessions that have been written. */
  readonly #retractedRows = new Map<string, number>()
  #writtenSessions: Session[] = []
  /** Floors that the slowest source has passed matter no more: the sessions that they kept off are closed. */
  #passedMs = -Infinity

  constructor(options: MergeWindowOptions, node: AggregateNode) {
    const { plan } = options
    this.plan = plan
    this.fired = new FiredRows(plan)
    this.#latenessMs = node.allowedLatenessMs
    this.#countsRows = countsRows(plan)
    this.#hasTopics = options.readers.topics.length > 0
    this.#panes = new OrderedPanes(plan)
    this.#book = new ResultBook(
      options,
      {
        endMsOf: (pane) => this.#sessions[pane]!.extent.endMs,
        appendRow: (pane, batch) => this.#appendRow(pane, batch),
        appendRetracted: (pane, batch) => this.#appendRetracted(this.#sessions[pane]!, batch),
        release: (pane) => this.#release(pane),
      },
      this.fired,
    )
  }

  get openPanes(): number {
    return this.#panes.open
  }

  get earlyDueMs(): number {
    return this.#book.earlyDueMs
  }

  get liveEpochs(): Iterable<number> {
    return this.#book.liveEpochs
  }

  fold(json: unknown): void {
    const partial = json as SessionPartialJson
    const keys = partial.keys.map((key) => this.#keyOf(key))
    for (let i = 0; i < partial.of.length; i++) {
      const part = {
        startMs: partial.startsMs[i]!,
        endMs: partial.endsMs[i]!,
        floorMs: this.#floorOf(floorFromJson(partial.floorsMs[i]!)),
      }
      const rows = this.#countsRows ? Number(partial.states.at(-1)![i]) : 1
      const session = this.#sessionWith(keys[partial.of[i]!]!, part, rows)
      this.#panes.add(session.pane, partial.states, i)
    }
  }

  fire(at: FireAt): void {
    this.#book.fire(at)
    this.#keepWhatIsBack()
    // Where all sources are idle, W may be behind the slowest.
    this.#passedMs = Math.max(this.#passedMs, Math.min(at.slowestMs, at.watermarkMs))
  }

  clear(): void {
    this.fired.clear()
    this.#retractedRows.clear()
    this.#writtenSessions = []
  }

  *snapshot(kind: 'full' | 'changes'): Generator<SessionSnapshotJson> {
    const gone = [...this.#gone]
    this.#gone.clear()
    if (kind === 'changes' && gone.length > 0) yield this.#write([], gone)
    for (const panes of this.#book.panes.takeForSnapshot(kind, PART_PANES_MAX)) yield this.#write(panes, [])
  }

  restore(json: unknown): void {
    const snapshot = json as SessionSnapshotJson
    for (const pane of snapshot.gone) this.#forget(pane)
    const keys = snapshot.keys.map((key) => this.#keyOf(key))
    for (let i = 0; i < snapshot.of.length; i++) {
      const pane = snapshot.panes[i]!
      const known = this.#sessions[pane]
      if (known === undefined) this.#panes.takeAt(pane)
      else this.#detach(known)
      const written = snapshot.written[i] ?? null
      const extent = extentFromJson(snapshot.parts[i]!, this.#latenessMs)
      this.#attach({ of: keys[snapshot.of[i]!]!, pane, extent, written })
      this.#panes.read(pane, snapshot.states, i)
      this.#book.restore(pane, snapshot, i)
    }
    this.#panes.listFree()
    for (const key of keys) this.#dropKey(key)
  }

  #forget(pane: number): void {
    const session = this.#sessions[pane]
    if (session === undefined) return
    this.#book.forget(pane)
    this.#remove(session)
  }

  #keyOf(key: readonly KeyJson[]): SessionsOfKey {
    const text = JSON.stringify(key)
    let of = this.#keys.get(text)
    if (of === undefined) {
      of = { text, key, sessions: [], spanMs: 0 }
      this.#keys.set(text, of)
    }
    return of
  }

  #floorOf(floorMs: number): number {
    return floorMs <= this.#passedMs ? -Infinity : floorMs
  }

  /** The session that a part belongs to, after it has joined all that are one with it. */
  #sessionWith(of: SessionsOfKey, part: SessionPart, rows: number): Session {
    let extent: SessionExtent = { startMs: part.startMs, endMs: part.endMs, parts: [part] }
    const joined: Session[] = []
    for (let next = this.#findOne(of, extent); next !== null; next = this.#findOne(of, extent)) {
      this.#detach(next)
      extent = union(this.#withoutPassedFloors(next.extent), extent, this.#latenessMs)
      joined.push(next)
    }
    const into = this.#first(joined)
    let rowsNew = rows
    for (const other of joined) {
      if (other === into) continue
      rowsNew += this.#unwrittenRows(other.pane)
      this.#panes.merge(other.pane, into!.pane)
      this.#removePane(other)
    }
    if (into === null) return this.#open(of, extent, rowsNew)
    const hasMoved = into.extent.startMs !== extent.startMs || into.extent.endMs !== extent.endMs
    into.extent = extent
    this.#attach(into)
    this.#book.touch(into.pane, rowsNew)
    if (hasMoved) this.#book.moved(into.pane)
    return into
  }

  #open(of: SessionsOfKey, extent: SessionExtent, rows: number): Session {
    const session: Session = { of, pane: this.#panes.take(), extent, written: null }
    this.#attach(session)
    this.#book.open(session.pane)
    this.#book.touch(session.pane, rows)
    return session
  }

  /** A session that is one with the extent. Closed ones are of the past, and kept only for their file. */
  #findOne(of: SessionsOfKey, extent: SessionExtent): Session | null {
    const { sessions, spanMs } = of
    for (let i = placeOf(sessions, extent.endMs) - 1; i >= 0; i--) {
      const session = sessions[i]!
      if (session.extent.startMs < extent.startMs - spanMs) break
      if (!areOne(session.extent, extent, this.#latenessMs)) continue
      if (this.#book.panes.phaseOf(session.pane) !== Phase.Closed) return session
    }
    return null
  }

  #withoutPassedFloors(extent: SessionExtent): SessionExtent {
    if (extent.parts.every(({ floorMs }) => floorMs === this.#floorOf(floorMs))) return extent
    const parts = extent.parts.map((part) => ({ ...part, floorMs: this.#floorOf(part.floorMs) }))
    return parts.map(extentOf).reduce((left, right) => union(left, right, this.#latenessMs))
  }

  /** Of sessions that become one, that of which the pane goes on: it was final already, or has been written most often. */
  #first(joined: readonly Session[]): Session | null {
    const { panes } = this.#book
    const rankOf = ({ pane }: Session) =>
      (panes.phaseOf(pane) === Phase.Final ? 2 ** 32 : 0) + panes.revisionOf(pane)
    let first: Session | null = null
    for (const session of joined) if (first === null || rankOf(session) > rankOf(first)) first = session
    return first
  }

  #unwrittenRows(pane: number): number {
    const { panes } = this.#book
    return this.#countsRows && panes.isChanged(pane) ? panes.rowsOf(pane) : 0
  }

  #attach(session: Session): void {
    const { startMs, endMs } = session.extent
    const { of } = session
    this.#sessions[session.pane] = session
    of.spanMs = Math.max(of.spanMs, endMs - startMs)
    // Most keys have one session, and an array that has grown has room for many.
    if (of.sessions.length === 0) of.sessions = [session]
    else of.sessions.splice(placeOf(of.sessions, startMs), 0, session)
  }

  #detach({ of: { sessions }, extent: { startMs }, ...rest }: Session): void {
    let at = placeOf(sessions, startMs) - 1
    while (sessions[at]!.pane !== rest.pane) at--
    sessions.splice(at, 1)
  }

  /** Of a session that is detached. */
  #removePane(session: Session): void {
    const { pane } = session
    if (this.#book.panes.isKnown(pane)) this.#gone.add(pane)
    this.#book.remove(pane)
    this.#sessions[pane] = undefined
    this.#panes.release(pane)
  }

  #release(pane: number): void {
    if (this.#book.panes.isKnown(pane)) this.#gone.add(pane)
    this.#remove(this.#sessions[pane]!)
  }

  #remove(session: Session): void {
    this.#detach(session)
    this.#sessions[session.pane] = undefined
    this.#panes.release(session.pane)
    this.#dropKey(session.of)
  }

  #dropKey({ text, sessions }: SessionsOfKey): void {
    if (sessions.length === 0) this.#keys.delete(text)
  }

  #appendRow(pane: number, batch: ColumnBatch): void {
    const session = this.#sessions[pane]!
    const { startMs, endMs } = session.extent
    const { written } = session
    if (written !== null && (written[0] !== startMs || written[1] !== endMs)) this.#retractWritten(session)
    session.written = [startMs, endMs]
    if (this.#hasTopics) this.#writtenSessions.push(session)
    this.#panes.appendResults(pane, batch, appendKeyAndBounds(batch, session.of.key, [startMs, endMs]))
  }

  /** The row under the old bounds leaves its file as a revision does; but topics know it by these bounds. */
  #retractWritten(session: Session): void {
    const { panes } = this.#book
    const topics = panes.topicsOf(session.pane)
    if (!this.#hasTopics || topics === 0) return
    const { retracted, retractedFrom } = this.fired
    this.#appendRetracted(session, retracted)
    retracted.length++
    retractedFrom.push(topics)
    panes.setTopics(session.pane, 0)
  }

  #appendRetracted(session: Session, batch: ColumnBatch): void {
    const written = session.written ?? [session.extent.startMs, session.extent.endMs]
    this.#retractedRows.set(rowText(session.of, written), batch.length)
    appendNulls(batch, appendKeyAndBounds(batch, session.of.key, written))
  }

  /** A session may come to have the bounds that another had which it has joined: then their row is not to be taken back from topics that have it again. */
  #keepWhatIsBack(): void {
    if (this.#retractedRows.size === 0) return
    for (const { of, pane, written } of this.#writtenSessions) {
      const row = this.#retractedRows.get(rowText(of, written!))
      if (row !== undefined) this.fired.retractedFrom[row]! &= ~this.#book.panes.topicsOf(pane)
    }
  }

  #write(panes: readonly number[], gone: readonly number[]): SessionSnapshotJson {
    const sessions = panes.map((pane) => this.#sessions[pane]!)
    const places = new Map<SessionsOfKey, number>()
    const of = sessions.map((session) => {
      const place = places.get(session.of) ?? places.size
      places.set(session.of, place)
      return place
    })
    return {
      keys: [...places.keys()].map(({ key }) => key),
      of,
      gone,
      panes,
      parts: sessions.map(({ extent }) => extentToJson(extent)),
      written: sessions.map(({ written }) => written),
      states: this.#panes.accumulators.map((accumulator) => panes.map((pane) => accumulator.write(pane))),
      ...this.#book.panes.write(panes),
    }
  }
}

/** The first session that starts after a time. */
function placeOf(sessions: readonly Session[], timeMs: number): number {
  let low = 0
  let high = sessions.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sessions[middle]!.extent.startMs <= timeMs) low = middle + 1
    else high = middle
  }
  return low
}

function rowText({ text }: SessionsOfKey, [startMs, endMs]: readonly [number, number]): string {
  return `${text} ${startMs} ${endMs}`
}

function extentOf(part: SessionPart): SessionExtent {
  return { startMs: part.startMs, endMs: part.endMs, parts: [part] }
}

function extentToJson({ parts }: SessionExtent): readonly (number | null)[] {
  return parts.flatMap(({ startMs, endMs, floorMs }) => [startMs, endMs, floorToJson(floorMs)])
}

function extentFromJson(json: readonly (number | null)[], latenessMs: number): SessionExtent {
  const extents: SessionExtent[] = []
  for (let i = 0; i < json.length; i += 3) {
    extents.push(extentOf({ startMs: json[i]!, endMs: json[i + 1]!, floorMs: floorFromJson(json[i + 2]!) }))
  }
  return extents.reduce((left, right) => union(left, right, latenessMs))
}
