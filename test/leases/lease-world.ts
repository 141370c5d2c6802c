import { LEASE_TIMES, type LeaseTimes } from '../../src/leases/lease-membership.ts'
import { LeaseKeys, parseLease } from '../../src/leases/lease-objects.ts'
import type { SourcePartition } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { LeaseProcess, PREFIX, type StartOptions } from './lease-process.ts'

/**
 * Processes that share leases, in simulated time: a queue of what happens when. Each has a clock of its own speed, and its own way to the one
 * store, which may be slow, away, or silent about what it has done.
 */
export class LeaseWorld {
  readonly objects = memoryStore()
  readonly processes: LeaseProcess[] = []
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

  get alive(): readonly LeaseProcess[] {
    return this.processes.filter(({ state }) => state === 'alive')
  }

  start(options: StartOptions = {}): LeaseProcess {
    const process = new LeaseProcess(this, this.processes.length, options)
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

  later(afterMs: number, who: LeaseProcess | null, run: () => void): void {
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

interface Event {
  readonly atMs: number
  readonly sequence: number
  readonly who: LeaseProcess | null
  readonly run: () => void
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
