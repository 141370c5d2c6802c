import { PipelineError } from '../errors.ts'
import type { ObjectStore } from '../ports.ts'
import { type Retry, retrying } from './retry.ts'

/**
 * Some stores accept a conditional put and ignore the condition: two owners of a task would then overwrite each other's records. So the
 * store is asked once per run, with a key of our own.
 */
export async function probeStore(store: ObjectStore, retry: Retry): Promise<void> {
  const key = `_millrace/probe/${retry.entropy.nonce()}`
  const body = new Uint8Array([1])
  await retrying(retry, `put ${key}`, () => store.put(key, body))
  const outcome = await retrying(retry, `put ${key} if absent`, () => store.putIfAbsent(key, body))
  await retrying(retry, `delete ${key}`, () => store.delete(key))
  if (outcome === 'exists') return
  throw new PipelineError('STORE_NOT_CONDITIONAL', `${store.description} ignores If-None-Match`, {
    advice: 'Exactly-once needs a store that refuses to create an object twice. Use another store or server.',
  })
}
