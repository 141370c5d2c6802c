import { GROUP_TIMES, groupMembership, type GroupTimes } from '../../../consumers/kafka/group.ts'
import type { GroupMember } from '../../../consumers/kafka/group-member.ts'
import { KafkaClient } from '../../../src/kafka/client.ts'
import type { Assignment, Clock, Log, MembershipListener, StopSignal } from '../../../src/ports.ts'
import { systemClock, systemEntropy } from '../../../src/runtime/system.ts'

export type GroupEvent =
  | {
      readonly member: string
      readonly kind: 'assigned'
      readonly tasks: readonly string[]
      readonly all: number
    }
  | { readonly member: string; readonly kind: 'revoking' | 'revoked'; readonly tasks: readonly string[] }
  | { readonly member: string; readonly kind: 'lost' }
  | { readonly member: string; readonly kind: 'failed'; readonly error: unknown }

/** What the members of a group were told, in the order in which they were told it. */
export class Journal {
  readonly events: GroupEvent[] = []
  /** Called after each event. */
  watch: () => void = () => {}
  #waiting: { readonly holds: () => boolean; readonly resolve: () => void }[] = []

  add(event: GroupEvent): void {
    this.events.push(event)
    this.watch()
    for (const waiting of this.#waiting.filter(({ holds }) => holds())) waiting.resolve()
    this.#waiting = this.#waiting.filter(({ holds }) => !holds())
  }

  /** Resolves when this holds, which is asked after each event. */
  until(holds: () => boolean): Promise<void> {
    return holds() ? Promise.resolve() : new Promise((resolve) => this.#waiting.push({ holds, resolve }))
  }

  of(member: string, kind: GroupEvent['kind']): readonly GroupEvent[] {
    return this.events.filter((event) => event.member === member && event.kind === kind)
  }
}

/** A clock that can be stopped: whoever sleeps then, sleeps on, as a process does that was stopped. */
class StoppableClock implements Clock {
  #going: Promise<void> = Promise.resolve()
  #go: () => void = () => {}

  nowMs(): number {
    return systemClock.nowMs()
  }

  async sleep(ms: number, signal?: StopSignal): Promise<void> {
    await systemClock.sleep(ms, signal)
    await this.#going
  }

  stop(): void {
    this.#going = new Promise((resolve) => (this.#go = resolve))
  }

  go(): void {
    this.#go()
  }
}

export const silent: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silent,
}

/** A member that writes down what it is told. */
export class TestMember implements MembershipListener {
  readonly name: string
  readonly membership: GroupMember
  readonly client: KafkaClient
  readonly #clock = new StoppableClock()
  readonly #journal: Journal
  /** What it runs, as it was told last. */
  running: readonly string[] = []
  /** Held back by a test. */
  release: Promise<void> = Promise.resolve()

  constructor(
    name: string,
    journal: Journal,
    brokers: string,
    { topic, groupId, instanceId = null, times = {} }: MemberOptions,
  ) {
    this.name = name
    this.#journal = journal
    const world = { clock: this.#clock, entropy: systemEntropy, log: silent, acceptLoss: false }
    this.client = new KafkaClient({ brokers: [brokers], clientId: name, requestTimeoutMs: 5_000 }, world)
    this.membership = groupMembership(
      { groupId, instanceId, times: { ...GROUP_TIMES, ...QUICK, ...times } },
      {
        client: this.client,
        topics: async () => {
          const { topics } = await this.client.metadata([topic])
          return new Map(topics.map((found) => [found.topic, found.partitions.length]))
        },
        partition: (name, partition) => ({ id: `${name}-${partition}`, topic: name, partition }),
      },
      world,
    )
  }

  async join(mergeTasks: readonly string[] = []): Promise<this> {
    await this.membership.join(mergeTasks, this)
    return this
  }

  async leave(): Promise<void> {
    await this.membership.leave()
    await this.client.close()
  }

  /** As `kill -9`: no word to anybody. */
  async die(): Promise<void> {
    this.#clock.stop()
    await this.client.close()
  }

  /** As SIGSTOP. */
  pause(): void {
    this.#clock.stop()
  }

  resume(): void {
    this.#clock.go()
  }

  assigned({ partitions, mergeTasks, all }: Assignment): void {
    this.running = [...partitions.map(({ id }) => id), ...mergeTasks]
    this.#journal.add({ member: this.name, kind: 'assigned', tasks: this.running, all: all.length })
  }

  async revoked(tasks: readonly string[]): Promise<void> {
    this.#journal.add({ member: this.name, kind: 'revoking', tasks })
    await this.release
    this.#journal.add({ member: this.name, kind: 'revoked', tasks })
  }

  lost(): void {
    this.running = []
    this.#journal.add({ member: this.name, kind: 'lost' })
  }

  failed(error: unknown): void {
    this.#journal.add({ member: this.name, kind: 'failed', error })
  }
}

interface MemberOptions {
  readonly topic: string
  readonly groupId: string
  readonly instanceId?: string | null
  readonly times?: Partial<GroupTimes>
}

/** So that tests need not wait: what takes seconds in production takes tenths. */
const QUICK: Partial<GroupTimes> = { sessionTimeoutMs: 2_000, heartbeatMs: 100, refreshMs: 200 }
