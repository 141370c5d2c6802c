import { messageOf, PipelineError } from '../errors.ts'
import type { Clock, Log, ObjectStore } from '../ports.ts'
import { settlesWithin } from './bell.ts'
import type { LeaseTimes } from './lease-membership.ts'
import { encodeMember, type LeaseKeys, type MemberBody } from './lease-objects.ts'

export interface HeartbeatOptions {
  readonly id: string
  readonly body: MemberBody
  readonly store: ObjectStore
  readonly keys: LeaseKeys
  readonly times: LeaseTimes
  readonly clock: Clock
  readonly log: Log
}

/** After a failure the next try comes sooner, so that several fit into the time to live. */
const TRIES_PER_HEARTBEAT = 5
/** The one before the newest is kept: a list that is not of one moment sees one of the two at least. */
const NUMBERS_KEPT = 2

/** Says that a member is alive: a new object with a higher number, again and again. */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  readonly #stop = new AbortController()
  readonly #bytes: Uint8Array
  /** That were put, or may have been. */
  #numbers: number[] = []
  #number = 0
  /** When the last one that is known to be there was sent. */
  #beatMs = -Infinity
  #putting: Promise<unknown> = Promise.resolve()

  constructor(options: HeartbeatOptions) {
    this.#options = options
    this.#bytes = encodeMember(options.body)
  }

  /** Whether others have had a sign of life that is not too old. */
  get isFresh(): boolean {
    const { clock, times } = this.#options
    return clock.nowMs() - this.#beatMs < times.ttlMs
  }

  /** Puts the first one. Throws as the store does. */
  async start(): Promise<void> {
    await this.#put()
  }

  /** Goes on until it is stopped; resolves earlier where the time to live has passed without one. Throws what no retry can mend. */
  async run(): Promise<void> {
    const { clock, times } = this.#options
    let delayMs = times.heartbeatMs
    while (!this.#isStopped) {
      await clock.sleep(delayMs, this.#stop.signal)
      if (this.#isStopped) return
      if (!this.isFresh) return
      const leftMs = this.#beatMs + times.ttlMs - clock.nowMs()
      const put = this.#tryPut()
      this.#putting = put.catch(() => {})
      if (!(await settlesWithin(clock, leftMs, put))) return
      delayMs = (await put) ? times.heartbeatMs : times.heartbeatMs / TRIES_PER_HEARTBEAT
    }
  }

  stop(): void {
    this.#stop.abort('stopped')
  }

  /** Takes the sign of life away. Throws as the store does. */
  async remove(): Promise<void> {
    this.stop()
    await this.#putting
    const { store, keys, id } = this.#options
    await Promise.all(this.#numbers.map((number) => store.delete(keys.member(id, number))))
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted
  }

  async #tryPut(): Promise<boolean> {
    try {
      await this.#put()
      return true
    } catch (error) {
      if (!(error instanceof PipelineError && error.retryable)) throw error
      const { log, id } = this.#options
      log.debug({ member: id, error: messageOf(error) }, 'no heartbeat: the store cannot be reached')
      return false
    }
  }

  /** Each try has a number of its own: of one whose outcome is not known nothing needs to be known. */
  async #put(): Promise<void> {
    const { store, keys, id, clock } = this.#options
    const sentMs = clock.nowMs()
    this.#number++
    this.#numbers.push(this.#number)
    await store.putIfAbsent(keys.member(id, this.#number), this.#bytes)
    this.#beatMs = sentMs
    while (this.#numbers.length > NUMBERS_KEPT) {
      await store.delete(keys.member(id, this.#numbers[0]!))
      this.#numbers.shift()
    }
  }
}
