import type { LeaseBoard } from './lease-board.ts'
import type { LeaseBody } from './lease-objects.ts'
import { shareTasks } from './lease-share.ts'
import type { LeaseTasks } from './lease-tasks.ts'

/** What is to come after the newest lease of a task. */
export interface Turn {
  readonly task: string
  readonly body: LeaseBody
}

export interface LeaseFacts {
  readonly me: string
  readonly board: LeaseBoard
  readonly tasks: LeaseTasks
  /** Since when nobody has had a task, in watched time. Kept here from look to look. */
  readonly vacantSinceMs: Map<string, number>
  /** A task that nobody has had for so long is anybody's: whoever it fell to does not come. */
  readonly patienceMs: number
}

export interface NextTurns {
  readonly turns: Turn[]
  /** Tasks are on their way to somebody: it pays to look again soon. */
  readonly isWaiting: boolean
}

/** What falls to one member, as its last look shows it. */
export function nextTurns(facts: LeaseFacts): NextTurns {
  const { me, board, patienceMs, vacantSinceMs } = facts
  const holdings = holdingsOf(facts)
  const shares = shareTasks({
    members: board.alive(),
    holders: new Map([...holdings].map(([task, { holder }]) => [task, holder])),
    fixed: new Set([...holdings].filter(([, { isFixed }]) => isFixed).map(([task]) => task)),
  })
  for (const task of vacantSinceMs.keys()) {
    if (holdings.get(task)?.isVacant !== true) vacantSinceMs.delete(task)
  }
  const turns: Turn[] = []
  let isWaiting = false
  for (const [task, { holder, isVacant, isFixed }] of holdings) {
    const lease = board.leases.get(task)?.body ?? null
    if (isVacant) {
      const sinceMs = vacantSinceMs.get(task) ?? board.watchedMs
      vacantSinceMs.set(task, sinceMs)
      const isOverdue = board.watchedMs - sinceMs >= patienceMs
      const isForMe = holder === null ? shares.get(task) === me : holder === me
      if (isForMe || isOverdue) turns.push({ task, body: { owner: me, handTo: null, state: 'held' } })
      isWaiting = true
    } else if (lease !== null && lease.owner !== me) {
      const isForMe = !isFixed && shares.get(task) === me
      if (isForMe) turns.push({ task, body: { ...lease, handTo: me } })
      if (isForMe || lease.handTo === me) isWaiting = true
    }
  }
  return { turns, isWaiting }
}

interface Holding {
  /** Who has the task, or is about to; null where it is anybody's. */
  readonly holder: string | null
  /** Nobody who lives has the lease. */
  readonly isVacant: boolean
  /** It cannot be asked for now. */
  readonly isFixed: boolean
}

/** All that counts for the shares: what is to be run, and what others run that is unknown here. */
function holdingsOf({ board, tasks }: LeaseFacts): Map<string, Holding> {
  const holdings = new Map<string, Holding>()
  const alive = new Set(board.alive())
  const vacant: Holding = { holder: null, isVacant: true, isFixed: false }
  const due = new Set(tasks.due())
  for (const task of [...new Set([...due, ...board.leases.keys()])].sort()) {
    if (tasks.ended.has(task)) continue
    const lease = board.leases.get(task)
    if (lease === undefined) holdings.set(task, vacant)
    // It changes at this moment: the next look tells.
    if (lease === undefined || lease.body === null) continue
    const { state, owner, handTo } = lease.body
    const heir = board.heirOf(owner)
    if (state === 'held' && board.isAlive(owner)) {
      const next = handTo !== null && alive.has(handTo) ? handTo : null
      // An owner that has come while the list was read is none to count with yet.
      if (!alive.has(owner)) continue
      holdings.set(task, {
        holder: next ?? owner,
        isVacant: false,
        isFixed: next !== null || !tasks.knows(task),
      })
    } else if (due.has(task)) {
      const isInherited = state === 'held' && alive.has(heir)
      holdings.set(task, isInherited ? { holder: heir, isVacant: true, isFixed: true } : vacant)
    }
  }
  return holdings
}
