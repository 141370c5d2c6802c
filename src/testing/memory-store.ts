import { checkKey, compareKeys } from '../../sinks/object-key.ts'
import type { ObjectStore, StoredObject } from '../ports.ts'

/** Objects in this process, for tests and replays that leave nothing behind. */
export function memoryStore(): ObjectStore {
  return new MemoryStore()
}

class MemoryStore implements ObjectStore {
  readonly description = 'memory'
  readonly #bodies = new Map<string, Uint8Array>()
  /** Sorted by their bytes, so that a prefix is one stretch of it. */
  readonly #keys: string[] = []

  async putIfAbsent(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    checkKey(key)
    if (this.#bodies.has(key)) return 'exists'
    this.#set(key, body)
    return 'created'
  }

  async put(key: string, body: Uint8Array): Promise<void> {
    checkKey(key)
    this.#set(key, body)
  }

  async get(key: string): Promise<Uint8Array | null> {
    checkKey(key)
    const body = this.#bodies.get(key)
    return body === undefined ? null : body.slice()
  }

  async list(prefix: string, startAfter = ''): Promise<readonly StoredObject[]> {
    const found: StoredObject[] = []
    let index = this.#indexOf(compareKeys(startAfter, prefix) >= 0 ? startAfter : prefix)
    for (; index < this.#keys.length && this.#keys[index]!.startsWith(prefix); index++) {
      const key = this.#keys[index]!
      if (key !== startAfter) found.push({ key, size: this.#bodies.get(key)!.length })
    }
    return found
  }

  async listFolders(prefix: string): Promise<readonly string[]> {
    const below = (await this.list(prefix)).map(({ key }) => key.slice(prefix.length))
    return [...new Set(below.filter((key) => key.includes('/')).map((key) => key.split('/')[0]!))]
  }

  async delete(key: string): Promise<void> {
    checkKey(key)
    if (this.#bodies.delete(key)) this.#keys.splice(this.#indexOf(key), 1)
  }

  #set(key: string, body: Uint8Array): void {
    if (!this.#bodies.has(key)) this.#keys.splice(this.#indexOf(key), 0, key)
    this.#bodies.set(key, body.slice())
  }

  /** Of the first key that does not sort below this one. */
  #indexOf(key: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareKeys(this.#keys[middle]!, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
