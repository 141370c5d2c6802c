import { assert } from '../../src/errors.ts'

/**
 * Who runs which task: sticky, so that little moves, and cooperative, so that what stays is not interrupted. A task that is to move
 * is given to nobody in the round in which its owner learns of it; the owner records and publishes it, joins again without it, and
 * the next round gives it to its new owner. Two rounds therefore always suffice while the members stay the same.
 *
 * The idea is that of Kafka's cooperative sticky assignor (KIP-429). Simpler here, because every member can run every task.
 */

export interface AssignmentMember {
  readonly id: string
  /** The generation of the group in which `owned` was given to it. */
  readonly generation: number
  /** What it runs now. */
  readonly owned: readonly string[]
}

/** A topic's partitions, or the merge tasks. */
export type TaskGroup = readonly string[]

/**
 * Gives each member its tasks for this round. In total each is to have as many as any other, or one more; the tasks of each group are spread
 * too, as far as that moves nothing more. The result depends on neither the order of the members nor that of what they own.
 */
export function assignTasks(
  groups: readonly TaskGroup[],
  members: readonly AssignmentMember[],
): ReadonlyMap<string, readonly string[]> {
  assert(members.length > 0, 'a group without members has nothing to assign')
  const owners = ownersOf(groups.flat(), members)
  const target = targetOf(groups, members.map(({ id }) => id).toSorted(), owners)
  const ownerInTarget = new Map(
    [...target].flatMap(([member, tasks]) => tasks.map((task) => [task, member] as const)),
  )
  const given = new Map<string, string[]>([...target.keys()].map((member) => [member, []]))
  for (const task of groups.flat()) {
    const member = ownerInTarget.get(task)!
    if ((owners.get(task) ?? member) === member) given.get(member)!.push(task)
  }
  return given
}

/** The live owner of each task that has one. Of two that claim the same, the one of the later generation is right. */
function ownersOf(tasks: readonly string[], members: readonly AssignmentMember[]): Map<string, string> {
  const known = new Set(tasks)
  const owners = new Map<string, string>()
  const byStanding = members.toSorted((a, b) => b.generation - a.generation || (a.id < b.id ? -1 : 1))
  for (const { id, owned } of byStanding) {
    for (const task of owned) if (known.has(task) && !owners.has(task)) owners.set(task, id)
  }
  return owners
}

/** Where every task is to be in the end. */
function targetOf(
  groups: readonly TaskGroup[],
  members: readonly string[],
  owners: ReadonlyMap<string, string>,
): Map<string, string[]> {
  const target = new Map<string, string[]>(members.map((member) => [member, []]))
  for (const [task, owner] of owners) target.get(owner)!.push(task)
  const total = groups.reduce((sum, group) => sum + group.length, 0)
  const quotas = quotasOf(total, target)
  const groupOf = new Map(groups.flatMap((group, index) => group.map((task) => [task, index] as const)))
  const spread = new Spread(groups, groupOf, members.length)
  for (const [member, tasks] of target) {
    target.set(member, spread.keep(tasks, quotas.get(member)!))
  }
  const placed = new Set([...target.values()].flat())
  for (const task of groups.flat()) {
    if (placed.has(task)) continue
    const group = groupOf.get(task)!
    const open = members.filter((member) => target.get(member)!.length < quotas.get(member)!)
    const fewest = open.reduce((best, member) =>
      spread.load(target.get(member)!, group) < spread.load(target.get(best)!, group) ? member : best,
    )
    target.get(fewest)!.push(task)
  }
  return target
}

/** How many tasks each member is to have. Those that have most now get what cannot be divided: this way the fewest tasks move. */
function quotasOf(total: number, owned: ReadonlyMap<string, readonly string[]>): ReadonlyMap<string, number> {
  const least = Math.floor(total / owned.size)
  const extra = total % owned.size
  const byLoad = [...owned].toSorted(([, a], [, b]) => b.length - a.length)
  return new Map(byLoad.map(([member], rank) => [member, rank < extra ? least + 1 : least]))
}

/** Spreads the tasks of each group over the members, besides their number in total. */
class Spread {
  readonly #groups: readonly TaskGroup[]
  readonly #groupOf: ReadonlyMap<string, number>
  readonly #members: number

  constructor(groups: readonly TaskGroup[], groupOf: ReadonlyMap<string, number>, members: number) {
    this.#groups = groups
    this.#groupOf = groupOf
    this.#members = members
  }

  /** The tasks that a member keeps, at most `quota`: it gives up those of which it has most, beyond its share of the group. */
  keep(tasks: readonly string[], quota: number): string[] {
    const kept = tasks.toSorted()
    while (kept.length > quota) {
      const counts = this.#counts(kept)
      const excess = counts.map((count, group) => count - this.#groups[group]!.length / this.#members)
      const most = excess.indexOf(Math.max(...excess.filter((_, group) => counts[group]! > 0)))
      kept.splice(
        kept.findLastIndex((task) => this.#groupOf.get(task) === most),
        1,
      )
    }
    return kept
  }

  /** Who has fewer of the group goes first, then who has fewer in total. */
  load(tasks: readonly string[], group: number): number {
    return this.#counts(tasks)[group]! * (this.#groupOf.size + 1) + tasks.length
  }

  #counts(tasks: readonly string[]): number[] {
    const counts = this.#groups.map(() => 0)
    for (const task of tasks) counts[this.#groupOf.get(task)!]!++
    return counts
  }
}
