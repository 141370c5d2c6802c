import type { Clock, ObjectStore } from '../ports.ts'
import {
  encodeLease,
  type LeaseBody,
  type LeaseKeys,
  type MemberBody,
  parseLease,
  parseMember,
} from './lease-objects.ts'

export interface LeaseBoardOptions {
  readonly store: ObjectStore
  readonly keys: LeaseKeys
  readonly clock: Clock
  readonly heartbeatMs: number
  /** How long to wait for members that say nothing of themselves. */
  readonly ttlMs: number
}

export interface SeenMember {
  readonly id: string
  /** All that are there, ascending; the last one counts. */
  readonly numbers: readonly number[]
  /** Null until it has been read. */
  readonly body: MemberBody | null
  /** When the number was last seen to move, in watched time. */
  readonly movedMs: number
}

export interface SeenLease {
  /** The newest. */
  readonly number: number
  /** Null where it could not be read yet: somebody has just gone on. */
  readonly body: LeaseBody | null
  /** That are still there, and mean nothing any more. */
  readonly older: readonly number[]
  /** Since when it is the newest here, in watched time. */
  readonly sinceMs: number
}

const NO_MEMBER: SeenMember = { id: '', numbers: [], body: null, movedMs: 0 }

/**
 * What one member sees of the others: one list of the keys shows everything that has changed, and bodies are read only where a number is new.
 *
 * Who lives is judged by whether their numbers move, within time that was watched: while this process slept, or could not reach the store,
 * nobody's number could be seen to move, so that time counts against nobody.
 */
export class LeaseBoard {
  readonly #options: LeaseBoardOptions
  #members = new Map<string, SeenMember>()
  readonly #leases = new Map<string, SeenLease>()
  readonly #ended = new Set<string>()
  /** Members in whose place others are, and who that is. */
  readonly #heirs = new Map<string, string>()
  /** Owners that have never been seen: since when. They may have come while the list was read. */
  readonly #strangers = new Map<string, number>()
  /** Have been members: whoever was here and is no more has said goodbye, or was swept away long after it died. */
  readonly #known = new Set<string>()
  /** Bodies of our own writing need not be read. */
  readonly #written = new Map<string, LeaseBody>()
  #watchedMs = 0
  #lookedMs: number | null = null
  #last: Promise<void> = Promise.resolve()
  #next: Promise<void> | null = null

  constructor(options: LeaseBoardOptions) {
    this.#options = options
  }

  /** Goes up with time, as long as this member looks. */
  get watchedMs(): number {
    return this.#watchedMs
  }

  get members(): ReadonlyMap<string, SeenMember> {
    return this.#members
  }

  get leases(): ReadonlyMap<string, SeenLease> {
    return this.#leases
  }

  /** Tasks that are over for good. */
  get ended(): ReadonlySet<string> {
    return this.#ended
  }

  /** Whether the member has been heard of within its time to live. */
  isAlive(id: string): boolean {
    if (this.#heirs.has(id)) return false
    const member = this.#members.get(id)
    if (member !== undefined) {
      return this.#watchedMs - member.movedMs < (member.body?.ttlMs ?? this.#options.ttlMs)
    }
    const strangerMs = this.#strangers.get(id)
    return strangerMs !== undefined && this.#watchedMs - strangerMs < this.#options.ttlMs
  }

  /** Those that tasks can be shared among. */
  alive(): string[] {
    return [...this.#members.keys()].filter((id) => this.isAlive(id)).sort()
  }

  /** Who is in the place of a member: itself, mostly. */
  heirOf(id: string): string {
    let heir = id
    // Each of them has put itself in the place of those before it.
    for (let hops = 0; hops < this.#heirs.size && this.#heirs.has(heir); hops++) heir = this.#heirs.get(heir)!
    return heir
  }

  /**
   * Puts the turn of a task that follows the newest one known; false where somebody else was first. Who has it in the end, the next look
   * shows: a number that had been deleted already can be put again, and means nothing.
   */
  async turn(task: string, body: LeaseBody): Promise<boolean> {
    const { store, keys } = this.#options
    // The end of a task is the end of its leases: those who come later are to find it.
    if (this.#ended.has(task)) return false
    const key = keys.lease(task, (this.#leases.get(task)?.number ?? 0) + 1)
    if ((await store.putIfAbsent(key, encodeLease(body))) !== 'created') return false
    this.#written.set(key, body)
    return true
  }

  /** Resolves when a look that began after this call is over. Those that wait share one. */
  look(): Promise<void> {
    if (this.#next === null) {
      const next = this.#last
        .catch(() => {})
        .then(() => {
          this.#next = null
          return this.#look()
        })
      this.#next = next
      this.#last = next
    }
    return this.#next
  }

  async #look(): Promise<void> {
    const { store, keys, clock, heartbeatMs, ttlMs } = this.#options
    const startMs = clock.nowMs()
    // What has ended is listed once: what ends later is seen among the leases, which stay for a while. Who could not look for long may have missed them.
    const isWhole = this.#lookedMs === null || startMs - this.#lookedMs >= ttlMs
    const objects = await store.list(keys.prefix, isWhole ? undefined : keys.beforeMembers)
    const members = new Map<string, number[]>()
    const leases = new Map<string, number[]>()
    for (const { key } of objects) {
      const parsed = keys.parse(key)
      if (parsed?.kind === 'ended') this.#ended.add(parsed.task)
      else if (parsed?.kind === 'member') push(members, parsed.id, parsed.number)
      else if (parsed?.kind === 'lease') push(leases, parsed.task, parsed.number)
    }
    const watched = (ms: number): number => Math.max(0, Math.min(ms, 2 * heartbeatMs))
    this.#watchedMs += this.#lookedMs === null ? 0 : watched(startMs - this.#lookedMs)
    this.#lookedMs = startMs
    // What was listed may be as new as the end of the list. Of one that took an hour, no more counts than of an hour without a look: else nobody is dead before another hour is over.
    const seenMs = this.#watchedMs + watched(clock.nowMs() - startMs)
    const reads = [...this.#seeMembers(members, seenMs), ...this.#seeLeases(leases, seenMs)]
    await Promise.all(reads.map((read) => read()))
    this.#seeStrangers(seenMs)
    this.#written.clear()
  }

  #seeMembers(listed: ReadonlyMap<string, readonly number[]>, seenMs: number): (() => Promise<void>)[] {
    const members = new Map<string, SeenMember>()
    for (const [id, numbers] of listed) {
      const before = this.#members.get(id) ?? NO_MEMBER
      const hasMoved = before.numbers.at(-1) !== numbers.at(-1)
      members.set(id, { id, numbers, body: before.body, movedMs: hasMoved ? seenMs : before.movedMs })
    }
    this.#members = members
    return [...members.values()]
      .filter(({ body }) => body === null)
      .map((member) => () => this.#readMember(member))
  }

  async #readMember({ id, numbers }: SeenMember): Promise<void> {
    const key = this.#options.keys.member(id, numbers.at(-1)!)
    const bytes = await this.#options.store.get(key)
    const seen = this.#members.get(id)
    // It has gone on meanwhile.
    if (bytes === null || seen === undefined) return
    const body = parseMember(key, bytes)
    this.#members.set(id, { ...seen, body })
    for (const former of body.supersedes) {
      // Of several that claim to be in its place, all have to think of the same one.
      const heir = this.#heirs.get(former)
      if (former !== id && (heir === undefined || heir < id)) this.#heirs.set(former, id)
    }
  }

  #seeLeases(listed: ReadonlyMap<string, readonly number[]>, seenMs: number): (() => Promise<void>)[] {
    for (const [task, lease] of this.#leases) {
      if (listed.has(task)) continue
      if (this.#ended.has(task)) this.#leases.delete(task)
      else this.#leases.set(task, { ...lease, older: [] })
    }
    const reads: (() => Promise<void>)[] = []
    for (const [task, numbers] of listed) {
      const number = numbers.at(-1)!
      const older = numbers.slice(0, -1)
      const before = this.#leases.get(task)
      // A list that is not of one moment may miss what has just been put in place of what it has just missed.
      if (before !== undefined && before.number > number) continue
      if (before?.number === number) this.#leases.set(task, { ...before, older })
      else this.#leases.set(task, { number, body: null, older, sinceMs: seenMs })
      if (this.#leases.get(task)!.body === null) reads.push(() => this.#readLease(task, number))
    }
    return reads
  }

  async #readLease(task: string, number: number): Promise<void> {
    const key = this.#options.keys.lease(task, number)
    let body = this.#written.get(key)
    if (body === undefined) {
      const bytes = await this.#options.store.get(key)
      if (bytes === null) return
      body = parseLease(key, bytes)
    }
    this.#leases.set(task, { ...this.#leases.get(task)!, body })
    if (body.state === 'ended') this.#ended.add(task)
  }

  #seeStrangers(seenMs: number): void {
    const owners = new Set([...this.#leases.values()].map(({ body }) => body?.owner ?? ''))
    for (const id of this.#strangers.keys()) {
      if (this.#members.has(id) || !owners.has(id)) this.#strangers.delete(id)
    }
    for (const id of owners) {
      if (!this.#members.has(id) && !this.#known.has(id) && !this.#strangers.has(id)) {
        this.#strangers.set(id, seenMs)
      }
    }
    for (const id of this.#members.keys()) this.#known.add(id)
  }
}

function push(numbers: Map<string, number[]>, name: string, number: number): void {
  const list = numbers.get(name)
  if (list === undefined) numbers.set(name, [number])
  else list.push(number)
}
