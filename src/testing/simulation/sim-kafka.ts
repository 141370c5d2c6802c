import { LeaseMembership, type LeaseTimes } from '../../leases/lease-membership.ts'
import type { Clock, GroupOffset, Log, Membership, SourcePartition } from '../../ports.ts'
import type { RunBindings } from '../../runtime/bindings.ts'
import { Prng } from './prng.ts'
import {
  randomBrokerWeather,
  randomGroupWeather,
  randomLeaseTimes,
  randomRetention,
} from './random-weather.ts'
import type { SimProcess, SimScheduler } from './scheduler.ts'
import { type BrokerWeather, groupKey, SimBroker } from './sim-broker.ts'
import { SimGroup } from './sim-group.ts'
import { SimEntropy } from './sim-clock.ts'
import { SimMembership } from './sim-membership.ts'
import { type OutboxCare, SIM_CLUSTER, SimOutbox } from './sim-outbox.ts'
import { listed, type SimRecording, type SimSourceKafka } from './sim-source.ts'

export interface SimKafkaOptions {
  /** Processes form a group, and read a source that never ends. Else each of them does everything. */
  readonly isShared: boolean
  readonly deadLetterTopic: string | null
  /** The program has topics of its own. */
  readonly hasTopics: boolean
  /** Ids of partitions that are added while the pipeline runs. */
  readonly added: ReadonlySet<string>
  /** Present where partitions are shards: with which reshard each comes, from 1; 0 are there from the beginning. */
  readonly reshards?: ReadonlyMap<string, number>
  /** Lists leave shards out after a while that have ended: no start may need them again. */
  readonly forgetsShards?: boolean
  /** Tasks are handed out by leases in the store, and by no coordinator. */
  readonly byLeases?: boolean
  readonly care?: OutboxCare
  /** In place of what the seed draws. */
  readonly broker?: Partial<BrokerWeather>
  readonly retention?: RunBindings['retention']
  /** What a group that runs on in calm weather has yet to publish, as sentences. */
  readonly atRest: (objects: ReadonlyMap<string, Uint8Array>, broker: SimBroker) => readonly string[]
}

/** What a membership has of its process. */
export interface SimPlace {
  readonly process: SimProcess
  readonly clock: Clock
  readonly log: Log
}

/** What a member by leases asks the source now and then. */
export const LEASING = 'partitions to lease'

/** The users' own consumer group. */
const USERS = 'users'
const FETCH_WAIT_MS = 100
const ADDED_AFTER_STEPS_MAX = 600
const RESHARDED_AFTER_STEPS_MAX = 1_200

/** The Kafka of one simulation: the broker, the group, and when partitions are added. */
export class SimKafka {
  readonly broker: SimBroker
  readonly group: SimGroup
  readonly #scheduler: SimScheduler
  readonly #recording: SimRecording
  readonly #options: SimKafkaOptions
  readonly #addedAtStep: number
  /** Of each reshard. */
  readonly #reshardSteps: readonly number[]
  readonly #leaseTimes: LeaseTimes
  readonly #leaseSeed: number
  readonly #gone = new Set<string>()
  readonly #retention: RunBindings['retention']
  /** What each process has yet to show of each partition. */
  readonly #shows = new Map<SimProcess, Map<string, string>>()
  #calm = false

  constructor(random: Prng, scheduler: SimScheduler, recording: SimRecording, options: SimKafkaOptions) {
    const nowMs = (): number => scheduler.nowMs
    this.#scheduler = scheduler
    this.#recording = recording
    this.#options = options
    this.#addedAtStep = random.integer(1, ADDED_AFTER_STEPS_MAX)
    const brokerRandom = random.fork()
    const weather = { ...randomBrokerWeather(random), ...options.broker }
    this.broker = new SimBroker(brokerRandom, nowMs, weather)
    this.group = new SimGroup(
      random.fork(),
      nowMs,
      () => this.#listed,
      randomGroupWeather(random),
      (line) => scheduler.say(line),
    )
    const retention = randomRetention(random)
    this.#retention = options.retention ?? retention
    const last = Math.max(0, ...(options.reshards?.values() ?? []))
    const steps = Array.from({ length: last }, () => random.integer(1, RESHARDED_AFTER_STEPS_MAX))
    this.#reshardSteps = [0, ...steps.sort((a, b) => a - b)]
    this.#leaseTimes = randomLeaseTimes(random)
    this.#leaseSeed = random.bits()
  }

  /** Shards that lists have left out. */
  get forgotten(): number {
    return this.#gone.size
  }

  becalm(): void {
    this.#calm = true
    this.broker.becalm()
    this.group.becalm()
  }

  /** What the users' group does not show as published of an input that has been read to its end. */
  get lag(): readonly string[] {
    this.broker.catchUp()
    // A sleeper that puts its record into the place of one that was deleted shows what it takes for its own.
    if (this.#retention !== undefined) return []
    return this.#recording.partitions.flatMap(({ id, topic, partition, records }) => {
      // Nobody takes over what no list has: what its last owner was out of the group for is shown by nobody any more.
      if (this.#gone.has(id)) return []
      const end = records.at(-1)
      const shown = this.broker.peekOffset(groupKey({ groupId: USERS, topic, partition }))?.offset ?? null
      if (end === undefined || shown === String(end.offset + 1)) return []
      return [`the users' group shows ${shown} of ${id}, which ends at ${end.offset + 1}`]
    })
  }

  sourceOf({ process, clock, log }: SimPlace, isShared: boolean): SimSourceKafka {
    const offsetOf: SimSourceKafka['groupOffset'] = ({ topic, partition }, offset) => ({
      clusterId: SIM_CLUSTER,
      groupId: USERS,
      topic,
      partition,
      offset: String(offset),
    })
    return {
      ...(isShared ? { membership: this.#membershipOf({ process, clock, log }) } : {}),
      partitions: () => this.#present,
      gone: () => this.#gone,
      wait: () => clock.sleep(FETCH_WAIT_MS),
      groupOffset: offsetOf,
      showPublished: (offset) => void this.#show(process, clock, offset),
    }
  }

  bindingsOf(process: SimProcess, clock: Clock): Pick<RunBindings, 'outbox' | 'deadLetters' | 'retention'> {
    const { deadLetterTopic, hasTopics, care } = this.#options
    const outbox = new SimOutbox(process, this.broker, clock, care)
    return {
      ...(this.#retention === undefined ? {} : { retention: this.#retention }),
      outbox: hasTopics ? outbox : null,
      deadLetters: deadLetterTopic === null ? null : { outbox, topic: deadLetterTopic },
    }
  }

  #membershipOf({ process, clock, log }: SimPlace): Membership {
    if (this.#options.byLeases !== true)
      return new SimMembership(process, this.group, clock, (task) => this.#ended(task))
    const number = Number(process.name.slice(1))
    const entropy = new SimEntropy(`${process.name}l`, new Prng(this.#leaseSeed ^ number))
    const membership = new LeaseMembership({
      source: {
        partitions: () => process.call('read', LEASING, () => this.#listed),
        partition: (id) => {
          const found = this.#recording.partitions.find((partition) => partition.id === id)
          return found === undefined ? null : listed(found)
        },
      },
      name: null,
      times: this.#leaseTimes,
      world: { clock, entropy, log },
    })
    const ended = (task: string): void => {
      membership.ended(task)
      this.#ended(task)
    }
    return {
      description: membership.description,
      join: (mergeTasks, listener, place) => membership.join(mergeTasks, listener, place),
      confirm: () => membership.confirm(),
      leave: () => membership.leave(),
      ended,
    }
  }

  get #listed(): readonly SourcePartition[] {
    const present = this.#present
    return this.#recording.partitions.filter(({ id }) => present.has(id) && !this.#gone.has(id)).map(listed)
  }

  get #present(): ReadonlySet<string> {
    const { added, reshards, isShared } = this.#options
    const ids = this.#recording.partitions.map(({ id }) => id)
    const isThere = (atStep: number): boolean => this.#calm || this.#scheduler.steps >= atStep
    if (reshards !== undefined)
      return new Set(ids.filter((id) => !isShared || isThere(this.#reshardSteps[reshards.get(id)!]!)))
    return new Set(ids.filter((id) => isThere(this.#addedAtStep) || !added.has(id)))
  }

  /** Recorded and published: nobody needs to find it in a list again. */
  #ended(task: string): void {
    if (this.#options.forgetsShards === true) this.#gone.add(task)
  }

  /** One request at a time, with the newest, until it is known to be done. Nobody waits for it: a run may end before. */
  async #show(process: SimProcess, clock: Clock, offset: GroupOffset): Promise<void> {
    const key = groupKey(offset)
    const task = `${offset.topic}-${offset.partition}`
    const shows = this.#shows.get(process) ?? new Map<string, string>()
    this.#shows.set(process, shows)
    const isBusy = shows.has(key)
    shows.set(key, offset.offset)
    if (isBusy) return
    for (let done: string | undefined; done !== shows.get(key); ) {
      const next = shows.get(key)!
      try {
        await process.call('write', `show ${task} at ${next}`, () => {
          // The coordinator refuses who is out of the group, and a member forgets what it has let go of.
          if (this.group.isOpenTo(task, process.name))
            this.broker.commitPlainOffset(key, { offset: next, metadata: '' })
        })
        done = next
      } catch {
        await clock.sleep(FETCH_WAIT_MS)
      }
    }
    shows.delete(key)
  }
}
