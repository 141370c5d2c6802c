import { grownFloat64, grownInt32, grownUint8 } from './accumulate/growth.ts'
import { IntList } from './int-list.ts'

/** Where a pane is on its way; see `ResultBook`. */
export const Phase = { None: 0, Waiting: 1, Refined: 2, Final: 3, Closed: 4 } as const
export type Phase = (typeof Phase)[keyof typeof Phase]

/** What is at rest of panes beside keys and sums: a column each. */
export interface PaneStatesJson {
  /** −1 before the first writing. */
  readonly revisions: readonly number[]
  /** 1 where rows came after the last writing. */
  readonly changed: readonly number[]
  /** Absent in what was written before there were phases. */
  readonly phases?: readonly Phase[]
  /** 1 where what was written has been retracted since. Absent where that is so of none. */
  readonly retracted?: readonly number[]
  /** The epoch of the merge that wrote the row, −1 for none. */
  readonly groups?: readonly number[]
  /** The topics that have the row: a bit each, in the order of `topicNames`. */
  readonly topics?: readonly number[]
  /** Absent in what was written before they were: then the order is that of the program. */
  readonly topicNames?: readonly string[]
  /** Since the last writing. */
  readonly rowsSince?: readonly number[]
  /** The `nowMs` of the last writing, or of the cut that saw the pane first. */
  readonly writtenMs?: readonly number[]
}

export interface PaneStatesOptions {
  readonly groups: boolean
  readonly topics: boolean
  /** In the order of their bits. */
  readonly topicNames: readonly string[]
  readonly rows: boolean
  readonly times: boolean
}

const CHANGED = 1
/** What was written of the pane is still so. */
const STANDING = 2
/** Something of it is not in the snapshots yet. */
const TOUCHED = 4
/** It is in the snapshots. */
const KNOWN = 8

/** What the merge knows of each pane, by its dense index; and of which panes it has changed since the last snapshot. */
export class PaneStates {
  readonly #options: PaneStatesOptions
  #capacity = 0
  #phases = new Uint8Array(0)
  #flags = new Uint8Array(0)
  #revisions = new Int32Array(0)
  #groups = new Int32Array(0)
  #topics = new Int32Array(0)
  #rows = new Float64Array(0)
  #writtenMs = new Float64Array(0)
  /** Panes with TOUCHED; also some that have lost it. */
  readonly #touched = new IntList()

  constructor(options: PaneStatesOptions) {
    this.#options = options
  }

  open(pane: number): void {
    const { groups, topics, rows, times } = this.#options
    this.#reserve(pane + 1)
    this.#phases[pane] = Phase.Waiting
    this.#flags[pane] = 0
    this.#revisions[pane] = -1
    if (groups) this.#groups[pane] = -1
    if (topics) this.#topics[pane] = 0
    if (rows) this.#rows[pane] = 0
    if (times) this.#writtenMs[pane] = -Infinity
    this.#touch(pane)
  }

  close(pane: number): void {
    this.#phases[pane] = Phase.None
    this.#flags[pane] = 0
  }

  phaseOf(pane: number): Phase {
    return (this.#phases[pane] ?? Phase.None) as Phase
  }

  setPhase(pane: number, phase: Phase): void {
    this.#phases[pane] = phase
    this.#touch(pane)
  }

  isChanged(pane: number): boolean {
    return (this.#flags[pane]! & CHANGED) !== 0
  }

  /** Rows have come. */
  change(pane: number, rows: number): void {
    this.#flags[pane]! |= CHANGED
    if (this.#options.rows) this.#rows[pane]! += rows
    this.#touch(pane)
  }

  /** The next revision is written. */
  written(pane: number, nowMs: number): void {
    this.#revisions[pane]!++
    this.#flags[pane] = (this.#flags[pane]! & ~CHANGED) | STANDING
    if (this.#options.rows) this.#rows[pane] = 0
    if (this.#options.times) this.#writtenMs[pane] = nowMs
    this.#touch(pane)
  }

  isStanding(pane: number): boolean {
    return (this.#flags[pane]! & STANDING) !== 0
  }

  retract(pane: number): void {
    this.#flags[pane]! &= ~STANDING
    this.#touch(pane)
  }

  revisionOf(pane: number): number {
    return this.#revisions[pane]!
  }

  /** −1: of none. */
  groupOf(pane: number): number {
    return this.#options.groups ? this.#groups[pane]! : -1
  }

  setGroup(pane: number, epoch: number): void {
    if (!this.#options.groups) return
    this.#groups[pane] = epoch
    this.#touch(pane)
  }

  /** A bit for each topic. All of them where no topic is choosy. */
  topicsOf(pane: number): number {
    return this.#options.topics ? this.#topics[pane]! : -1
  }

  setTopics(pane: number, topics: number): void {
    if (!this.#options.topics) return
    this.#topics[pane] = topics
    this.#touch(pane)
  }

  /** Since the last writing. */
  rowsOf(pane: number): number {
    return this.#rows[pane]!
  }

  /** −∞ where no cut has seen the pane. */
  writtenMsOf(pane: number): number {
    return this.#writtenMs[pane]!
  }

  setWrittenMs(pane: number, ms: number): void {
    this.#writtenMs[pane] = ms
    this.#touch(pane)
  }

  /** Whether a snapshot has the pane: one that it has must be told that the pane is gone. */
  isKnown(pane: number): boolean {
    return (this.#flags[pane]! & KNOWN) !== 0
  }

  /** Takes the panes that a snapshot is to have, `max` at a time: all, or those of which it does not have the newest. */
  *takeForSnapshot(kind: 'full' | 'changes', max: number): Generator<readonly number[]> {
    const candidates = kind === 'full' ? this.#phases.length : this.#touched.length
    let part: number[] = []
    for (let i = 0; i < candidates; i++) {
      const pane = kind === 'full' ? i : this.#touched.values[i]!
      if (this.#phases[pane] === Phase.None) continue
      if (kind === 'changes' && (this.#flags[pane]! & TOUCHED) === 0) continue
      this.#flags[pane] = (this.#flags[pane]! & ~TOUCHED) | KNOWN
      part.push(pane)
      if (part.length < max) continue
      yield part
      part = []
    }
    this.#touched.clear()
    if (part.length > 0) yield part
  }

  /** The columns of some panes. */
  write(panes: readonly number[]): PaneStatesJson {
    const { groups, topics, topicNames, rows, times } = this.#options
    const retracted = panes.map((pane) => (this.#revisions[pane]! >= 0 && !this.isStanding(pane) ? 1 : 0))
    return {
      revisions: panes.map((pane) => this.#revisions[pane]!),
      changed: panes.map((pane) => this.#flags[pane]! & CHANGED),
      phases: panes.map((pane) => this.phaseOf(pane)),
      ...(retracted.includes(1) ? { retracted } : {}),
      ...(groups ? { groups: panes.map((pane) => this.#groups[pane]!) } : {}),
      ...(topics ? { topics: panes.map((pane) => this.#topics[pane]!), topicNames } : {}),
      ...(rows ? { rowsSince: panes.map((pane) => this.#rows[pane]!) } : {}),
      ...(times ? { writtenMs: panes.map((pane) => this.#writtenMs[pane]!) } : {}),
    }
  }

  /** Reads a pane from an index of the columns, over what it was. */
  read(pane: number, json: PaneStatesJson, index: number): void {
    const { groups, topics, rows, times } = this.#options
    this.#reserve(pane + 1)
    const revision = json.revisions[index]!
    this.#revisions[pane] = revision
    // Before there were phases a pane fired once W had passed it for good.
    this.#phases[pane] = json.phases?.[index] ?? (revision < 0 ? Phase.Waiting : Phase.Final)
    const isStanding = revision >= 0 && (json.retracted?.[index] ?? 0) === 0
    this.#flags[pane] = (json.changed[index]! & CHANGED) | (isStanding ? STANDING : 0) | KNOWN
    if (groups) this.#groups[pane] = json.groups?.[index] ?? -1
    if (topics) this.#topics[pane] = this.#topicsIn(json, index) ?? (isStanding ? -1 : 0)
    if (rows) this.#rows[pane] = json.rowsSince?.[index] ?? 0
    if (times) this.#writtenMs[pane] = json.writtenMs?.[index] ?? -Infinity
  }

  /** The program may have got topics since, and lost some. */
  #topicsIn({ topics, topicNames }: PaneStatesJson, index: number): number | undefined {
    const bits = topics?.[index]
    const own = this.#options.topicNames
    if (bits === undefined || topicNames === undefined) return bits
    return own.reduce((mapped, name, bit) => {
      const at = topicNames.indexOf(name)
      return at >= 0 && (bits & (1 << at)) !== 0 ? mapped | (1 << bit) : mapped
    }, 0)
  }

  #reserve(panes: number): void {
    if (panes <= this.#capacity) return
    const { groups, topics, rows, times } = this.#options
    this.#phases = grownUint8(this.#phases, panes)
    this.#flags = grownUint8(this.#flags, panes)
    this.#revisions = grownInt32(this.#revisions, panes)
    if (groups) this.#groups = grownInt32(this.#groups, panes)
    if (topics) this.#topics = grownInt32(this.#topics, panes)
    if (rows) this.#rows = grownFloat64(this.#rows, panes)
    if (times) this.#writtenMs = grownFloat64(this.#writtenMs, panes)
    // Each grows by its own measure.
    this.#capacity = Math.min(
      this.#phases.length,
      this.#flags.length,
      this.#revisions.length,
      ...(groups ? [this.#groups.length] : []),
      ...(topics ? [this.#topics.length] : []),
      ...(rows ? [this.#rows.length] : []),
      ...(times ? [this.#writtenMs.length] : []),
    )
  }

  #touch(pane: number): void {
    const flags = this.#flags[pane]!
    if ((flags & TOUCHED) !== 0) return
    this.#flags[pane] = flags | TOUCHED
    this.#touched.push(pane)
  }
}
