/** Who has what, as one look at the leases shows it. */
export interface LeaseShares {
  /** That are alive. */
  readonly members: readonly string[]
  /** Each task that somebody is to have, with the member that has it, or is about to have it; null where nobody does. */
  readonly holders: ReadonlyMap<string, string | null>
  /** Tasks that cannot move now: they do already, or this member knows nothing of them. */
  readonly fixed: ReadonlySet<string>
}

/**
 * Who is to have what: evenly within one, and moving as little as that allows. Every member works it out for itself and does what falls to it, so
 * those that see the same do not get in each other's way; ties are broken by a hash of task and member (rendezvous), so no member is
 * everybody's first choice. Gives all tasks that have a holder then, which is all of them where there is a member.
 */
export function shareTasks({ members, holders, fixed }: LeaseShares): ReadonlyMap<string, string> {
  const tasksOf = new Map<string, string[]>([...members].sort().map((member) => [member, []]))
  const free: string[] = []
  for (const [task, holder] of holders) {
    const tasks = holder === null ? undefined : tasksOf.get(holder)
    if (tasks === undefined) free.push(task)
    else tasks.push(task)
  }
  if (tasksOf.size === 0) return new Map()
  for (const task of free.sort()) bestOf(lightest(tasksOf), (member) => weigh(task, member))[1].push(task)
  level(tasksOf, fixed)
  return new Map([...tasksOf].flatMap(([member, tasks]) => tasks.map((task) => [task, member])))
}

type Held = [member: string, tasks: string[]]

/** Moves tasks one by one from who has most to who has fewest, as long as they are two apart. */
function level(tasksOf: Map<string, string[]>, fixed: ReadonlySet<string>): void {
  const givers = [...tasksOf].filter(([, tasks]) => tasks.some((task) => !fixed.has(task)))
  while (givers.length > 0) {
    const [receiver, fewest] = lightest(tasksOf)[0]!
    const giver = givers.reduce((most, other) => (other[1].length > most[1].length ? other : most))
    const [, tasks] = giver
    if (tasks.length - fewest.length < 2) return
    const movable = tasks.filter((task) => !fixed.has(task))
    if (movable.length === 0) {
      givers.splice(givers.indexOf(giver), 1)
      continue
    }
    const task = movable.reduce((best, other) =>
      weigh(other, receiver) > weigh(best, receiver) ? other : best,
    )
    tasks.splice(tasks.indexOf(task), 1)
    fewest.push(task)
  }
}

function lightest(tasksOf: ReadonlyMap<string, string[]>): Held[] {
  let fewest = Infinity
  for (const tasks of tasksOf.values()) fewest = Math.min(fewest, tasks.length)
  return [...tasksOf].filter(([, tasks]) => tasks.length === fewest)
}

function bestOf(held: readonly Held[], score: (member: string) => number): Held {
  return held.reduce((best, other) => (score(other[0]) > score(best[0]) ? other : best))
}

/** FNV-1a with a last stir (that of MurmurHash3), so that names that differ in one digit are far apart. */
function weigh(task: string, member: string): number {
  let hash = 0x811c9dc5
  for (const text of [task, '/', member]) {
    for (let index = 0; index < text.length; index++) {
      hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
    }
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
