import { isOrphan, type OrphanFacts } from '../checkpoint/decide.ts'
import { parseStagedName } from '../checkpoint/keys.ts'
import type { ObjectStore } from '../ports.ts'
import { retrying } from './retry.ts'
import type { Ownership } from './takeover.ts'
import { keyOfFile, type TaskContext } from './task-context.ts'

/**
 * Deletes what earlier owners of these tasks staged and no record names. Called when every claim holds, so that one listing of a
 * table serves all tasks.
 */
export async function deleteOrphans(
  context: TaskContext,
  owned: ReadonlyMap<string, Ownership>,
  tables: readonly string[],
): Promise<void> {
  const facts = new Map([...owned].map(([task, ownership]) => [task, factsOf(ownership, context)]))
  const prefixes = tables.map((path) => `${path}/`)
  for (const task of owned.keys()) prefixes.push(context.keys.stagedPrefix(task))
  let deleted = 0
  for (const prefix of prefixes) {
    const objects = await retrying(context.retry, `list ${prefix}`, () => context.store.list(prefix))
    for (const { key } of objects) {
      if (key.includes('/_delta_log/') || !isOrphanOfAny(context, key, facts)) continue
      await deleteObject(context, context.store, key)
      deleted++
    }
  }
  if (deleted > 0) context.log.info({ files: deleted }, 'deleted files that an interrupted run had staged')
}

function isOrphanOfAny(context: TaskContext, key: string, facts: ReadonlyMap<string, OrphanFacts>): boolean {
  for (const [task, known] of facts) {
    const stagedPrefix = context.keys.stagedPrefix(task)
    const isState = key.startsWith(stagedPrefix)
    const name = parseStagedName(key, isState ? stagedPrefix : `/${context.keys.filePrefix(task)}`)
    if (name !== null) return isOrphan(key, name, known)
  }
  return false
}

function factsOf(ownership: Ownership, context: TaskContext): OrphanFacts {
  const named = new Set<string>()
  for (const record of ownership.recordsRead) {
    if (record.kind !== 'data') continue
    for (const [path, files] of Object.entries(record.files)) {
      for (const file of files) named.add(keyOfFile(path, file))
    }
    const { work } = record
    if (work.type === 'merge') {
      if (work.snapshot !== null) named.add(work.snapshot.key)
    } else {
      for (const key of work.dedupe) named.add(key)
      if (work.partials !== null) named.add(work.partials)
    }
  }
  const { rules } = context
  return {
    lastDataEpoch: rules.orphanAboveData ? (ownership.last?.epoch ?? -1) : -1,
    claim: rules.orphanOlderClaim ? ownership.claim : Infinity,
    named,
  }
}

function deleteObject(context: TaskContext, store: ObjectStore, key: string): Promise<void> {
  return retrying(context.retry, `delete ${key}`, () => store.delete(key))
}
