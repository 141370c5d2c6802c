import type { Clock, GroupOffset } from '../../ports.ts'
import type { RunBindings } from '../../runtime/bindings.ts'
import type { Prng } from './prng.ts'
import { randomBrokerWeather, randomGroupWeather, randomRetention } from './random-weather.ts'
import type { SimProcess, SimScheduler } from './scheduler.ts'
import { type BrokerWeather, groupKey, SimBroker } from './sim-broker.ts'
import { SimGroup } from './sim-group.ts'
import { SimMembership } from './sim-membership.ts'
import { type OutboxCare, SIM_CLUSTER, SimOutbox } from './sim-outbox.ts'
import type { SimRecording, SimSourceKafka } from './sim-source.ts'

export interface SimKafkaOptions {
  /** Processes form a group, and read a source that never ends. Else each of them does everything. */
  readonly isShared: boolean
  readonly deadLetterTopic: string | null
  /** The program has topics of its own. */
  readonly hasTopics: boolean
  /** Ids of partitions that are added while the pipeline runs. */
  readonly added: ReadonlySet<string>
  readonly care?: OutboxCare
  /** In place of what the seed draws. */
  readonly broker?: Partial<BrokerWeather>
  readonly retention?: RunBindings['retention']
  /** What a group that runs on in calm weather has yet to publish, as sentences. */
  readonly atRest: (objects: ReadonlyMap<string, Uint8Array>, broker: SimBroker) => readonly string[]
}

/** The users' own consumer group. */
const USERS = 'users'
const FETCH_WAIT_MS = 100
const ADDED_AFTER_STEPS_MAX = 600

/** The Kafka of one simulation: the broker, the group, and when partitions are added. */
export class SimKafka {
  readonly broker: SimBroker
  readonly group: SimGroup
  readonly #scheduler: SimScheduler
  readonly #recording: SimRecording
  readonly #options: SimKafkaOptions
  readonly #addedAtStep: number
  readonly #retention: RunBindings['retention']
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
      () => recording.partitions.filter(({ id }) => this.#present.has(id)),
      randomGroupWeather(random),
      (line) => scheduler.say(line),
    )
    const retention = randomRetention(random)
    this.#retention = options.retention ?? retention
  }

  becalm(): void {
    this.#calm = true
    this.broker.becalm()
    this.group.becalm()
  }

  /** What the users' group shows of a partition; null before the first. */
  shownOffset(topic: string, partition: number): string | null {
    return this.broker.fetchOffset(groupKey({ groupId: USERS, topic, partition }), false)?.offset ?? null
  }

  sourceOf(process: SimProcess, clock: Clock, isShared: boolean): SimSourceKafka {
    const offsetOf: SimSourceKafka['groupOffset'] = ({ topic, partition }, offset) => ({
      clusterId: SIM_CLUSTER,
      groupId: USERS,
      topic,
      partition,
      offset: String(offset),
    })
    return {
      ...(isShared ? { membership: new SimMembership(process, this.group, clock) } : {}),
      partitions: () => this.#present,
      wait: () => clock.sleep(FETCH_WAIT_MS),
      groupOffset: offsetOf,
      showPublished: (offset) => this.#show(process, offset),
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

  get #present(): ReadonlySet<string> {
    const isAdded = this.#calm || this.#scheduler.steps >= this.#addedAtStep
    const { added } = this.#options
    return new Set(this.#recording.partitions.map(({ id }) => id).filter((id) => isAdded || !added.has(id)))
  }

  #show(process: SimProcess, offset: GroupOffset): void {
    const value = { offset: offset.offset, metadata: '' }
    // Nobody waits for it: a run may end before.
    process
      .call('write', `show ${offset.topic}-${offset.partition} at ${offset.offset}`, () =>
        this.broker.commitPlainOffset(groupKey(offset), value),
      )
      .catch(() => {})
  }
}
