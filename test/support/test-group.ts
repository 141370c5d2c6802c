import type { Assignment, Membership, MembershipListener, Source, SourcePartition } from '../../src/ports.ts'

interface Member {
  readonly name: string
  listener: MembershipListener | null
  tasks: ReadonlySet<string>
}

/** A group that does what the test says: who has which tasks, who hears of it, and who does not. */
export class TestGroup {
  readonly #partitions: readonly SourcePartition[]
  readonly #members = new Map<string, Member>()
  #mergeTasks: readonly string[] = []

  constructor(partitions: readonly SourcePartition[]) {
    this.#partitions = partitions
  }

  get tasks(): readonly string[] {
    return [...this.#partitions.map(({ id }) => id), ...this.#mergeTasks]
  }

  get members(): readonly string[] {
    return [...this.#members.values()].filter(({ listener }) => listener !== null).map(({ name }) => name)
  }

  /** The source as a member of this name sees it. It has nothing to do until `assign`. */
  join(name: string, source: Source): Source {
    const member: Member = { name, listener: null, tasks: new Set() }
    const membership: Membership = {
      description: name,
      join: async (mergeTasks, listener) => {
        this.#mergeTasks = mergeTasks
        member.listener = listener
        this.#members.set(name, member)
        listener.assigned(this.#assignmentOf(member))
      },
      confirm: async () => this.#members.has(name),
      leave: async () => {
        this.#members.delete(name)
        member.tasks = new Set()
      },
    }
    return {
      description: `${source.description}, as ${name} sees it`,
      membership,
      isBacklog: source.isBacklog ?? false,
      partitions: () => source.partitions(),
      open: (partition, position) => source.open(partition, position),
      close: () => source.close(),
    }
  }

  /** Hands the tasks out anew: first who has too many lets go, then who has too few is told. */
  async assign(owners: ReadonlyMap<string, string>): Promise<void> {
    for (const member of this.#members.values()) {
      const lost = [...member.tasks].filter((task) => owners.get(task) !== member.name)
      if (lost.length > 0) await member.listener!.revoked(lost)
    }
    this.#tell(owners)
  }

  /** The same, but nobody is asked to let go first: for a time a task has two owners. */
  assignAtOnce(owners: ReadonlyMap<string, string>): void {
    for (const member of this.#members.values()) {
      if ([...member.tasks].some((task) => owners.get(task) !== member.name)) member.listener!.lost()
    }
    this.#tell(owners)
  }

  #tell(owners: ReadonlyMap<string, string>): void {
    for (const member of this.#members.values()) {
      member.tasks = new Set(this.tasks.filter((task) => owners.get(task) === member.name))
      member.listener!.assigned(this.#assignmentOf(member))
    }
  }

  #assignmentOf({ tasks }: Member): Assignment {
    return {
      partitions: this.#partitions.filter(({ id }) => tasks.has(id)),
      mergeTasks: this.#mergeTasks.filter((task) => tasks.has(task)),
      all: this.#partitions,
    }
  }
}
