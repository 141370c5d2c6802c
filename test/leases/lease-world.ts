import { LeaseKeys, parseLease } from '../../src/leases/lease-objects.ts'
import { LEASE_TIMES, LeaseMembership, type LeaseTimes } from '../../src/leases/lease-membership.ts'
import { PipelineError } from '../../src/errors.ts'
import type {
  Assignment,
  Clock,
  Log,
  MembershipListener,
  MembershipPlace,
  ObjectStore,
  SourcePartition,
} from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'

/**
 * Processes that share leases, in simulated time: a queue of what happens when. Each has a clock of its own speed, and its own way to the one
 * store, which may be slow, away, or silent about what it has done.
 */
export class LeaseWorld {
  readonly objects = memoryStore()
  readonly processes: SimMember[] = []
  readonly times: LeaseTimes
  readonly mergeTasks: readonly string[]
  readonly random: () => number
  /** Everything wrong that was seen. */
  readonly wrong: string[] = []
  /** Turns that were put: 'task number' with the owner, in order. */
  readonly turns: { readonly atMs: number; readonly task: string; readonly owner: string }[] = []
  readonly trace: string[] = []
  readonly requests = { put: 0, list: 0, get: 0, delete: 0 }
  readonly confirmations = { yes: 0, no: 0 }
  store: StoreWeather = FAIR
  /** Nothing happens any more. */
  isFair = false
  nowMs = 0
  #events: Event[] = []
  #sequence = 0
  readonly #shards = new Map<string, Shard>()

  constructor(options: {
    readonly seed: number
    readonly shards: number
    readonly mergeTasks?: readonly string[]
    readonly times?: Partial<LeaseTimes>
  }) {
    this.random = mulberry(options.seed)
    this.times = { ...LEASE_TIMES, ...options.times }
    this.mergeTasks = options.mergeTasks ?? ['merge-0']
    for (let i = 0; i < options.shards; i++) this.#addShard([])
  }

  get shards(): readonly Shard[] {
    return [...this.#shards.values()]
  }

  /** What must have an owner by now. */
  get due(): readonly string[] {
    const ready = this.shards.filter((shard) => !shard.isEnded && this.isReady(shard.partition))
    return [...ready.map(({ partition }) => partition.id), ...this.mergeTasks].sort()
  }

  get alive(): readonly SimMember[] {
    return this.processes.filter(({ state }) => state === 'alive')
  }

  start(options: StartOptions = {}): SimMember {
    const process = new SimMember(this, this.processes.length, options)
    this.processes.push(process)
    process.begin()
    return process
  }

  /** The shard goes on in two. */
  split(index: number): void {
    const open = this.shards.filter((shard) => !shard.isClosed)
    const shard = open[index % open.length]
    if (shard === undefined) return
    shard.isClosed = true
    this.#addShard([shard.partition.id])
    this.#addShard([shard.partition.id])
  }

  /** Two shards go on in one. */
  merge(index: number): void {
    const open = this.shards.filter((shard) => !shard.isClosed)
    if (open.length < 2) return
    const pair = [open[index % open.length]!, open[(index + 1) % open.length]!]
    for (const shard of pair) shard.isClosed = true
    this.#addShard(pair.map(({ partition }) => partition.id))
  }

  shard(id: string): Shard | undefined {
    return this.#shards.get(id)
  }

  isReady({ parents = [] }: SourcePartition): boolean {
    return parents.every((parent) => this.#shards.get(parent)!.isEnded)
  }

  later(afterMs: number, who: SimMember | null, run: () => void): void {
    this.#events.push({ atMs: this.nowMs + Math.max(0, afterMs), sequence: this.#sequence++, who, run })
  }

  /** Lets this much time pass. */
  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms
    for (;;) {
      await settle()
      const next = this.#next()
      if (next === null || next.atMs > endMs) break
      this.#events.splice(this.#events.indexOf(next), 1)
      this.nowMs = Math.max(this.nowMs, next.atMs)
      const { who } = next
      if (who !== null && who.state === 'gone') continue
      if (who !== null && who.asleepUntilMs > this.nowMs) {
        this.#events.push({ ...next, atMs: who.asleepUntilMs })
        continue
      }
      next.run()
    }
    this.nowMs = endMs
  }

  say(line: string): void {
    this.trace.push(`${Math.round(this.nowMs)} ${line}`)
  }

  /** The newest lease of each task, out of the store itself. */
  async leases(): Promise<ReadonlyMap<string, { readonly owner: string; readonly state: string }>> {
    const keys = new LeaseKeys(PREFIX)
    const newest = new Map<string, string>()
    for (const { key } of await this.objects.list(`${PREFIX}tasks/`)) {
      const parsed = keys.parse(key)
      if (parsed?.kind === 'lease') newest.set(parsed.task, key)
    }
    const leases = new Map<string, { owner: string; state: string }>()
    for (const [task, key] of newest) leases.set(task, parseLease(key, (await this.objects.get(key))!))
    return leases
  }

  /** What is wrong about who runs what, after things have been quiet for long enough. */
  problems(): string[] {
    const problems = [...this.wrong]
    const loads = this.alive.map(({ running }) => running.size)
    for (const task of this.due) {
      const owners = this.alive.filter(({ running }) => running.has(task)).map(({ label }) => label)
      if (owners.length !== 1) problems.push(`${task} is run by ${owners.join(' and ') || 'nobody'}`)
    }
    for (const { label, running } of this.alive) {
      for (const task of running) if (!this.due.includes(task)) problems.push(`${label} runs ${task}`)
    }
    if (Math.max(...loads) - Math.min(...loads) > 1) problems.push(`loads are ${loads.join(', ')}`)
    return problems
  }

  #next(): Event | null {
    let next: Event | null = null
    for (const event of this.#events) {
      if (
        next === null ||
        event.atMs < next.atMs ||
        (event.atMs === next.atMs && event.sequence < next.sequence)
      )
        next = event
    }
    return next
  }

  #addShard(parents: readonly string[]): void {
    const partition = this.#shards.size
    const id = `s-${String(partition).padStart(12, '0')}`
    this.#shards.set(id, {
      partition: { id, topic: 's', partition, ...(parents.length > 0 ? { parents } : {}) },
      isClosed: false,
      isEnded: false,
    })
  }
}

export const PREFIX = '_millrace/p/000001/_leases/'

export interface Shard {
  readonly partition: SourcePartition
  /** No record will come any more. */
  isClosed: boolean
  /** That is recorded. */
  isEnded: boolean
}

export interface StoreWeather {
  /** Longest time of one way. */
  readonly delayMs: number
  /** Every request fails. */
  readonly isAway: boolean
  /** Chance that a request fails; a put may have been done all the same, or is done later. */
  readonly faults: number
  /** Chance that a list is not of one moment. */
  readonly torn: number
}

export const FAIR: StoreWeather = { delayMs: 40, isAway: false, faults: 0, torn: 0 }

export interface StartOptions {
  readonly name?: string | null
  /** Of its clock. */
  readonly speed?: number
  readonly offsetMs?: number
  /** Of another program than the others run. */
  readonly mergeTasks?: readonly string[]
}

interface Event {
  readonly atMs: number
  readonly sequence: number
  readonly who: SimMember | null
  readonly run: () => void
}

/** One process with its membership, and what a runtime does with it. */
export class SimMember implements MembershipListener {
  readonly label: string
  readonly membership: LeaseMembership
  state: 'alive' | 'leaving' | 'gone' = 'alive'
  asleepUntilMs = 0
  running: Set<string> = new Set()
  isJoined = false
  losses = 0
  revocations = 0
  failure: unknown = null
  /** How long it takes to let go. */
  letGoMs = 500
  all: readonly string[] = []
  /** What the store answers to everything, where it does not do it. */
  refusal: PipelineError | null = null
  readonly #world: LeaseWorld
  readonly #mergeTasks: readonly string[]
  readonly #speed: number
  readonly #offsetMs: number
  readonly logs: string[] = []
  readonly ids: string[] = []
  readonly #lettingGo = new Set<string>()
  #nonces = 0

  constructor(world: LeaseWorld, index: number, options: StartOptions) {
    const { name = null, speed = 1, offsetMs = 0, mergeTasks = world.mergeTasks } = options
    this.label = `P${index}`
    this.#world = world
    this.#mergeTasks = mergeTasks
    this.#speed = speed
    this.#offsetMs = offsetMs
    this.membership = new LeaseMembership({
      source: {
        partitions: () =>
          this.#call('read', () => Promise.resolve(world.shards.map((shard) => shard.partition))),
        partition: (id) => world.shard(id)?.partition ?? null,
      },
      name,
      times: world.times,
      world: {
        clock: this.clock,
        entropy: { nonce: () => this.#nonce(index), random: world.random },
        log: this.#log(),
      },
    })
  }

  begin(): void {
    const place: MembershipPlace = { store: this.store, prefix: PREFIX, known: [] }
    this.#world.say(`${this.label} starts`)
    this.confirmOften()
    this.membership.join(this.#mergeTasks, this, place).then(
      () => {
        this.isJoined = true
      },
      (error: unknown) => this.failed(error),
    )
  }

  crash(): void {
    this.#world.say(`${this.label} crashes`)
    this.state = 'gone'
  }

  sleep(ms: number): void {
    this.#world.say(`${this.label} sleeps ${ms}`)
    this.asleepUntilMs = Math.max(this.asleepUntilMs, this.#world.nowMs + ms)
  }

  leave(): void {
    this.#world.say(`${this.label} leaves`)
    this.running = new Set()
    this.state = 'leaving'
    void this.membership.leave().then(() => {
      this.#world.say(`${this.label} has left`)
      this.state = 'gone'
    })
  }

  /** Asks again and again, as the runtime does whenever it has lost a task. */
  confirmOften(): void {
    if (this.#world.isFair) return
    this.#world.later(1_000 + this.#world.random() * 5_000, this, () => {
      void this.confirm().then((isConfirmed) => {
        this.#world.confirmations[isConfirmed ? 'yes' : 'no']++
        this.confirmOften()
      })
    })
  }

  /** Asks, and notes where the answer is wrong: each task has to have been ours at some moment since the question. */
  async confirm(): Promise<boolean> {
    const told = [...this.running]
    const askedMs = this.#world.nowMs
    const before = await this.#world.leases()
    const isConfirmed = await this.membership.confirm()
    const since = this.#world.turns.filter(({ atMs }) => atMs >= askedMs)
    for (const task of told) {
      if (!isConfirmed) continue
      const owners = [
        before.get(task)?.owner,
        ...since.filter((turn) => turn.task === task).map(({ owner }) => owner),
      ]
      const isOurs = owners.some((owner) => owner !== undefined && this.ids.includes(owner))
      if (!isOurs && !(this.#world.shard(task)?.isEnded ?? false))
        this.#world.wrong.push(`${this.label} confirmed ${task} of ${owners.join(', ')}`)
    }
    return isConfirmed
  }

  assigned(assignment: Assignment): void {
    const { partitions, mergeTasks, all } = assignment
    this.#world.say(
      `${this.label} runs ${[...partitions.map(({ id }) => id), ...mergeTasks].join(' ') || 'nothing'}`,
    )
    for (const partition of partitions) {
      if (!this.#world.isReady(partition))
        this.#world.wrong.push(`${this.label} has ${partition.id} before its parents have ended`)
      if (!all.some(({ id }) => id === partition.id))
        this.#world.wrong.push(`${partition.id} is not among all`)
    }
    for (const task of this.#lettingGo) {
      if (partitions.some(({ id }) => id === task) || mergeTasks.includes(task))
        this.#world.wrong.push(`${this.label} is given ${task} while it lets go of it`)
    }
    const before = this.running
    this.running = new Set([...partitions.map(({ id }) => id), ...mergeTasks])
    this.all = all.map(({ id }) => id)
    for (const id of this.running) if (!before.has(id)) this.#work(id)
  }

  async revoked(tasks: readonly string[]): Promise<void> {
    this.#world.say(`${this.label} lets go of ${tasks.join(' ')}`)
    this.revocations += tasks.length
    for (const task of tasks) this.#lettingGo.add(task)
    await this.clock.sleep(this.letGoMs)
    for (const task of tasks) {
      this.running.delete(task)
      this.#lettingGo.delete(task)
    }
  }

  lost(): void {
    this.#world.say(`${this.label} is lost`)
    this.#lettingGo.clear()
    this.losses++
    this.running = new Set()
  }

  failed(error: unknown): void {
    this.failure = error
    this.state = 'gone'
  }

  readonly clock: Clock = {
    nowMs: () => this.#offsetMs + this.#world.nowMs * this.#speed,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) return resolve()
        signal?.addEventListener('abort', () => resolve())
        this.#world.later(ms / this.#speed, this, resolve)
      }),
  }

  /** Its own way to the store. */
  readonly store: ObjectStore = {
    description: 'simulated store',
    putIfAbsent: (key, body) =>
      this.#call('put', async () => {
        const result = await this.#world.objects.putIfAbsent(key, body)
        const parsed = new LeaseKeys(PREFIX).parse(key)
        if (result === 'created' && parsed?.kind === 'lease') this.#noteTurn(key, parsed.task, body)
        return result
      }),
    put: (key, body) => this.#call('put', () => this.#world.objects.put(key, body)),
    get: (key) => this.#call('get', () => this.#world.objects.get(key)),
    list: (prefix, startAfter) =>
      this.#call('list', async () => {
        const listed = await this.#world.objects.list(prefix, startAfter)
        if (this.#world.random() >= this.#world.store.torn) return listed
        // What is put or deleted while a list is made may be missing from it, in a folder both of one name.
        await new Promise<void>((resolve) => this.#world.later(this.#world.random() * 3_000, null, resolve))
        const still = new Set((await this.#world.objects.list(prefix, startAfter)).map(({ key }) => key))
        return listed.filter(({ key }) => still.has(key))
      }),
    delete: (key) => this.#call('delete', () => this.#world.objects.delete(key)),
  }

  #noteTurn(key: string, task: string, body: Uint8Array): void {
    const { owner, handTo, state } = parseLease(key, body)
    this.#world.turns.push({ atMs: this.#world.nowMs, task, owner })
    this.#world.say(
      `${this.label} puts ${task} ${Number(/(\d+)\.json$/.exec(key)![1])}: ${state} by ${owner}${handTo === null ? '' : `, asked by ${handTo}`}`,
    )
  }

  /** Reads the task: of a shard that is closed it finds the end after a while. */
  #work(id: string): void {
    const look = (): void => {
      if (!this.running.has(id)) return
      const shard = this.#world.shard(id)
      if (shard === undefined) return
      if (shard.isEnded || shard.isClosed) {
        this.#world.say(`${this.label} finds the end of ${id}`)
        shard.isEnded = true
        this.membership.ended(id)
        return
      }
      this.#world.later(1_000, this, look)
    }
    this.#world.later(500, this, look)
  }

  #call<T>(kind: 'put' | 'get' | 'list' | 'delete' | 'read', execute: () => Promise<T>): Promise<T> {
    const world = this.#world
    if (this.refusal !== null) return Promise.reject(this.refusal)
    if (kind !== 'read') world.requests[kind]++
    const { delayMs, isAway, faults } = world.store
    const isWrite = kind === 'put' || kind === 'delete'
    const there = world.random() * delayMs
    const back = world.random() * delayMs
    const isLost = world.random() < faults
    const fate = world.random()
    return new Promise((resolve, reject) => {
      if (isAway || isLost) {
        if (isWrite && !isAway && fate < 0.7) {
          // Done, or done much later, and nobody hears of it.
          world.later(fate < 0.4 ? there : there + fate * 60_000, null, () => void execute())
        }
        world.later(there + back, this, () =>
          reject(new PipelineError(isWrite ? 'STORE_AMBIGUOUS' : 'STORE_AWAY', kind, { retryable: true })),
        )
        return
      }
      // What has been sent arrives, also where its process is no more.
      world.later(there, null, () => {
        execute().then(
          (result) => world.later(back, this, () => resolve(result)),
          (error: unknown) => world.later(back, this, () => reject(error)),
        )
      })
    })
  }

  #nonce(index: number): string {
    const id = `p${index}n${this.#nonces++}xxxxxxxx`
    this.ids.push(id)
    return id
  }

  #log(): Log {
    const log: Log = {
      debug: () => {},
      info: () => {},
      warn: (_fields, message) => void this.logs.push(message),
      error: (_fields, message) => void this.logs.push(message),
      child: () => log,
    }
    return log
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function mulberry(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
