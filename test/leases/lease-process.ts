import { PipelineError } from '../../src/errors.ts'
import { LeaseMembership } from '../../src/leases/lease-membership.ts'
import { LeaseKeys, parseLease } from '../../src/leases/lease-objects.ts'
import type {
  Assignment,
  Clock,
  Log,
  MembershipListener,
  MembershipPlace,
  ObjectStore,
} from '../../src/ports.ts'
import type { LeaseWorld } from './lease-world.ts'

/** Where all of them keep their leases. */
export const PREFIX = '_millrace/p/000001/_leases/'

export interface StartOptions {
  readonly name?: string | null
  /** Of its clock. */
  readonly speed?: number
  readonly offsetMs?: number
  /** Of another program than the others run. */
  readonly mergeTasks?: readonly string[]
}

/** One process with its membership, and what a runtime does with it. */
export class LeaseProcess implements MembershipListener {
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
