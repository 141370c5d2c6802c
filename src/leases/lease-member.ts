import { messageOf, PipelineError } from '../errors.ts'
import type { Assignment, Clock, Log, ObjectStore } from '../ports.ts'
import { Bell, settlesWithin } from './bell.ts'
import { Heartbeat } from './heartbeat.ts'
import { LeaseBoard, type SeenLease } from './lease-board.ts'
import type { LeaseTimes } from './lease-membership.ts'
import type { LeaseBody, LeaseKeys } from './lease-objects.ts'
import type { LeaseTasks } from './lease-tasks.ts'
import { nextTurns, type Turn } from './lease-turns.ts'
import { sweep } from './sweep.ts'

/** What a member's tenure is reported to. */
export interface LeaseHost {
  assigned(assignment: Assignment): void
  revoked(tasks: readonly string[]): Promise<void>
  /** There may be partitions that nobody here has heard of. */
  refresh(): void
}

export interface LeaseMemberOptions {
  readonly id: string
  readonly name: string | null
  /** What this process was before. */
  readonly former: readonly string[]
  readonly tasks: LeaseTasks
  /** Tasks whose end this process knows of itself, and has to tell the others. */
  readonly endedHere: ReadonlySet<string>
  readonly store: ObjectStore
  readonly keys: LeaseKeys
  readonly times: LeaseTimes
  readonly clock: Clock
  readonly log: Log
  readonly host: LeaseHost
}

/** Why a tenure is over: nothing was heard of us for too long, another process has our name, we have left. */
export type TenureEnd = 'lost' | 'superseded' | 'left'

/** A task that others are to have. */
interface Release {
  isLetGo: boolean
}

/** While a task has no owner its next one is not to wait for a heartbeat. */
const LOOKS_PER_HEARTBEAT_MOVING = 5
/** Requests at once. What is beyond them comes directly after. */
const TURNS_MAX = 64

/**
 * One tenure in the group, under an id of its own. It looks at the leases, does what falls to it, looks again, and tells the host what it has: what counts is
 * what a look shows, so an answer that got lost on the way needs no other treatment than the next look.
 */
export class LeaseMember {
  readonly #options: LeaseMemberOptions
  readonly #board: LeaseBoard
  readonly #bell: Bell
  readonly #strange = new Set<string>()
  readonly #releases = new Map<string, Release>()
  readonly #vacantSinceMs = new Map<string, number>()
  #heartbeat: Heartbeat | null = null
  #told: ReadonlySet<string> | null = null
  #toldAll = ''
  #isMoving = false
  #end: TenureEnd | null = null
  #step: Promise<void> = Promise.resolve()

  constructor(options: LeaseMemberOptions) {
    this.#options = options
    const { store, keys, clock, times } = options
    this.#bell = new Bell(clock)
    const { heartbeatMs, ttlMs } = times
    this.#board = new LeaseBoard({ store, keys, clock, heartbeatMs, ttlMs })
  }

  get id(): string {
    return this.#options.id
  }

  /** Whether the host has been given tasks. */
  get hasTold(): boolean {
    return this.#told !== null
  }

  /** Looks who is there, and joins them. Throws as the store does. */
  async enter(): Promise<void> {
    const { id, name, former, store, keys, times, clock, log } = this.#options
    await this.#board.look()
    const namesakes = [...this.#board.members.values()].filter(
      ({ body }) => name !== null && body?.name === name,
    )
    const supersedes = [...new Set([...former, ...namesakes.map((member) => member.id)])]
    const body = { name, ttlMs: times.ttlMs, startedMs: clock.nowMs(), supersedes }
    this.#heartbeat = new Heartbeat({ id, body, store, keys, times, clock, log })
    await this.#heartbeat.start()
    const fields = { member: id, ...(name === null ? {} : { name }) }
    log.info(supersedes.length === 0 ? fields : { ...fields, supersedes }, 'shares tasks by leases')
  }

  /** Until the tenure ends. Throws what no retry can mend. */
  async run(): Promise<TenureEnd> {
    const beating = this.#heartbeat!.run().then(() => this.#over('lost'))
    try {
      await Promise.race([beating, this.#work()])
    } finally {
      this.#over('lost')
    }
    return this.#end!
  }

  /** There is something to do now. */
  ring(): void {
    this.#bell.ring()
  }

  /** Whether all that the host was told to run is ours, as a look shows that began after this call. Never rejects. */
  async confirm(): Promise<boolean> {
    const told = this.#told
    if (told === null) return false
    try {
      await this.#board.look()
      if (!this.#stands()) return false
      const holds = [...told].every((task) => this.#isMine(task))
      if (!holds) this.#settle()
      return holds
    } catch (error) {
      this.#options.log.debug({ error: messageOf(error) }, 'the leases could not be looked at')
      return false
    }
  }

  /** Gives everything back. Throws as the store does. */
  async leave(): Promise<void> {
    this.#over('left')
    await this.#step.catch(() => {})
    try {
      await this.#board.look()
      const ends = this.#ends()
      const given = [...this.#board.leases]
        .filter(([task]) => this.#isMine(task) && !ends.some((end) => end.task === task))
        .map(([task, lease]) => ({ task, body: this.#handedOver(lease) }))
      await this.#take([...ends, ...given])
    } finally {
      await this.#heartbeat?.remove()
    }
  }

  #over(end: TenureEnd): void {
    this.#end ??= end
    this.#heartbeat?.stop()
    this.#bell.ring()
  }

  async #work(): Promise<void> {
    const { times, log } = this.#options
    const soonMs = times.heartbeatMs / LOOKS_PER_HEARTBEAT_MOVING
    while (this.#end === null) {
      let delayMs = soonMs
      try {
        this.#step = this.#once()
        await this.#step
        if (!this.#isMoving) delayMs = times.heartbeatMs
      } catch (error) {
        if (!isRetryable(error)) throw error
        log.debug(
          { member: this.id, error: messageOf(error) },
          'the leases cannot be looked at, trying again',
        )
      }
      if (this.#end === null) await this.#bell.sleep(delayMs)
    }
  }

  async #once(): Promise<void> {
    const { tasks, times, store, keys } = this.#options
    await this.#board.look()
    if (!this.#stands()) return
    this.#learn()
    // Before the first assignment there is nothing to lose, and all that is free is to be in it.
    if (this.#told !== null) this.#settle()
    const { turns, isWaiting } = nextTurns({
      me: this.id,
      board: this.#board,
      tasks,
      vacantSinceMs: this.#vacantSinceMs,
      patienceMs: times.ttlMs,
    })
    turns.unshift(...this.#ends(), ...this.#handOvers())
    if (turns.length > 0) {
      await this.#take(turns.slice(0, TURNS_MAX))
      await this.#board.look()
      if (!this.#stands()) return
      if (turns.length > TURNS_MAX) this.#bell.ring()
    }
    this.#settle()
    this.#release()
    this.#isMoving = isWaiting || this.#releases.size > 0
    await sweep({ me: this.id, board: this.#board, store, keys, ttlMs: times.ttlMs })
  }

  /** What fails for a while is seen at the next look, and is tried again. */
  async #take(turns: readonly Turn[]): Promise<void> {
    const tries = await Promise.allSettled(turns.map(({ task, body }) => this.#board.turn(task, body)))
    for (const result of tries) {
      if (result.status === 'rejected' && !isRetryable(result.reason)) throw result.reason
    }
  }

  /** Whether we are still in. */
  #stands(): boolean {
    if (this.#end !== null) return false
    if (this.#board.heirOf(this.id) !== this.id) this.#over('superseded')
    else if (!this.#heartbeat!.isFresh || !this.#board.members.has(this.id)) this.#over('lost')
    return this.#end === null
  }

  /** Learns from the last look, and tells the host where that changes what it is to run. */
  #settle(): void {
    const { tasks, host, log } = this.#options
    this.#learn()
    for (const task of this.#releases.keys()) if (!this.#isMine(task)) this.#releases.delete(task)
    const mine = new Set(
      [...this.#board.leases.keys()].filter(
        (task) =>
          this.#isMine(task) && tasks.knows(task) && !tasks.ended.has(task) && !this.#releases.has(task),
      ),
    )
    const all = tasks.all((task) => this.#board.leases.get(task)?.body?.state === 'held')
    const toldAll = all.map(({ id }) => id).join(' ')
    const isSame =
      this.#told?.size === mine.size &&
      [...mine].every((task) => this.#told!.has(task)) &&
      toldAll === this.#toldAll
    if (isSame) return
    this.#told = mine
    this.#toldAll = toldAll
    log.info({ member: this.id, tasks: [...mine] }, 'has leases of tasks')
    host.assigned({ partitions: tasks.partitionsOf(mine), mergeTasks: tasks.mergeTasksOf(mine), all })
  }

  #learn(): void {
    const { tasks, host, log } = this.#options
    let isNews = false
    for (const task of this.#board.ended) if (tasks.end(task)) isNews = true
    for (const task of this.#board.leases.keys()) {
      if (tasks.knows(task) || this.#strange.has(task)) continue
      this.#strange.add(task)
      isNews = true
      if (!tasks.adopt(task)) log.debug({ task }, 'somebody has a lease of a task that is unknown here')
    }
    if (isNews) host.refresh()
  }

  /** Lets go of what others have asked for. */
  #release(): void {
    const asked: string[] = []
    const release: Release = { isLetGo: false }
    for (const [task, { body }] of this.#board.leases) {
      const handTo = body?.handTo ?? null
      if (handTo === null || !this.#isMine(task) || this.#releases.has(task)) continue
      if (this.#options.tasks.ended.has(task) || !this.#board.isAlive(handTo)) continue
      this.#releases.set(task, release)
      asked.push(task)
    }
    if (asked.length > 0) void this.#letGo(asked, release)
  }

  async #letGo(asked: readonly string[], release: Release): Promise<void> {
    const { host, clock, times, log } = this.#options
    log.info({ member: this.id, tasks: asked }, 'lets tasks go that others are to have')
    const released = host
      .revoked(asked)
      .catch((error: unknown) => log.warn({ error: messageOf(error) }, 'tasks could not be let go in order'))
    if (!(await settlesWithin(clock, times.releaseMs, released))) {
      const advice = 'their new owners fence this one, and read again what it has not recorded'
      log.warn({ tasks: asked, releaseMs: times.releaseMs }, `tasks were not let go in time: ${advice}`)
    }
    release.isLetGo = true
    this.#bell.ring()
  }

  /** Whoever has the lease by now: that the task is over is a fact. */
  #ends(): Turn[] {
    return [...this.#options.endedHere]
      .filter((task) => !this.#board.ended.has(task))
      .map((task) => ({ task, body: { owner: this.id, handTo: null, state: 'ended' } }))
  }

  #handOvers(): Turn[] {
    return [...this.#releases].flatMap(([task, { isLetGo }]) => {
      const lease = this.#board.leases.get(task)
      const isDue =
        isLetGo && lease !== undefined && this.#isMine(task) && !this.#options.tasks.ended.has(task)
      return isDue ? [{ task, body: this.#handedOver(lease) }] : []
    })
  }

  /** To who has asked for it; to anybody where that one is no more. */
  #handedOver({ body }: SeenLease): LeaseBody {
    const next = body?.handTo ?? null
    if (next === null || !this.#board.isAlive(next)) return { owner: this.id, handTo: null, state: 'free' }
    return { owner: next, handTo: null, state: 'held' }
  }

  #isMine(task: string): boolean {
    const body = this.#board.leases.get(task)?.body
    return body?.state === 'held' && body.owner === this.id
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof PipelineError && error.retryable
}
