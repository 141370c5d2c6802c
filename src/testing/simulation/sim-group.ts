import type { SourcePartition } from '../../ports.ts'
import type { Prng } from './prng.ts'

/** How a group coordinator behaves; drawn from the seed. */
export interface GroupWeather {
  /** A member that has not been heard of for so long is out. */
  readonly sessionMs: number
  /** Members report this often. */
  readonly heartbeatMs: number
  /** How long a member waits for its own tasks to be let go before it says that they are. */
  readonly handoverMs: number
  /** That the coordinator does something odd at a request: puts a member out, moves a task for no reason, or gives one to two members. */
  readonly oddness: number
}

/** What a member is told. */
export interface GroupAnswer {
  /** Grows with every change of what this member holds. */
  readonly version: number
  readonly tasks: readonly string[]
  /** Of these: to be let go. */
  readonly revoke: readonly string[]
  /** All partitions of the source, as far as the coordinator has noticed them. */
  readonly all: readonly SourcePartition[]
}

interface Member {
  readonly id: number
  readonly name: string
  readonly mergeTasks: readonly string[]
  seenMs: number
  version: number
  /** What it holds, as it was when `version` was given. */
  told: string
}

/**
 * The coordinator of a group: hands every partition and every merge task to a member. A task moves in two steps: its holder is asked for it, and only
 * when it has been let go, or its holder is out of the group, the next one gets it. In bad weather none of this is certain: members are put out while
 * they work on, and a task may have two holders.
 */
export class SimGroup {
  readonly #random: Prng
  readonly #nowMs: () => number
  readonly #partitions: () => readonly SourcePartition[]
  readonly #say: (line: string) => void
  #weather: GroupWeather
  readonly #members = new Map<number, Member>()
  /** The member that a task belongs to. */
  readonly #holders = new Map<string, number>()
  /** Where a task is to go in the end. */
  readonly #targets = new Map<string, number>()
  /** A second holder, by a mistake of the coordinator. */
  readonly #twins = new Map<string, number>()
  #known: readonly SourcePartition[] = []
  #memberIds = 0
  /** So that a test can show that each has happened. */
  readonly counts = { expired: 0, handovers: 0, twins: 0, shuffles: 0 }

  constructor(
    random: Prng,
    nowMs: () => number,
    partitions: () => readonly SourcePartition[],
    weather: GroupWeather,
    say: (line: string) => void = () => {},
  ) {
    this.#random = random
    this.#nowMs = nowMs
    this.#partitions = partitions
    this.#weather = weather
    this.#say = say
  }

  get weather(): GroupWeather {
    return this.#weather
  }

  /** No more odd doings. Members that are silent still expire. */
  becalm(): void {
    this.#weather = { ...this.#weather, oddness: 0 }
    for (const task of Array.from(this.#twins.keys())) this.#endTwin(task)
  }

  /** Who holds a task, by the name of the member; null where nobody does. */
  holderOf(task: string): string | null {
    const holder = this.#holders.get(task)
    return holder === undefined ? null : this.#members.get(holder)!.name
  }

  /** True where the coordinator has given the task to this member, or to nobody. */
  isOpenTo(task: string, name: string): boolean {
    const owners = [this.#holders.get(task), this.#twins.get(task)].filter((id) => id !== undefined)
    return owners.length === 0 || owners.some((id) => this.#members.get(id)!.name === name)
  }

  /** Every task of the group that anybody knows. */
  get tasks(): readonly string[] {
    const mergeTasks = [...this.#members.values()].flatMap((member) => member.mergeTasks)
    return [...this.#known.map(({ id }) => id), ...new Set(mergeTasks)]
  }

  join(name: string, mergeTasks: readonly string[]): { readonly id: number; readonly answer: GroupAnswer } {
    const id = ++this.#memberIds
    this.#members.set(id, { id, name, mergeTasks, seenMs: this.#nowMs(), version: 0, told: '' })
    this.#say(`group: ${name} joins as ${id}`)
    this.#notice()
    this.#tick()
    this.#balance()
    return { id, answer: this.#answer(id)! }
  }

  /** Null: the coordinator knows no such member. */
  heartbeat(id: number): GroupAnswer | null {
    this.#tick()
    const member = this.#members.get(id)
    if (member === undefined) return null
    member.seenMs = this.#nowMs()
    if (this.#random.chance(0.2)) this.#notice()
    this.#balance()
    return this.#answer(id)
  }

  /** True where what the member was told last still holds. */
  confirm(id: number, version: number): boolean {
    const answer = this.heartbeat(id)
    return answer !== null && answer.version === version && answer.revoke.length === 0
  }

  /** The member has let go of these. */
  release(id: number, tasks: readonly string[]): GroupAnswer | null {
    this.#tick()
    for (const task of tasks) {
      if (this.#twins.get(task) === id) this.#endTwin(task)
      // Late news: it may have been given back to this member since.
      if (this.#holders.get(task) === id && this.#targets.get(task) !== id) {
        this.#holders.delete(task)
        this.counts.handovers++
      }
    }
    this.#balance()
    return this.#answer(id)
  }

  leave(id: number): void {
    if (this.#members.has(id)) this.#remove(id, 'leaves')
    this.#balance()
  }

  // ---------------------------------------------------------------------------------- inside

  #answer(id: number): GroupAnswer | null {
    const member = this.#members.get(id)
    if (member === undefined) return null
    const tasks = this.tasks.filter((task) => this.#holders.get(task) === id || this.#twins.get(task) === id)
    const revoke = tasks.filter((task) => this.#targets.get(task) !== id && this.#twins.get(task) !== id)
    const told = `${tasks.join(' ')}|${this.#known.length}`
    if (told !== member.told) {
      member.told = told
      member.version++
    }
    return { version: member.version, tasks, revoke, all: this.#known }
  }

  /** Reads the metadata of the source again: partitions may have been added. */
  #notice(): void {
    this.#known = this.#partitions()
  }

  #tick(): void {
    const nowMs = this.#nowMs()
    for (const { id, seenMs } of this.#members.values()) {
      if (nowMs - seenMs > this.#weather.sessionMs) this.#remove(id, 'has expired')
    }
    if (this.#members.size > 0 && this.#random.chance(this.#weather.oddness)) this.#beOdd()
  }

  #beOdd(): void {
    const members = [...this.#members.keys()]
    const { tasks } = this
    const member = this.#random.pick(members)
    switch (this.#random.integer(0, 3)) {
      case 0:
        return this.#remove(member, 'is put out')
      case 1: {
        if (tasks.length === 0) return
        const task = this.#random.pick(tasks)
        this.#targets.set(task, member)
        this.counts.shuffles++
        return this.#say(`group: ${task} is to go to ${this.#members.get(member)!.name}`)
      }
      case 2: {
        if (tasks.length === 0) return
        const task = this.#random.pick(tasks)
        if (this.#twins.has(task)) this.#endTwin(task)
        if (this.#holders.get(task) === member || !this.#members.has(member)) return
        this.#twins.set(task, member)
        this.counts.twins++
        return this.#say(`group: ${task} belongs to ${this.#members.get(member)!.name} too`)
      }
      default: {
        // The holder is not asked: it learns of it when the next one is at work.
        const held = tasks.filter((task) => this.#holders.has(task))
        if (held.length === 0) return
        const task = this.#random.pick(held)
        this.#holders.set(task, member)
        this.#targets.set(task, member)
        this.#say(`group: ${task} belongs to ${this.#members.get(member)!.name} now`)
      }
    }
  }

  /** Whoever did not hear of the other is out: nobody goes on with a task as if it had always had it. */
  #endTwin(task: string): void {
    const twin = this.#twins.get(task)!
    this.#twins.delete(task)
    const holder = this.#holders.get(task)
    if (holder !== undefined && this.#members.has(holder)) this.#remove(holder, 'is put out')
    if (!this.#members.has(twin)) return
    this.#holders.set(task, twin)
    this.#targets.set(task, twin)
  }

  #remove(id: number, how: string): void {
    this.#say(`group: ${this.#members.get(id)!.name} (${id}) ${how}`)
    this.#members.delete(id)
    this.counts.expired++
    for (const places of [this.#holders, this.#targets]) {
      for (const [task, member] of places) if (member === id) places.delete(task)
    }
    const twins = this.tasks.filter((task) => this.#twins.get(task) === id)
    for (const task of twins) this.#endTwin(task)
  }

  /** Evenly, and moving as little as that allows; then gives what nobody holds. */
  #balance(): void {
    if (this.#members.size === 0) return
    const { tasks } = this
    for (const places of [this.#holders, this.#targets, this.#twins]) {
      for (const task of places.keys()) if (!tasks.includes(task)) places.delete(task)
    }
    const loads = new Map([...this.#members.keys()].map((id) => [id, 0]))
    const add = (id: number): void => void loads.set(id, loads.get(id)! + 1)
    for (const task of tasks) {
      const target = this.#targets.get(task)
      if (target !== undefined) add(target)
    }
    const least = (): number => [...loads].reduce((a, b) => (b[1] < a[1] ? b : a))[0]
    for (const task of tasks) {
      if (this.#targets.has(task)) continue
      const target = this.#holders.get(task) ?? least()
      this.#targets.set(task, target)
      add(target)
    }
    for (const task of tasks) {
      const target = this.#targets.get(task)!
      const lightest = least()
      if (loads.get(target)! - loads.get(lightest)! < 2) continue
      loads.set(target, loads.get(target)! - 1)
      this.#targets.set(task, lightest)
      add(lightest)
    }
    for (const task of tasks) if (!this.#holders.has(task)) this.#holders.set(task, this.#targets.get(task)!)
  }
}
