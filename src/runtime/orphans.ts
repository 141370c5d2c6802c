import { isOrphan, type OrphanFacts } from '../checkpoint/decide.ts'
import { parseStagedName } from '../checkpoint/keys.ts'
import { stagedKeysOf } from '../checkpoint/retention.ts'
import { messageOf } from '../errors.ts'
import type { TableShape } from '../ports.ts'
import type { Ownership } from './ownership.ts'
import { isRetryable, retrying } from './retry.ts'
import { keyOfFile, type TaskContext } from './task-context.ts'

interface Claimed {
  readonly task: string
  readonly facts: OrphanFacts
  readonly tables: readonly TableShape[]
}

/**
 * Deletes what earlier owners of a task staged and no record names. It goes on beside the work: what we stage ourselves carries our
 * own claim, and is never taken for an orphan.
 */
export class OrphanSweeper {
  readonly #context: TaskContext
  /** Tables with partition folders, which have to be listed whole: once in a run is enough, the rest is for `millrace vacuum`. */
  readonly #listed = new Set<string>()
  #waiting: Claimed[] = []
  #running: Promise<void> | null = null
  #deleted = 0

  constructor(context: TaskContext) {
    this.#context = context
  }

  /** A task is ours. `tables` are those that it writes to. */
  add(task: string, ownership: Ownership, tables: readonly TableShape[]): void {
    this.#waiting.push({ task, facts: factsOf(ownership, this.#context), tables })
    this.#running ??= this.#sweep().finally(() => {
      this.#running = null
    })
  }

  /** Resolves when nothing is being deleted any more. Never rejects: whoever takes over next sweeps again. */
  async settled(): Promise<void> {
    while (this.#running !== null) await this.#running
    if (this.#deleted === 0) return
    this.#context.log.info({ files: this.#deleted }, 'deleted files that an interrupted run had staged')
    this.#deleted = 0
  }

  /** A stop does not wait for what is only housekeeping. */
  get #isStopping(): boolean {
    return this.#context.retry.signal?.aborted === true
  }

  async #sweep(): Promise<void> {
    const { log } = this.#context
    while (this.#waiting.length > 0) {
      const claimed = this.#waiting.splice(0)
      try {
        for (const one of claimed) await this.#sweepOwn(one)
        await this.#sweepFolders(claimed)
      } catch (error) {
        const fields = { error: messageOf(error) }
        if (isRetryable(error)) log.debug(fields, 'left files of an interrupted run')
        else log.warn(fields, 'could not delete files that an interrupted run had staged')
      }
    }
  }

  /** Where names begin with task and epoch, only those that may be orphans are listed. */
  async #sweepOwn({ task, facts, tables }: Claimed): Promise<void> {
    const { keys } = this.#context
    const prefixes = tables
      .filter((shape) => shape.partitionBy.length === 0)
      .map((shape) => `${shape.path}/${keys.filePrefix(task)}`)
    for (const prefix of [keys.stagedPrefix(task), ...prefixes]) {
      await this.#sweepPrefix(prefix, keys.beforeEpoch(prefix, facts.lastDataEpoch + 1), (key) => {
        const name = parseStagedName(key, prefix)
        return name !== null && isOrphan(key, name, facts)
      })
    }
  }

  async #sweepFolders(claimed: readonly Claimed[]): Promise<void> {
    const { keys } = this.#context
    const shapes = new Map(
      claimed.flatMap(({ tables }) => tables.map((shape) => [shape.path, shape] as const)),
    )
    for (const [path, shape] of shapes) {
      if (shape.partitionBy.length === 0 || this.#listed.has(path)) continue
      if (this.#waiting.length === 0) this.#listed.add(path)
      await this.#sweepPrefix(`${path}/`, undefined, (key) => {
        if (key.includes('/_delta_log/')) return false
        return claimed.some(({ task, facts }) => {
          const name = parseStagedName(key, `/${keys.filePrefix(task)}`)
          return name !== null && isOrphan(key, name, facts)
        })
      })
    }
  }

  async #sweepPrefix(
    prefix: string,
    startAfter: string | undefined,
    isOrphanKey: (key: string) => boolean,
  ): Promise<void> {
    const { store, retry } = this.#context
    if (this.#isStopping) return
    const objects = await retrying(retry, `list ${prefix}`, () => store.list(prefix, startAfter))
    for (const { key } of objects) {
      if (!isOrphanKey(key)) continue
      if (this.#isStopping) return
      await retrying(retry, `delete ${key}`, () => store.delete(key))
      this.#deleted++
    }
  }
}

function factsOf(ownership: Ownership, { rules }: TaskContext): OrphanFacts {
  const named = new Set<string>()
  for (const record of ownership.recordsRead) {
    if (record.kind !== 'data') continue
    for (const [path, files] of Object.entries(record.files)) {
      for (const file of files) named.add(keyOfFile(path, file))
    }
    for (const key of stagedKeysOf(record)) named.add(key)
  }
  return {
    lastDataEpoch: rules.orphanAboveData ? (ownership.last?.epoch ?? -1) : -1,
    claim: rules.orphanOlderClaim ? ownership.claim : Infinity,
    named,
  }
}
