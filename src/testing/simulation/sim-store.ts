import type { ObjectStore, StoredObject } from '../../ports.ts'
import type { SimProcess } from './scheduler.ts'

/** What all simulated processes share: objects by key. */
export class SimObjects {
  readonly objects = new Map<string, Uint8Array>()
  /** Writes that changed something, of all processes. */
  writes = 0

  putIfAbsent(key: string, body: Uint8Array): 'created' | 'exists' {
    if (this.objects.has(key)) return 'exists'
    this.put(key, body)
    return 'created'
  }

  put(key: string, body: Uint8Array): void {
    this.writes++
    this.objects.set(key, body)
  }

  get(key: string): Uint8Array | null {
    return this.objects.get(key) ?? null
  }

  list(prefix: string, startAfter: string): readonly StoredObject[] {
    const found: StoredObject[] = []
    for (const [key, body] of this.objects) {
      if (key.startsWith(prefix) && key > startAfter) found.push({ key, size: body.length })
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  delete(key: string): void {
    if (this.objects.delete(key)) this.writes++
  }
}

/** One process's way to the shared objects: every call passes through the scheduler. */
export class SimStore implements ObjectStore {
  readonly description = 'simulated store'
  readonly #process: SimProcess
  readonly #shared: SimObjects

  constructor(process: SimProcess, shared: SimObjects) {
    this.#process = process
    this.#shared = shared
  }

  putIfAbsent(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    const copy = body.slice()
    return this.#process.call('write', `create ${key}`, () => this.#shared.putIfAbsent(key, copy), String)
  }

  put(key: string, body: Uint8Array): Promise<void> {
    const copy = body.slice()
    return this.#process.call('write', `put ${key}`, () => this.#shared.put(key, copy))
  }

  get(key: string): Promise<Uint8Array | null> {
    return this.#process.call(
      'read',
      `get ${key}`,
      () => this.#shared.get(key)?.slice() ?? null,
      (body) => (body === null ? 'none' : `${body.length} bytes`),
    )
  }

  list(prefix: string, startAfter = ''): Promise<readonly StoredObject[]> {
    return this.#process.call(
      'read',
      `list ${prefix}${startAfter === '' ? '' : ` after ${startAfter}`}`,
      () => this.#shared.list(prefix, startAfter),
      (found) => (found.length === 0 ? 'none' : `${found.length}, last ${found.at(-1)!.key}`),
    )
  }

  delete(key: string): Promise<void> {
    return this.#process.call('write', `delete ${key}`, () => this.#shared.delete(key))
  }
}
