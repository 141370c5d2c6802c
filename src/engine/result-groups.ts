import { IntList } from './int-list.ts'
import { type PaneStates, Phase } from './pane-states.ts'

/** The panes of which the rows came into the newest-revision tables in one epoch. */
interface Group {
  size: number
  /** Members that may still fire again. */
  open: number
  /** Those that have left are still listed. */
  readonly panes: IntList
}

/**
 * Newest-revision tables without ever reading one back: which panes have their row in the files of which epoch. A file cannot lose one row, so
 * when a row is no longer so, all others of its epoch move to the epoch in hand, and the old files leave the table.
 */
export class ResultGroups {
  readonly #panes: PaneStates
  readonly #groups = new Map<number, Group>()
  readonly #replaced = new Set<number>()

  constructor(panes: PaneStates) {
    this.#panes = panes
  }

  get epochs(): Iterable<number> {
    return this.#groups.keys()
  }

  /** Epochs of which a row is no longer so, since `takeReplaced`. */
  get replaced(): Iterable<number> {
    return this.#replaced
  }

  takeReplaced(): readonly number[] {
    const replaced = [...this.#replaced]
    this.#replaced.clear()
    return replaced
  }

  /** The row of a pane that is in no group comes into the files of an epoch. */
  join(pane: number, epoch: number): void {
    this.#panes.setGroup(pane, epoch)
    this.#count(epoch, pane, true)
  }

  /** The row of the pane leaves the files that it is in, so these are replaced. */
  leave(pane: number): void {
    const epoch = this.#panes.groupOf(pane)
    if (epoch < 0) return
    this.#replaced.add(epoch)
    this.quit(pane)
  }

  /** The pane is in no group any more. */
  quit(pane: number): void {
    const epoch = this.#panes.groupOf(pane)
    if (epoch < 0) return
    this.#uncount(epoch, pane)
    this.#panes.setGroup(pane, -1)
    if (this.#groups.get(epoch)!.size === 0) this.#groups.delete(epoch)
  }

  /** A pane is about to be closed: it can fire no more of itself. */
  close(pane: number): void {
    const group = this.#groups.get(this.#panes.groupOf(pane))
    if (group !== undefined) group.open--
  }

  /** Also while they leave. */
  *membersOf(epoch: number): Generator<number> {
    const group = this.#groups.get(epoch)
    if (group === undefined) return
    for (let i = 0; i < group.panes.length; i++) {
      const pane = group.panes.values[i]!
      if (this.#isMember(pane, epoch)) yield pane
    }
  }

  /** Forgets a group of which all panes are closed, each of which is then `released`. */
  releaseClosed(epoch: number, release: (pane: number) => void): void {
    const group = this.#groups.get(epoch)
    if (group?.open !== 0) return
    this.#groups.delete(epoch)
    const { values, length } = group.panes
    for (let i = 0; i < length; i++) if (this.#isMember(values[i]!, epoch)) release(values[i]!)
  }

  /** Reads the state of a pane by `read`, with its group. */
  restore(pane: number, read: () => void): void {
    const panes = this.#panes
    const before = panes.phaseOf(pane) === Phase.None ? -1 : panes.groupOf(pane)
    if (before >= 0) this.#uncount(before, pane)
    read()
    const group = panes.groupOf(pane)
    if (group >= 0) this.#count(group, pane, group !== before)
    if (before >= 0 && this.#groups.get(before)!.size === 0) this.#groups.delete(before)
  }

  #isMember(pane: number, epoch: number): boolean {
    return this.#panes.phaseOf(pane) !== Phase.None && this.#panes.groupOf(pane) === epoch
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
