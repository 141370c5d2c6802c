import { messageOf, PipelineError, unreachable } from '../../src/errors.ts'
import type {
  Assignment,
  GroupOffset,
  Membership,
  MembershipListener,
  SourcePartition,
  SourceWorld,
} from '../../src/ports.ts'
import { Bell, settlesWithin } from '../../src/leases/bell.ts'
import type {
  GivenTasks,
  GroupCoordinator,
  JoinedMember,
  MemberId,
  PartitionOffset,
  Verdict,
} from './group-coordinator.ts'
import { assignAsLeader } from './group-leader.ts'
import {
  fromTaskList,
  hasGrown,
  type PartitionCounts,
  parsePartitionTask,
  toTaskList,
} from './group-tasks.ts'
import { PublishedOffsets } from './published-offsets.ts'
import { TopicWatch } from './topic-watch.ts'

export interface GroupMemberOptions {
  readonly groupId: string
  readonly coordinator: GroupCoordinator
  /** The topics of the source, with the number of their partitions now. */
  readonly topics: () => Promise<PartitionCounts>
  /** How the source calls a partition. */
  readonly partition: (topic: string, partition: number) => SourcePartition
  readonly heartbeatMs: number
  /** How long `revoked` may take, before others get the tasks all the same. Below the rebalance time-out. */
  readonly releaseMs: number
  /** How often the topics are looked at for new partitions. */
  readonly refreshMs: number
  /** A static member: it is not to give its tasks back when it leaves, because it is to have them again when it is back. */
  readonly isStatic: boolean
  readonly world: SourceWorld
}

const NOBODY: MemberId = { memberId: '', generation: -1 }
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 2_000
/** While a task has no owner its next one is not to wait for a heartbeat. */
const MOVING_HEARTBEAT_MS = 250
/** A goodbye is a courtesy: without it the others wait for the end of the session. */
const GOODBYE_MS = 5_000

/** Why a member stops waiting for what its heartbeats say. */
type HoldEnd = 'released' | 'rejoin' | 'out' | 'left'

/**
 * A member of a Kafka consumer group (the classic protocol, which every broker of this decade speaks), with an assignment of our
 * own: sticky, cooperative, and merge tasks beside the partitions. docs/scale-out.md tells how a task moves.
 *
 * Heartbeats have a timer of their own. As long as the coordinator cannot be reached the member keeps what it has: only the coordinator's own
 * word takes it away, and the chains fence whoever is wrong about that.
 */
export class GroupMember implements Membership {
  readonly #options: GroupMemberOptions
  readonly #bell: Bell
  readonly #stop = new AbortController()
  readonly #offsets: PublishedOffsets
  readonly #watch: TopicWatch
  #mergeTasks: readonly string[] = []
  #listener: MembershipListener | null = null
  #member: MemberId = NOBODY
  /** What the listener runs; null while it has no assignment. */
  #owned: readonly string[] | null = null
  /** As the current assignment says. */
  #counts: PartitionCounts = new Map()
  #mustRejoin = false
  #isMoving = false
  /** In the group, and not on the way into a new generation. */
  #isHolding = false
  /** Goes up whenever tasks are taken away: a confirmation is about one tenure. */
  #tenure = 0
  #settled: (() => void)[] = []
  #running: Promise<void> = Promise.resolve()

  constructor(options: GroupMemberOptions) {
    this.#options = options
    this.#bell = new Bell(options.world.clock)
    this.#watch = new TopicWatch(options.topics, options.world)
    this.#offsets = new PublishedOffsets((offsets) => this.#commit(offsets), options.world.log)
  }

  get description(): string {
    const { groupId } = this.#options
    return this.#member.memberId === '' ? `group ${groupId}` : `${this.#member.memberId} of group ${groupId}`
  }

  join(mergeTasks: readonly string[], listener: MembershipListener): Promise<void> {
    this.#mergeTasks = mergeTasks
    this.#listener = listener
    return new Promise((resolve, reject) => {
      let isFirst = true
      const first = (): void => {
        isFirst = false
        resolve()
      }
      this.#running = this.#live(first).then(
        // Left before there was an assignment.
        first,
        (error: unknown) => {
          this.#isHolding = false
          if (isFirst) reject(error)
          else listener.failed(error)
        },
      )
      void this.#running.then(() => this.#settle())
      void this.#watchTopics()
    })
  }

  async confirm(): Promise<boolean> {
    const tenure = this.#tenure
    const stands = (): boolean => this.#isHolding && this.#owned !== null && tenure === this.#tenure
    if (!this.#isHolding) {
      await this.#whenSettled()
      return stands()
    }
    try {
      const verdict = await this.#options.coordinator.heartbeat(this.#member)
      // Whatever it is that is new, the next heartbeat is to find it now.
      if (verdict !== 'ok') this.#bell.ring()
      return (verdict === 'ok' || verdict === 'rebalance') && this.#owned !== null && tenure === this.#tenure
    } catch (error) {
      this.#options.world.log.debug({ error: messageOf(error) }, 'the group could not be asked')
      return false
    }
  }

  async leave(): Promise<void> {
    const { coordinator, world, isStatic, groupId } = this.#options
    await settlesWithin(world.clock, GOODBYE_MS, this.#offsets.flush())
    this.#stop.abort()
    this.#bell.ring()
    try {
      coordinator.interrupt()
      await this.#running
      const { memberId } = this.#member
      if (memberId === '') return
      if (!isStatic) await settlesWithin(world.clock, GOODBYE_MS, coordinator.leave(memberId))
      world.log.info({ group: groupId, memberId }, 'left the group')
    } catch (error) {
      world.log.debug({ group: groupId, error: messageOf(error) }, 'could not say goodbye to the group')
    }
  }

  /** For display; never fails. See PublishedOffsets. */
  showPublished(offset: GroupOffset): void {
    this.#offsets.show(offset)
  }

  async #commit(offsets: readonly PartitionOffset[]): Promise<boolean> {
    if (!this.#isHolding) return false
    return (await this.#options.coordinator.commit(this.#member, offsets)) !== 'rebalance'
  }

  async #live(first: () => void): Promise<void> {
    while (!this.#isLeaving) {
      const given = await this.#round()
      if (given === null) return
      const isWhole = await this.#take(given)
      if (this.#owned !== null) first()
      if (isWhole) await this.#hold(null)
      this.#isHolding = false
    }
  }

  /** Joins until an assignment is there. Null when leaving. */
  async #round(): Promise<GivenTasks | null> {
    let delayMs = RETRY_MS_MIN
    while (!this.#isLeaving) {
      try {
        const given = await this.#tryRound()
        if (given !== null) return given
        delayMs = RETRY_MS_MIN
      } catch (error) {
        if (this.#isLeaving) return null
        if (!(error instanceof PipelineError && error.retryable)) throw error
        const { world, groupId } = this.#options
        const fields = { group: groupId, error: messageOf(error) }
        world.log[delayMs < RETRY_MS_MAX ? 'debug' : 'warn'](fields, 'cannot join the group, trying again')
        await world.clock.sleep(delayMs * (0.5 + world.entropy.random() / 2), this.#stop.signal)
        delayMs = Math.min(RETRY_MS_MAX, delayMs * 2)
      }
    }
    return null
  }

  /** One try to get into the next generation. Null where it is to be tried again at once. */
  async #tryRound(): Promise<GivenTasks | null> {
    const { coordinator } = this.#options
    if (this.#watch.seen.size === 0) await this.#watch.look()
    this.#mustRejoin = false
    const { memberId, generation } = this.#member
    const joined = await coordinator.join(memberId, {
      generation,
      owned: toTaskList(this.#owned ?? []),
      counts: this.#watch.seen,
    })
    if (joined.verdict === 'member-id-required') {
      this.#member = { memberId: joined.memberId, generation }
      return null
    }
    if (joined.verdict !== 'ok') return this.#refused(joined.verdict)
    const member = { memberId: joined.memberId, generation: joined.generation }
    // The generation of the assignment stays what it was until there is a new one: it tells the leader whose claim is older.
    this.#member = { memberId: joined.memberId, generation }
    const given = joined.members === null ? new Map<string, GivenTasks>() : await this.#assign(joined.members)
    const synced = await coordinator.sync(member, given)
    if (synced.verdict !== 'ok') return this.#refused(synced.verdict)
    this.#member = member
    return synced.given
  }

  #refused(verdict: Exclude<Verdict, 'ok'>): null {
    if (verdict === 'unknown-member') this.#lose(verdict)
    return null
  }

  async #assign(members: readonly JoinedMember[]): Promise<ReadonlyMap<string, GivenTasks>> {
    await this.#watch.look()
    this.#watch.learn(members.map(({ subscription }) => subscription.counts))
    return assignAsLeader(members, this.#watch.seen, this.#mergeTasks)
  }

  /** Goes over to an assignment. False where others wait for what this member has let go: it joins again, without it. */
  async #take({ tasks, counts, isMoving }: GivenTasks): Promise<boolean> {
    this.#isMoving = isMoving
    this.#watch.learn([counts])
    const next = fromTaskList(tasks).filter((task) => this.#knows(task))
    const gone = (this.#owned ?? []).filter((task) => !next.includes(task))
    if (gone.length > 0) {
      this.#tenure++
      const end = await this.#hold(this.#release(gone))
      if (end !== 'released') return false
    }
    const isNews = gone.length > 0 || this.#owned?.length !== next.length || hasGrown(this.#counts, counts)
    this.#owned = next
    this.#counts = counts
    if (isNews) this.#tell(next)
    return gone.length === 0
  }

  /** A leader that runs a newer program may hand out merge tasks that this one has not. */
  #knows(task: string): boolean {
    if (parsePartitionTask(task) !== null || this.#mergeTasks.includes(task)) return true
    this.#options.world.log.warn(
      { task },
      'the group has members of another program: its task is left to them',
    )
    return false
  }

  /** Lets the listener give tasks up, for as long as others can wait for them. Never rejects. */
  async #release(gone: readonly string[]): Promise<void> {
    const { world, releaseMs, groupId } = this.#options
    const ids = gone.map((task) => this.#nameOf(task))
    world.log.info({ group: groupId, tasks: ids }, 'the group moves tasks to other members')
    const released = this.#listener!.revoked(ids).catch((error: unknown) =>
      world.log.warn({ error: messageOf(error) }, 'tasks could not be let go in order'),
    )
    const isInTime = await settlesWithin(world.clock, releaseMs, released)
    if (!isInTime) {
      const advice = 'their new owners fence this one, and read again what it has not recorded'
      world.log.warn({ tasks: ids, releaseMs }, `tasks were not let go in time: ${advice}`)
    }
  }

  #tell(tasks: readonly string[]): void {
    const { partition, world, groupId } = this.#options
    const { partitions, mergeTasks } = toTaskList(tasks)
    const assignment: Assignment = {
      partitions: [...partitions].flatMap(([topic, numbers]) =>
        numbers.map((number) => partition(topic, number)),
      ),
      mergeTasks,
      all: [...this.#counts].flatMap(([topic, count]) =>
        Array.from({ length: count }, (_, number) => partition(topic, number)),
      ),
    }
    const { generation, memberId } = this.#member
    const names = tasks.map((task) => this.#nameOf(task))
    world.log.info({ group: groupId, generation, memberId, tasks: names }, 'the group has assigned tasks')
    this.#listener!.assigned(assignment)
  }

  #nameOf(task: string): string {
    const parsed = parsePartitionTask(task)
    return parsed === null ? task : this.#options.partition(parsed.topic, parsed.partition).id
  }

  /** Keeps the membership alive until there is something to do about it. */
  async #hold(release: Promise<void> | null): Promise<HoldEnd> {
    let isReleased = false
    void release?.then(() => {
      isReleased = true
      this.#bell.ring()
    })
    this.#isHolding = true
    this.#settle()
    this.#offsets.resume()
    for (;;) {
      const { heartbeatMs } = this.#options
      await this.#bell.sleep(this.#isMoving ? Math.min(heartbeatMs, MOVING_HEARTBEAT_MS) : heartbeatMs)
      if (this.#isLeaving) return 'left'
      if (isReleased) return 'released'
      if (this.#mustRejoin && release === null) return 'rejoin'
      const verdict = await this.#beat()
      switch (verdict) {
        case 'ok':
        case 'unreachable':
          break
        case 'rebalance':
          // What is being let go is let go first: the others can wait for that.
          if (release === null) return 'rejoin'
          break
        case 'unknown-member':
        case 'stale-generation':
          this.#lose(verdict)
          return 'out'
        default:
          unreachable(verdict)
      }
    }
  }

  async #beat(): Promise<Verdict | 'unreachable'> {
    try {
      return await this.#options.coordinator.heartbeat(this.#member)
    } catch (error) {
      if (!(error instanceof PipelineError && error.retryable) && !this.#isLeaving) throw error
      const fields = { group: this.#options.groupId, error: messageOf(error) }
      this.#options.world.log.debug(fields, 'no heartbeat: the group cannot be reached')
      return 'unreachable'
    }
  }

  /** The coordinator's word that this member is out. */
  #lose(verdict: 'unknown-member' | 'stale-generation'): void {
    this.#member = verdict === 'unknown-member' ? NOBODY : { ...this.#member, generation: -1 }
    this.#isHolding = false
    this.#offsets.forget()
    if (this.#owned === null) return
    this.#tenure++
    this.#owned = null
    this.#options.world.log.warn(
      { group: this.#options.groupId, verdict },
      'out of the group, after a pause or a lost connection: others may have the tasks. Joining again',
    )
    this.#listener!.lost()
  }

  async #watchTopics(): Promise<void> {
    const { world, refreshMs, groupId } = this.#options
    for (;;) {
      await world.clock.sleep(refreshMs, this.#stop.signal)
      if (this.#isLeaving) return
      if (this.#owned === null) continue
      await this.#watch.look()
      if (!hasGrown(this.#counts, this.#watch.seen)) continue
      world.log.info({ group: groupId }, 'the topics have new partitions')
      this.#mustRejoin = true
      this.#bell.ring()
    }
  }

  get #isLeaving(): boolean {
    return this.#stop.signal.aborted
  }

  #whenSettled(): Promise<void> {
    if (this.#isLeaving) return Promise.resolve()
    return new Promise((resolve) => this.#settled.push(resolve))
  }

  /** A round is over, or the membership itself. */
  #settle(): void {
    for (const resolve of this.#settled.splice(0)) resolve()
  }
}
