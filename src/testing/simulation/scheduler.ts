import { messageOf, PipelineError } from '../../errors.ts'
import type { Prng } from './prng.ts'
import { type Disturbance, type DisturbanceCounts, DISTURBANCES, type Weather } from './weather.ts'

/**
 * The simulated world's hand: it decides which pending port call happens next, what goes wrong with it, who crashes,
 * who sleeps and who starts. Everything follows from the seed. A port call is pending until it is chosen; then it
 * is executed against the world in one piece and its promise settles. Between two choices one macrotask passes, so
 * that every process has run to its next port call before the next choice is made.
 */
export type OperationKind = 'read' | 'write' | 'sleep'

interface Operation {
  readonly process: SimProcess
  readonly kind: OperationKind
  readonly label: string
  readonly execute: () => unknown
  readonly show: (result: unknown) => string
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
  /** Of a sleep. */
  readonly dueMs: number
}

/** A request that has left its process and arrives when the network likes. */
interface Flight {
  readonly processName: string
  readonly label: string
  readonly execute: () => unknown
  readonly show: (result: unknown) => string
}

export type ProcessState = 'alive' | 'crashed' | 'ended'

export class SimProcess {
  readonly name: string
  readonly #scheduler: SimScheduler
  state: ProcessState = 'alive'
  /** A sleeper is not scheduled before this step. */
  pausedUntilStep = 0
  /** Asks for a graceful stop. */
  readonly stop = new AbortController()

  constructor(scheduler: SimScheduler, name: string) {
    this.#scheduler = scheduler
    this.name = name
  }

  /** A port call: settles when the scheduler says so; never, once the process is no more. */
  call<T>(
    kind: OperationKind,
    label: string,
    execute: () => T,
    show: (result: T) => string = () => 'ok',
    dueMs = 0,
  ): Promise<T> {
    if (this.state !== 'alive') return new Promise<T>(() => {})
    return new Promise<T>((resolve, reject) => {
      this.#scheduler.enqueue({
        process: this,
        kind,
        label,
        execute,
        show: show as (result: unknown) => string,
        resolve: resolve as (result: unknown) => void,
        reject,
        dueMs,
      })
    })
  }

  /** A line of the trace. */
  say(what: string): void {
    this.#scheduler.say(`${this.name} ${what}`)
  }

  sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.resolve()
    const dueMs = this.#scheduler.nowMs + Math.max(0, ms)
    const sleeping = this.call('sleep', `sleep ${ms}`, () => undefined, undefined, dueMs)
    if (signal === undefined) return sleeping
    return new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true })
      void sleeping.then(resolve)
    })
  }
}

/** The code of an error that no retry can mend: the process must stop, and the next one goes on. */
export const DENIED = 'SIM_DENIED'

const TRACE_LINES_MAX = 100_000
const PAUSE_STEPS_MAX = 400
/** A condition is looked at now and then only: it may be costly. */
const UNTIL_EVERY_STEPS = 50
const ALARM_CHANCE = 0.03

export class SimScheduler {
  readonly random: Prng
  readonly trace: string[] = []
  readonly counts: DisturbanceCounts
  nowMs: number
  steps = 0
  readonly processes: SimProcess[] = []
  /** Starts one more process; set by the simulation. Null while nobody may start. */
  spawn: (() => SimProcess) | null = null
  readonly #weather: Weather
  readonly #weights: readonly number[]
  #operations: Operation[] = []
  #flights: Flight[] = []
  #current: SimProcess | null = null
  #disturbances = 0
  #spawns = 0
  #calm = false

  constructor(random: Prng, weather: Weather, startMs: number) {
    this.random = random
    this.nowMs = startMs
    this.#weather = weather
    this.#weights = DISTURBANCES.map((kind) => weather.weights[kind])
    this.counts = Object.fromEntries(
      [...DISTURBANCES, 'late-arrival'].map((kind) => [kind, 0]),
    ) as DisturbanceCounts
  }

  start(name: string): SimProcess {
    const process = new SimProcess(this, name)
    this.processes.push(process)
    this.say(`${name} starts`)
    return process
  }

  /** The run of a process has settled. Its unfinished calls vanish with it. */
  ended(process: SimProcess, how: string): void {
    if (process.state !== 'alive') return
    process.state = 'ended'
    this.say(`${process.name} ends: ${how}`)
    this.#operations = this.#operations.filter((operation) => operation.process !== process)
  }

  /** Labels of the calls of a process that nobody has answered yet, without sleeps. */
  pendingOf(process: SimProcess): readonly string[] {
    return this.#operations
      .filter((operation) => operation.process === process && operation.kind !== 'sleep')
      .map((operation) => operation.label)
  }

  enqueue(operation: Operation): void {
    this.#operations.push(operation)
  }

  say(line: string): void {
    if (this.trace.length < TRACE_LINES_MAX) this.trace.push(line)
  }

  /** From now on nothing goes wrong any more; sleepers wake in their time. */
  becalm(): void {
    this.#calm = true
    for (const process of this.processes) {
      if (process.pausedUntilStep > this.steps)
        process.pausedUntilStep = this.steps + this.random.integer(0, 50)
    }
    this.say('--- calm')
  }

  get flightsCount(): number {
    return this.#flights.length
  }

  /** Lets `count` of the requests in flight arrive. */
  land(count: number): void {
    for (let i = 0; i < count && this.#flights.length > 0; i++) this.#landOne()
  }

  /** Steps until no process is alive, or `until` is true. False where `stepsMax` was not enough. */
  async run(stepsMax: number, until: () => boolean = () => false): Promise<boolean> {
    const end = this.steps + stepsMax
    await settle()
    while (this.processes.some((process) => process.state === 'alive')) {
      if (this.steps % UNTIL_EVERY_STEPS === 0 && until()) return true
      if (this.steps >= end) return false
      this.#step()
      await settle()
    }
    return true
  }

  #step(): void {
    this.steps++
    this.nowMs += this.random.integer(0, this.#weather.stepMsMax)
    if (this.#flights.length > 0 && this.random.chance(this.#weather.landing)) this.#landOne()
    const operation = this.#choose()
    if (operation === null) return
    const disturbance = this.#draw()
    if (disturbance === null) {
      this.#finish(operation)
    } else {
      this.#disturb(disturbance, operation)
    }
  }

  /** The operation that happens next, or null where something else had to happen first. */
  #choose(): Operation | null {
    // Time passes when nobody has anything to do before an alarm, and now and then while somebody polls.
    if (this.random.chance(ALARM_CHANCE)) this.#passTime()
    let runnable = this.#runnable()
    if (runnable.length === 0) {
      if (this.#passTime()) {
        runnable = this.#runnable()
      } else {
        const paused = this.processes.filter((p) => p.state === 'alive' && p.pausedUntilStep > this.steps)
        if (paused.length === 0)
          throw new Error(`deadlock: ${this.#aliveNames()} alive without a pending call`)
        if (this.#maySpawn()) this.#spawn()
        else this.random.pick(paused).pausedUntilStep = 0
        return null
      }
    }
    const { slow, slowness } = this.#weather
    if (slow !== null && !this.#calm && this.random.chance(slowness)) {
      const fast = runnable.filter((operation) => !operation.label.includes(slow))
      if (fast.length > 0) runnable = fast
    }
    if (this.#current !== null && this.random.chance(this.#weather.stickiness)) {
      const own = runnable.filter((operation) => operation.process === this.#current)
      if (own.length > 0) return this.random.pick(own)
    }
    const operation = this.random.pick(runnable)
    this.#current = operation.process
    return operation
  }

  /** To the next alarm. False where nobody sleeps. */
  #passTime(): boolean {
    const sleeping = this.#operations.filter(
      (o) => o.kind === 'sleep' && o.process.pausedUntilStep <= this.steps,
    )
    if (sleeping.length === 0) return false
    this.nowMs = Math.max(this.nowMs, Math.ceil(Math.min(...sleeping.map((o) => o.dueMs))))
    return true
  }

  #runnable(): Operation[] {
    return this.#operations.filter(
      (o) => o.process.pausedUntilStep <= this.steps && (o.kind !== 'sleep' || o.dueMs <= this.nowMs),
    )
  }

  #draw(): Disturbance | null {
    if (this.#calm || this.#disturbances >= this.#weather.disturbancesMax) return null
    if (!this.random.chance(this.#weather.disturbance)) return null
    return DISTURBANCES[this.random.weighted(this.#weights)]!
  }

  #disturb(disturbance: Disturbance, operation: Operation): void {
    const { process, kind } = operation
    const loses = disturbance === 'response-lost' || disturbance === 'dropped' || disturbance === 'in-flight'
    // What a read loses can be asked for again: for it all three are one.
    const happens =
      kind === 'sleep' && (loses || disturbance === 'transient' || disturbance === 'denied')
        ? null
        : disturbance
    if (happens === null) return this.#finish(operation)
    if (happens === 'spawn' && !this.#maySpawn()) return this.#finish(operation)
    this.#disturbances++
    this.counts[happens]++
    switch (happens) {
      case 'response-lost':
        if (kind === 'write') this.#execute(operation, 'response lost')
        else this.say(`${process.name}: ${operation.label} -> response lost`)
        return this.#fail(operation, kind === 'write')
      case 'dropped':
        this.say(`${process.name}: ${operation.label} -> dropped`)
        return this.#fail(operation, kind === 'write')
      case 'in-flight':
        if (kind === 'write') this.#flights.push(flightOf(operation))
        this.say(`${process.name}: ${operation.label} -> in flight`)
        return this.#fail(operation, kind === 'write')
      case 'transient':
        this.say(`${process.name}: ${operation.label} -> unavailable`)
        return this.#fail(operation, false)
      case 'denied':
        this.say(`${process.name}: ${operation.label} -> denied`)
        this.#remove(operation)
        return operation.reject(new PipelineError(DENIED, `denied: ${operation.label}`))
      case 'crash-before':
      case 'crash-after':
      case 'crash-in-flight':
        return this.#crash(operation, happens)
      case 'pause':
        process.pausedUntilStep = this.steps + this.random.integer(5, PAUSE_STEPS_MAX)
        this.say(`${process.name} sleeps before ${operation.label}`)
        if (this.random.chance(0.7) && this.#maySpawn()) this.#spawn()
        return
      case 'spawn':
        this.#spawn()
        return this.#finish(operation)
      case 'stop':
        this.say(`${process.name} is asked to stop`)
        process.stop.abort()
        return
      case 'time-jump':
        this.nowMs += this.random.pick([1_000, 60_000, 3_600_000])
        return this.#finish(operation)
      default:
        throw new Error(`unexpected disturbance ${String(happens satisfies never)}`)
    }
  }

  #maySpawn(): boolean {
    return !this.#calm && this.spawn !== null && this.#spawns < this.#weather.spawnsMax
  }

  #spawn(): void {
    this.#spawns++
    this.spawn!()
  }

  #crash(operation: Operation, how: Disturbance): void {
    const { process } = operation
    if (how === 'crash-after') this.#execute(operation, 'CRASH after')
    else
      this.say(
        `${process.name}: ${operation.label}, CRASH ${how === 'crash-before' ? 'before' : 'in flight'}`,
      )
    if (how === 'crash-in-flight' && operation.kind === 'write') this.#flights.push(flightOf(operation))
    process.state = 'crashed'
    const others = this.#operations.filter((o) => o.process === process && o !== operation)
    this.#operations = this.#operations.filter((o) => o.process !== process)
    // What else it had sent may have been done, may be on its way, or was never sent.
    for (const other of others) {
      if (other.kind !== 'write') continue
      const fate = this.random.integer(0, 2)
      if (fate === 0) this.#flights.push(flightOf(other))
      else if (fate === 1) this.#execute(other, 'its process has crashed')
    }
  }

  /** Executes and answers. */
  #finish(operation: Operation): void {
    this.#remove(operation)
    let result: unknown
    try {
      result = operation.execute()
    } catch (error) {
      this.say(`${operation.process.name}: ${operation.label} -> ${messageOf(error)}`)
      operation.reject(error)
      return
    }
    this.say(`${operation.process.name}: ${operation.label} -> ${operation.show(result)}`)
    operation.resolve(result)
  }

  /** Executes without an answer. */
  #execute(operation: Operation, remark: string): void {
    this.say(`${operation.process.name}: ${operation.label} -> ${outcomeOf(operation)} (${remark})`)
  }

  #fail(operation: Operation, ambiguous: boolean): void {
    this.#remove(operation)
    operation.reject(
      ambiguous
        ? new PipelineError('STORE_AMBIGUOUS', `no answer: ${operation.label}`, { retryable: true })
        : new PipelineError('SIM_UNAVAILABLE', `unavailable: ${operation.label}`, { retryable: true }),
    )
  }

  #landOne(): void {
    const index = this.random.integer(0, this.#flights.length - 1)
    const flight = this.#flights[index]!
    this.#flights.splice(index, 1)
    this.counts['late-arrival']++
    this.say(`late arrival from ${flight.processName}: ${flight.label} -> ${outcomeOf(flight)}`)
  }

  #remove(operation: Operation): void {
    this.#operations.splice(this.#operations.indexOf(operation), 1)
  }

  #aliveNames(): string {
    return this.processes
      .filter((process) => process.state === 'alive')
      .map((process) => process.name)
      .join(', ')
  }
}

/** Executes for nobody: a refusal is seen by no one either. */
function outcomeOf({ execute, show }: Pick<Flight, 'execute' | 'show'>): string {
  try {
    return show(execute())
  } catch (error) {
    return messageOf(error)
  }
}

function flightOf(operation: Operation): Flight {
  return {
    processName: operation.process.name,
    label: operation.label,
    execute: operation.execute,
    show: operation.show,
  }
}

/** One macrotask: all microtasks before it have run, so every process waits for a port. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
