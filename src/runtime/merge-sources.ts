import { type MergePlace, mergeTasksOfStage } from '../checkpoint/keys.ts'
import type { Plan } from '../engine/plan.ts'
import type { SourcePartition } from '../ports.ts'

export interface MergeSourcesOptions {
  readonly plan: Plan
  readonly place: MergePlace
  /** The partitions that the source has now: more may come. */
  readonly partitions: () => readonly SourcePartition[]
  /** Partitions that have a chain, where the source may have some no more: what those recorded last is still to be folded. */
  readonly chained: () => Promise<readonly string[]>
}

/** Which tasks a merge task folds: those of the partitions, or of the stage before its own. */
export class MergeSources {
  readonly #options: MergeSourcesOptions
  readonly #before: readonly string[] | null
  #chained: readonly string[] = []

  constructor(options: MergeSourcesOptions) {
    const { plan, place } = options
    this.#options = options
    this.#before = place.stage === 0 ? null : mergeTasksOfStage(plan, place.stage - 1)
  }

  /** As the source, or the plan, has them now. */
  get present(): readonly string[] {
    return this.#before ?? this.#options.partitions().map(({ id }) => id)
  }

  get all(): readonly string[] {
    return this.#chained.length === 0 ? this.present : [...new Set([...this.present, ...this.#chained])]
  }

  /** Of a partition that is there now: those that it follows. */
  get parentsOf(): (task: string) => readonly string[] | undefined {
    if (this.#before !== null) return () => undefined
    const parents = new Map(this.#options.partitions().map((partition) => [partition.id, partition.parents]))
    return (task) => parents.get(task)
  }

  /** Once, at the start: whoever comes later is among those that are there then. */
  async lookAtChains(): Promise<void> {
    if (this.#before === null) this.#chained = await this.#options.chained()
  }
}
