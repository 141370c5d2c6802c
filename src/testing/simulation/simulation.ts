import { messageOf, PipelineError } from '../../errors.ts'
import type { ObjectStore, TableFormat } from '../../ports.ts'
import type { FlushLimits, RunBindings, RunSummary } from '../../runtime/bindings.ts'
import type { PipelineSpec } from '../../topology/node.ts'
import { Prng } from './prng.ts'
import { QuietLog } from './quiet-log.ts'
import { randomFlush, randomWeather } from './random-weather.ts'
import { DENIED, type SimProcess, SimScheduler } from './scheduler.ts'
import type { DisturbanceCounts, Weather } from './weather.ts'
import { SimClock, SimEntropy } from './sim-clock.ts'
import { LEASING, SimKafka, type SimKafkaOptions } from './sim-kafka.ts'
import { type SimRecording, SimRegistry, SimSource } from './sim-source.ts'
import { SimObjects, SimStore } from './sim-store.ts'

/** One seed: several processes of one pipeline on one lake, in bad weather, and then in calm until all is done. */
export interface SimulationOptions {
  readonly seed: number
  readonly spec: PipelineSpec
  readonly recording: SimRecording
  /** The writers' schemas by id. */
  readonly schemas: ReadonlyMap<number, string>
  readonly run: (spec: PipelineSpec, bindings: RunBindings) => Promise<RunSummary>
  readonly format: (store: ObjectStore) => TableFormat
  /** Null: drawn from the seed. */
  readonly weather: Weather | null
  /** The input opens the circuit breaker: then no process can come to the end. */
  readonly opensCircuit: boolean
  /** That a process begins a new incarnation. Null: drawn from the seed. */
  readonly freshChance: number | null
  /** Null: the input is a recording, and there is no broker. */
  readonly kafka: SimKafkaOptions | null
}

export interface SimulationResult {
  /** The whole store when everything is done. */
  readonly objects: ReadonlyMap<string, Uint8Array>
  readonly kafka: SimKafka | null
  /** Of the process that found everything done, or null where none did. */
  readonly summary: RunSummary | null
  /** What must never happen, as sentences. */
  readonly failures: readonly string[]
  readonly trace: readonly string[]
  readonly counts: DisturbanceCounts
  readonly steps: number
  readonly processes: number
}

const START_MS = 1_800_000_000_000
const STORM_STEPS_MAX = 3_000
const CALM_STEPS_MAX = 60_000
const REST_STEPS_MAX = 60_000
const FINAL_ATTEMPTS_MAX = 12
/** What a start meets where one with --fresh was interrupted; only another one with --fresh goes on. */
const SEALED = 'INCARNATION_SEALED'
const CIRCUIT_OPEN = 'CIRCUIT_OPEN'
/** Errors with which a process may end in a storm. */
const EXPECTED_CODES: ReadonlySet<string> = new Set([DENIED, SEALED, 'INCARNATION_REPLACED'])

export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const simulation = new Simulation(options)
  await simulation.play()
  return simulation.result()
}

class Simulation {
  readonly #options: SimulationOptions
  readonly #random: Prng
  readonly #snapshotRandom: Prng
  readonly #scheduler: SimScheduler
  readonly #objects = new SimObjects()
  readonly #failures: string[] = []
  readonly #freshChance: number
  readonly #initialProcesses: number
  readonly #stopChance: number
  readonly #kafka: SimKafka | null
  #calm = false
  #hasFresh = false
  /** Processes form a group. In the end one does everything alone. */
  #isShared: boolean
  /** Of the error with which the last process to end has ended. */
  #lastCode: string | null = null
  #last: RunSummary | null = null
  #summary: RunSummary | null = null

  constructor(options: SimulationOptions) {
    this.#options = options
    this.#random = new Prng(options.seed)
    this.#snapshotRandom = new Prng(options.seed ^ 0x7a9e)
    const freshChance = this.#random.chance(0.2) ? 0.4 : 0
    this.#freshChance = options.freshChance ?? freshChance
    this.#initialProcesses = this.#random.pick([1, 1, 2, 3])
    this.#stopChance = this.#random.chance(0.2) ? 0.3 : 0
    this.#isShared = options.kafka?.isShared ?? false
    const weather = options.weather ?? randomWeather(this.#random, options.kafka !== null)
    this.#scheduler = new SimScheduler(this.#random.fork(), weather, START_MS)
    this.#scheduler.spawn = () => this.#spawn()
    const { kafka, recording } = options
    this.#kafka =
      kafka === null ? null : new SimKafka(new Prng(options.seed ^ 0x6b61), this.#scheduler, recording, kafka)
  }

  async play(): Promise<void> {
    try {
      await this.#storm()
      await this.#finish()
    } catch (error) {
      this.#failures.push(
        `the simulation stopped: ${error instanceof Error ? error.stack : messageOf(error)}`,
      )
    }
  }

  result(): SimulationResult {
    return {
      objects: this.#objects.objects,
      kafka: this.#kafka,
      summary: this.#summary,
      failures: this.#failures,
      trace: this.#scheduler.trace,
      counts: this.#scheduler.counts,
      steps: this.#scheduler.steps,
      processes: this.#scheduler.processes.length,
    }
  }

  async #storm(): Promise<void> {
    for (let i = 0; i < this.#initialProcesses; i++) this.#spawn()
    const restarts = this.#random.integer(0, 8)
    let stepsLeft = this.#random.integer(50, STORM_STEPS_MAX)
    for (let i = 0; i <= restarts && stepsLeft > 0; i++) {
      const before = this.#scheduler.steps
      // A group goes on for ever: its members come one by one.
      await this.#scheduler.run(this.#isShared ? Math.ceil(stepsLeft / (restarts + 1 - i)) : stepsLeft)
      stepsLeft -= this.#scheduler.steps - before
      if (i < restarts && stepsLeft > 0) this.#spawn()
    }
  }

  async #finish(): Promise<void> {
    this.#calm = true
    this.#scheduler.becalm()
    this.#kafka?.becalm()
    if (this.#random.chance(0.5)) this.#spawn()
    if (this.#isShared) await this.#rest()
    if (!(await this.#scheduler.run(CALM_STEPS_MAX)))
      return this.#fail('no progress: processes run on and on')
    this.#scheduler.land(this.#random.integer(0, this.#scheduler.flightsCount))
    for (let attempt = 0; attempt < FINAL_ATTEMPTS_MAX && this.#failures.length === 0; attempt++) {
      const arrivals = this.#scheduler.counts['late-arrival']
      this.#spawn()
      if (!(await this.#scheduler.run(CALM_STEPS_MAX)))
        return this.#fail('no progress: the last process runs on')
      const outcome = this.#last?.outcome
      if (outcome === 'completed' || outcome === 'nothing-to-do') return this.#proveRest(arrivals)
      if (this.#lastCode === CIRCUIT_OPEN) return
    }
    this.#fail('no undisturbed process came to the end')
  }

  /** A group in calm weather: everything is published while it runs on. Then its members are asked to stop. */
  async #rest(): Promise<void> {
    const { atRest } = this.#options.kafka!
    const { broker } = this.#kafka!
    const lacking = (): readonly string[] => {
      const unpublished = atRest(this.#objects.objects, broker)
      return unpublished.length > 0 ? unpublished : this.#kafka!.lag
    }
    const isAlive = (): boolean => this.#scheduler.processes.some(({ state }) => state === 'alive')
    let isResting = false
    for (
      let attempt = 0;
      attempt < FINAL_ATTEMPTS_MAX && !isResting && this.#failures.length === 0;
      attempt++
    ) {
      if (!isAlive()) this.#spawn()
      const isOver = await this.#scheduler.run(REST_STEPS_MAX, () => lacking().length === 0)
      isResting = isOver && isAlive()
      // Members of a replaced incarnation hear of it with their next record only: whoever begins a new one stops them.
      if (!isOver && this.#hasFresh) await this.#stopAll()
      else if (!isOver) break
    }
    if (!isResting) for (const what of lacking()) this.#fail(`at rest: ${what}`)
    this.#isShared = false
    await this.#stopAll()
  }

  async #stopAll(): Promise<void> {
    for (const process of this.#scheduler.processes) process.stop.abort()
    if (!(await this.#scheduler.run(CALM_STEPS_MAX))) this.#fail('no progress: a stop takes for ever')
  }

  /** Whatever still arrives, one more start finds nothing to do and changes nothing. */
  async #proveRest(arrivals: number): Promise<void> {
    if (this.#scheduler.flightsCount > 0 || this.#scheduler.counts['late-arrival'] > arrivals) {
      // It may be the beginning of an incarnation that was interrupted, and is then something to do.
      this.#scheduler.land(this.#scheduler.flightsCount)
      this.#spawn()
      if (!(await this.#scheduler.run(CALM_STEPS_MAX)))
        return this.#fail('no progress: a start after late arrivals')
    }
    this.#spawn()
    const before = this.#image()
    if (!(await this.#scheduler.run(CALM_STEPS_MAX)))
      return this.#fail('no progress: a start with nothing to do')
    this.#summary = this.#last
    if (this.#summary?.outcome !== 'nothing-to-do') {
      this.#fail(`all was done, but one more start ended as ${this.#summary?.outcome}`)
    }
    if (this.#image() !== before) this.#fail('a start with nothing to do changed something')
  }

  /** Keys and sizes of everything but what a start leaves behind to probe the store. */
  #image(): string {
    return [...this.#objects.objects]
      .map(([key, body]) => `${key} ${body.length}`)
      .filter((line) => !line.startsWith('_millrace/probe/'))
      .sort()
      .join('\n')
  }

  #spawn(): SimProcess {
    const scheduler = this.#scheduler
    const process = scheduler.start(`p${scheduler.processes.length + 1}`)
    const random = this.#random.fork()
    const fresh = this.#calm ? this.#lastCode === SEALED : random.chance(this.#freshChance)
    this.#lastCode = null
    if (fresh) {
      this.#hasFresh = true
      scheduler.say(`${process.name} begins a new incarnation`)
    }
    void this.#run(process, this.#bindings(process, random, fresh))
    return process
  }

  async #run(process: SimProcess, bindings: RunBindings): Promise<void> {
    const scheduler = this.#scheduler
    let summary: RunSummary | null = null
    try {
      summary = await this.#options.run(this.#options.spec, bindings)
      // A stop does not wait for a read of a source that may be silent for hours, and a goodbye neither for a list nor for longer than some seconds.
      const stopped = summary.outcome === 'stopped'
      const pending = scheduler
        .pendingOf(process)
        .filter((label) => !label.startsWith('show ') && label !== LEASING)
        .filter((label) => !stopped || !(label.startsWith('read ') || label.includes('/_leases/')))
      // A loser may leave uploads behind: their names are its own.
      if (pending.length > 0 && summary.outcome !== 'lost')
        this.#fail(`${process.name} ended (${summary.outcome}) before: ${pending.join('; ')}`)
      if (summary.outcome === 'lost' && !this.#hasOtherOwner(summary.runId)) {
        this.#fail(`${process.name} believes that another owner took over, but there is none`)
      }
    } catch (error) {
      const expected = error instanceof PipelineError && this.#isExpected(error)
      if (!expected) this.#fail(`${process.name} failed: ${(error as Error).stack ?? messageOf(error)}`)
      scheduler.say(`${process.name} throws ${messageOf(error)}`)
      this.#lastCode = error instanceof PipelineError ? error.code : null
    }
    this.#last = summary
    scheduler.ended(process, summary?.outcome ?? 'failed')
  }

  #isExpected({ code, retryable }: PipelineError): boolean {
    return retryable || EXPECTED_CODES.has(code) || (code === CIRCUIT_OPEN && this.#options.opensCircuit)
  }

  /** True where the newest record of some chain is another run's. */
  #hasOtherOwner(runId: string): boolean {
    const heads = new Map<string, string>()
    for (const key of [...this.#objects.objects.keys()].sort()) {
      const match = /^(_millrace\/.*\/)\d{12}\.json$/.exec(key)
      if (match !== null) heads.set(match[1]!, key)
    }
    const text = new TextDecoder()
    return [...heads.values()].some((key) => !text.decode(this.#objects.objects.get(key)).includes(runId))
  }

  #bindings(process: SimProcess, random: Prng, fresh: boolean): RunBindings {
    const { recording, schemas, format } = this.#options
    const store = new SimStore(process, this.#objects)
    const stopAfter = !this.#calm && random.chance(this.#stopChance) ? random.integer(0, 60) : null
    const clock = new SimClock(process, this.#scheduler)
    const log = new QuietLog((line) => this.#scheduler.say(`${process.name} log: ${line}`))
    const source = new SimSource(
      process,
      recording,
      {
        quietChance: random.pick([0, 0.1, 0.4]),
        batchSizes: random.pick([[1], [1, 2, 7], [7, 1000], [1000]]),
        isOrdered: random.chance(0.5),
        stopAfter: this.#isShared ? null : stopAfter,
      },
      random.fork(),
      this.#kafka?.sourceOf({ process, clock, log }, this.#isShared) ?? null,
    )
    return {
      source,
      registry: new SimRegistry(process, schemas),
      lake: store,
      format: format(store),
      clock,
      entropy: new SimEntropy(process.name, random.fork()),
      log,
      flush: this.#flush(random),
      snapshots: this.#snapshots(),
      ...this.#kafka?.bindingsOf(process, clock),
      fresh,
      signal: process.stop.signal,
      onProgress: null,
    }
  }

  #flush(random: Prng): FlushLimits {
    const flush = randomFlush(random)
    return this.#isShared ? { ...flush, everyMs: random.pick([5, 100, 1_000]) } : flush
  }

  /** Drawn by a generator of its own: the weather of a seed does not depend on it. */
  #snapshots(): NonNullable<RunBindings['snapshots']> {
    const random = this.#snapshotRandom
    return {
      everyEpochs: random.pick([1, 2, 5]),
      smallPanes: random.pick([0, 3, 256]),
      changesMax: random.pick([1, 2, 64]),
      partBytes: random.pick([1, 300, 32_000_000]),
    }
  }

  #fail(what: string): void {
    this.#failures.push(what)
  }
}
