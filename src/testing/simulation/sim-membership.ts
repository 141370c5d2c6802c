import { PipelineError } from '../../errors.ts'
import type { Clock, Membership, MembershipListener } from '../../ports.ts'
import { DENIED, type SimProcess } from './scheduler.ts'
import type { GroupAnswer, SimGroup } from './sim-group.ts'

const RETRY_MS = 20
const LEAVE_TRIES_MAX = 3

/** One process's place in the simulated group. Every word with the coordinator passes through the scheduler. */
export class SimMembership implements Membership {
  readonly description: string
  readonly ended: (task: string) => void
  readonly #process: SimProcess
  readonly #group: SimGroup
  readonly #clock: Clock
  readonly #left = new AbortController()
  #mergeTasks: readonly string[] = []
  #listener: MembershipListener | null = null
  #id: number | null = null
  /** Of the assignment that the listener was given last. */
  #version = -1
  #letting: Promise<void> | null = null
  #entering: Promise<void> = Promise.resolve()
  #loop: Promise<void> = Promise.resolve()

  constructor(process: SimProcess, group: SimGroup, clock: Clock, ended: (task: string) => void = () => {}) {
    this.ended = ended
    this.description = `member ${process.name}`
    this.#process = process
    this.#group = group
    this.#clock = clock
  }

  async join(mergeTasks: readonly string[], listener: MembershipListener): Promise<void> {
    this.#mergeTasks = mergeTasks
    this.#listener = listener
    this.#entering = this.#enter()
    await this.#entering
    this.#loop = this.#beat()
  }

  async confirm(): Promise<boolean> {
    const id = this.#id
    if (id === null || this.#left.signal.aborted) return false
    const version = this.#version
    try {
      return (
        (await this.#process.call('read', `confirm ${id}`, () => this.#group.confirm(id, version), String)) &&
        id === this.#id &&
        version === this.#version
      )
    } catch {
      return false
    }
  }

  async leave(): Promise<void> {
    this.#left.abort()
    await this.#entering.catch(() => {})
    await this.#loop
    await this.#letting
    const id = this.#id
    this.#id = null
    if (id === null) return
    for (let i = 0; i < LEAVE_TRIES_MAX; i++) {
      try {
        return await this.#process.call('write', `leave ${id}`, () => this.#group.leave(id))
      } catch {
        // Others wait for the session to expire then.
      }
    }
  }

  /** Joins, again and again until it is in. An answer that was lost leaves a member behind that nobody hears of any more. */
  async #enter(): Promise<void> {
    while (!this.#left.signal.aborted) {
      try {
        const { id, answer } = await this.#process.call(
          'write',
          'join',
          () => this.#group.join(this.#process.name, this.#mergeTasks),
          (joined) => shown(joined.answer),
        )
        this.#id = id
        this.#version = -1
        return this.#tell(answer)
      } catch (error) {
        if (error instanceof PipelineError && error.code === DENIED) throw error
      }
      await this.#clock.sleep(RETRY_MS, this.#left.signal)
    }
  }

  async #beat(): Promise<void> {
    while (!this.#left.signal.aborted) {
      await this.#clock.sleep(this.#group.weather.heartbeatMs, this.#left.signal)
      if (this.#left.signal.aborted) return
      try {
        await this.#report()
      } catch (error) {
        if (!(error instanceof PipelineError) || error.code === DENIED) {
          this.#listener!.failed(error)
          return
        }
      }
    }
  }

  async #report(): Promise<void> {
    const id = this.#id!
    const answer = await this.#process.call('read', `heartbeat ${id}`, () => this.#group.heartbeat(id), shown)
    if (answer !== null) return this.#heed(answer)
    this.#id = null
    this.#listener!.lost()
    await this.#enter()
  }

  #heed(answer: GroupAnswer): void {
    if (this.#letting !== null) return
    if (answer.revoke.length === 0) return this.#tell(answer)
    this.#letting = this.#letGo(answer.revoke).finally(() => {
      this.#letting = null
    })
  }

  #tell(answer: GroupAnswer): void {
    if (answer.version <= this.#version || this.#left.signal.aborted) return
    this.#version = answer.version
    const tasks = new Set(answer.tasks)
    this.#process.say(`is assigned ${answer.tasks.join(' ') || 'nothing'}`)
    this.#listener!.assigned({
      partitions: answer.all.filter(({ id }) => tasks.has(id)),
      mergeTasks: this.#mergeTasks.filter((task) => tasks.has(task)),
      all: answer.all,
    })
  }

  /** Heartbeats go on meanwhile. What takes too long is given away all the same. */
  async #letGo(tasks: readonly string[]): Promise<void> {
    const id = this.#id!
    const over = new AbortController()
    const handoverMs = this.#group.weather.handoverMs
    const limit = this.#clock.sleep(handoverMs, AbortSignal.any([over.signal, this.#left.signal]))
    await Promise.race([this.#listener!.revoked(tasks), limit])
    over.abort()
    // The listener has let go: whatever it is to have now it must be told, also where that is what it had.
    this.#version = -1
    if (this.#id !== id || this.#left.signal.aborted) return
    try {
      const answer = await this.#process.call(
        'write',
        `release ${tasks.join(' ')}`,
        () => this.#group.release(id, tasks),
        shown,
      )
      // What the coordinator did not hear it asks for again.
      if (answer !== null && this.#id === id && answer.revoke.length === 0) this.#tell(answer)
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
    }
  }
}

function shown(answer: GroupAnswer | null): string {
  if (answer === null) return 'unknown member'
  const revoke = answer.revoke.length === 0 ? '' : `, to let go: ${answer.revoke.join(' ')}`
  return `${answer.version}: ${answer.tasks.join(' ') || 'nothing'}${revoke}`
}
