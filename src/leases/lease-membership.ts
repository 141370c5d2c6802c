import { messageOf, PipelineError } from '../errors.ts'
import type {
  Clock,
  Entropy,
  Log,
  Membership,
  MembershipListener,
  MembershipPlace,
  SourcePartition,
} from '../ports.ts'
import { Bell, settlesWithin } from './bell.ts'
import { LeaseMember, type TenureEnd } from './lease-member.ts'
import { LeaseKeys } from './lease-objects.ts'
import { LeaseTasks } from './lease-tasks.ts'

/** In milliseconds, each by the clock of whoever measures it. */
export interface LeaseTimes {
  /** How often a member says that it is alive, and looks at what the others do. At most a third of `ttlMs`. */
  readonly heartbeatMs: number
  /** A member that has not been heard of for so long is out: others take its tasks. */
  readonly ttlMs: number
  /** How long a member may take to let tasks go that another asks for. Must be more than it takes to publish an epoch. */
  readonly releaseMs: number
  /** How often the source is asked for new partitions. */
  readonly refreshMs: number
}

export const LEASE_TIMES: LeaseTimes = {
  heartbeatMs: 5_000,
  ttlMs: 20_000,
  releaseMs: 30_000,
  refreshMs: 30_000,
}

/** What there is to hand out. */
export interface LeaseSource {
  /** All that are read, those that have ended and those whose parents have not ended among them. */
  partitions(place: MembershipPlace): Promise<readonly SourcePartition[]>
  /** One that is known here and no longer listed; null where it is none of this source. */
  partition(id: string): SourcePartition | null
}

export interface LeaseMembershipOptions {
  readonly source: LeaseSource
  /** Of the process, for people; a process that is started again under the name has its old tasks at once. Null: none. */
  readonly name: string | null
  readonly times: LeaseTimes
  readonly world: { readonly clock: Clock; readonly entropy: Entropy; readonly log: Log }
}

/** Timers do not wait for longer than 24 days, and nobody wants to wait for longer than this. */
const TIME_MS_MAX = 3_600_000
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 2_000
/** A goodbye is a courtesy: without it the others wait for the time to live. */
const GOODBYE_MS = 5_000
/** Of this process, in earlier tenures: those before them hold nothing any more. */
const FORMER_MAX = 8

/**
 * Shares the tasks of a pipeline among its processes by leases in the store of the lake (docs/decisions/0009, docs/kinesis.md), as the KCL does in
 * DynamoDB. No coordinator: each member sees the same leases, works out the same shares, and does what falls to it.
 *
 * A lease may be wrong at any time (a process that slept, a clock that runs fast, a put that arrives late): the chains fence whoever is wrong about it.
 */
export class LeaseMembership implements Membership {
  readonly #options: LeaseMembershipOptions
  readonly #stop = new AbortController()
  readonly #refreshBell: Bell
  readonly #endedHere = new Set<string>()
  /** Null once another process has it. */
  #name: string | null
  #former: string[] = []
  #member: LeaseMember | null = null
  #running: Promise<void> = Promise.resolve()
  #tasks: LeaseTasks | null = null

  /** Throws OPTION_INVALID. */
  constructor(options: LeaseMembershipOptions) {
    checkTimes(options.times)
    this.#options = options
    this.#name = options.name
    this.#refreshBell = new Bell(options.world.clock)
  }

  get description(): string {
    const name = this.#name ?? this.#member?.id
    return name === undefined ? 'leases' : `${name}, by leases`
  }

  join(mergeTasks: readonly string[], listener: MembershipListener, place: MembershipPlace): Promise<void> {
    const tasks = new LeaseTasks(this.#options.source, place, mergeTasks)
    this.#tasks = tasks
    return new Promise((resolve, reject) => {
      let isFirst = true
      const first = (): void => {
        isFirst = false
        resolve()
      }
      const life = Promise.race([
        this.#live(tasks, listener, place, first),
        // Its failures end the membership, its end does not.
        this.#keepFresh(tasks).then(() => new Promise<never>(() => {})),
      ])
      this.#running = life.then(first, (error: unknown) => {
        this.#stop.abort('failed')
        if (isFirst) reject(error)
        else listener.failed(error)
      })
    })
  }

  ended(task: string): void {
    this.#endedHere.add(task)
    this.#tasks?.end(task)
    this.#refreshBell.ring()
    this.#member?.ring()
  }

  async confirm(): Promise<boolean> {
    const member = this.#member
    if (member === null || !(await member.confirm())) return false
    return member === this.#member && !this.#isLeaving
  }

  async leave(): Promise<void> {
    const { world } = this.#options
    this.#stop.abort('leaving')
    this.#refreshBell.ring()
    const member = this.#member
    this.#member = null
    const goodbye = member === null ? Promise.resolve() : this.#goodbye(member)
    await settlesWithin(world.clock, GOODBYE_MS, Promise.all([goodbye, this.#running]))
  }

  /** Never rejects. */
  async #goodbye(member: LeaseMember): Promise<void> {
    const { log } = this.#options.world
    try {
      await member.leave()
      log.info({ member: member.id }, 'gave its leases back')
    } catch (error) {
      log.debug({ member: member.id, error: messageOf(error) }, 'could not give its leases back')
    }
  }

  get #isLeaving(): boolean {
    return this.#stop.signal.aborted
  }

  async #live(
    tasks: LeaseTasks,
    listener: MembershipListener,
    place: MembershipPlace,
    first: () => void,
  ): Promise<void> {
    await this.#persist('the partitions cannot be listed', () => tasks.refresh())
    while (!this.#isLeaving) {
      const member = this.#newMember(tasks, listener, place, first)
      await this.#persist('the leases cannot be reached', () => member.enter())
      if (this.#isLeaving) {
        await this.#goodbye(member)
        return
      }
      this.#member = member
      const end = await member.run()
      this.#member = null
      if (this.#isLeaving) return
      this.#bury(member, end)
      if (member.hasTold) listener.lost()
    }
  }

  /** A tenure is over without our doing. */
  #bury(member: LeaseMember, end: TenureEnd): void {
    const { log } = this.#options.world
    if (end === 'superseded') {
      log.warn(
        { member: member.id, name: this.#name },
        'another process has joined under the name of this one, and has its tasks now: each needs a name of its own. Joining again, without a name',
      )
      this.#name = null
      this.#former = []
      return
    }
    log.warn(
      { member: member.id },
      'no heartbeat got through for the time to live, after a pause or a lost connection: others may have the tasks. Joining again',
    )
    this.#former = [...this.#former, member.id].slice(-FORMER_MAX)
  }

  #newMember(
    tasks: LeaseTasks,
    listener: MembershipListener,
    place: MembershipPlace,
    first: () => void,
  ): LeaseMember {
    const { times, world } = this.#options
    return new LeaseMember({
      id: world.entropy.nonce(),
      name: this.#name,
      former: this.#former,
      tasks,
      endedHere: this.#endedHere,
      store: place.store,
      keys: new LeaseKeys(place.prefix),
      times,
      clock: world.clock,
      log: world.log,
      host: {
        assigned: (assignment) => {
          listener.assigned(assignment)
          first()
        },
        revoked: (released) => listener.revoked(released),
        refresh: () => this.#refreshBell.ring(),
      },
    })
  }

  /** Asks the source for new partitions, now and then, and when there is a reason to. Throws what no retry can mend. */
  async #keepFresh(tasks: LeaseTasks): Promise<void> {
    const { times, world } = this.#options
    while (!this.#isLeaving) {
      await this.#refreshBell.sleep(times.refreshMs)
      if (this.#isLeaving) return
      try {
        if (await tasks.refresh()) this.#member?.ring()
      } catch (error) {
        if (!isRetryable(error)) throw error
        world.log.debug({ error: messageOf(error) }, 'the partitions cannot be listed')
      }
    }
  }

  /** Again and again until it works, or we leave. Throws what no retry can mend. */
  async #persist(failure: string, work: () => Promise<unknown>): Promise<void> {
    const { clock, entropy, log } = this.#options.world
    let delayMs = RETRY_MS_MIN
    while (!this.#isLeaving) {
      try {
        await work()
        return
      } catch (error) {
        if (this.#isLeaving) return
        if (!isRetryable(error)) throw error
        const fields = { error: messageOf(error) }
        log[delayMs < RETRY_MS_MAX ? 'debug' : 'warn'](fields, `${failure}, trying again`)
      }
      await clock.sleep(delayMs * (0.5 + entropy.random() / 2), this.#stop.signal)
      delayMs = Math.min(RETRY_MS_MAX, delayMs * 2)
    }
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof PipelineError && error.retryable
}

function checkTimes(times: LeaseTimes): void {
  for (const [name, value] of Object.entries(times)) {
    if (value > 0 && value <= TIME_MS_MAX) continue
    throw new PipelineError('OPTION_INVALID', `leases.${name} is ${value}`, {
      advice: `In milliseconds, more than 0 and at most ${TIME_MS_MAX}, an hour.`,
    })
  }
  const { heartbeatMs, ttlMs } = times
  if (heartbeatMs * 3 <= ttlMs) return
  throw new PipelineError(
    'OPTION_INVALID',
    `leases.heartbeatMs is ${heartbeatMs}, which is more than a third of leases.ttlMs, ${ttlMs}`,
    { advice: 'One heartbeat that is late must not be the end of a member.' },
  )
}
