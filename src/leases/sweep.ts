import type { ObjectStore } from '../ports.ts'
import type { LeaseBoard } from './lease-board.ts'
import type { LeaseKeys } from './lease-objects.ts'

export interface SweepOptions {
  readonly me: string
  readonly board: LeaseBoard
  readonly store: ObjectStore
  readonly keys: LeaseKeys
  readonly ttlMs: number
}

/** Dead members and ended tasks stay for so many times to live, until everybody who lives has seen what became of them. */
const SWEEP_TTLS = 3
/** At once. The rest comes the next time. */
const DELETES_MAX = 64

/** Deletes what means nothing any more: an owner the old leases of its tasks, one of the members what belongs to nobody. Throws as the store does. */
export async function sweep(options: SweepOptions): Promise<void> {
  const { me, board, store } = options
  const isSweeper = board.alive()[0] === me
  const keys = [...oldLeases(options, isSweeper)]
  if (isSweeper) {
    keys.push(...deadMembers(options))
    await retireEnded(options)
  }
  await Promise.all(keys.slice(0, DELETES_MAX).map((key) => store.delete(key)))
}

function* oldLeases({ me, board, keys }: SweepOptions, isSweeper: boolean): Iterable<string> {
  for (const [task, { body, older }] of board.leases) {
    if (body === null) continue
    if (body.owner !== me && !(isSweeper && !board.isAlive(body.owner))) continue
    for (const number of older) yield keys.lease(task, number)
  }
}

function* deadMembers({ me, board, keys, ttlMs }: SweepOptions): Iterable<string> {
  for (const { id, numbers, body, movedMs } of board.members.values()) {
    if (id === me || board.watchedMs - movedMs < SWEEP_TTLS * (body?.ttlMs ?? ttlMs)) continue
    for (const number of numbers) yield keys.member(id, number)
  }
}

/** The mark of an ended task stays: members that come later read it once, when they come. */
async function retireEnded({ board, store, keys, ttlMs }: SweepOptions): Promise<void> {
  const retired = [...board.leases].filter(
    ([task, { sinceMs }]) => board.ended.has(task) && board.watchedMs - sinceMs >= SWEEP_TTLS * ttlMs,
  )
  for (const [task, { number, older }] of retired.slice(0, DELETES_MAX)) {
    await store.put(keys.ended(task), new Uint8Array())
    for (const old of [...older, number]) await store.delete(keys.lease(task, old))
  }
}
