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
  /** Partitions that had a chain at the start, and those that were there once in this run and are no more. */
  readonly #former = new Set<string>()
  /** As they were last, and what follows from them: a merge asks often. */
  #partitions: readonly SourcePartition[] = []
  #ids: readonly string[] = []
  #parents: ReadonlyMap<string, readonly string[]> = new Map()

  constructor(options: MergeSourcesOptions) {
    const { plan, place } = options
    this.#options = options
    this.#before = place.stage === 0 ? null : mergeTasksOfStage(plan, place.stage - 1)
  }

  /** As the source, or the plan, has them now. */
  get present(): readonly string[] {
    if (this.#before !== null) return this.#before
    this.#look()
    return this.#ids
  }

  get all(): readonly string[] {
    const { present } = this
    return this.#former.size === 0 ? present : [...new Set([...present, ...this.#former])]
  }

  /** Those that a partition follows, which is there now. */
  parentsOf(task: string): readonly string[] | undefined {
    return this.#parents.get(task)
  }

  #look(): void {
    const partitions = this.#options.partitions()
    if (partitions === this.#partitions) return
    const ids = new Set(partitions.map(({ id }) => id))
    // What was recorded last of one that is gone by now, by whomever, is still to be folded.
    for (const id of this.#ids) if (!ids.has(id)) this.#former.add(id)
    this.#partitions = partitions
    this.#ids = [...ids]
    const parents = new Map<string, readonly string[]>()
    for (const partition of partitions) if (partition.parents) parents.set(partition.id, partition.parents)
    this.#parents = parents
  }

  /** Once, at the start: whoever comes later is among those that are there then. */
  async lookAtChains(): Promise<void> {
    if (this.#before !== null) return
    this.#look()
    for (const task of await this.#options.chained()) this.#former.add(task)
  }
}
