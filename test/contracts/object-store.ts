import { beforeEach, describe, expect, test } from 'vitest'
import type { ObjectStore } from '../../src/ports.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (body: Uint8Array | null) => (body === null ? null : new TextDecoder().decode(body))

/** What every ObjectStore does. `make` gives an empty store. */
export function objectStoreContract(name: string, make: () => Promise<ObjectStore>): void {
  describe(`${name} keeps the object store contract`, () => {
    let store: ObjectStore
    beforeEach(async () => {
      store = await make()
    })

    const keysOf = async (prefix: string, startAfter?: string) =>
      (await store.list(prefix, startAfter)).map((object) => object.key)

    test('an object is read back as soon as it is put', async () => {
      await store.put('a/b', bytes('one'))
      expect(text(await store.get('a/b'))).toBe('one')
      await store.put('a/b', bytes('two'))
      expect(text(await store.get('a/b'))).toBe('two')
    })

    test('there is nothing where nothing was put', async () => {
      expect(await store.get('a')).toBeNull()
      expect(await store.get('a/b/c')).toBeNull()
      expect(await store.list('')).toEqual([])
      expect(await store.list('a/')).toEqual([])
      await store.delete('a/b')
    })

    test('a folder is not an object', async () => {
      await store.put('a/b/c', bytes(''))
      expect(await store.get('a/b')).toBeNull()
      await store.delete('a/b')
      expect(await keysOf('')).toEqual(['a/b/c'])
    })

    test('an object may be empty', async () => {
      expect(await store.putIfAbsent('empty', new Uint8Array(0))).toBe('created')
      expect(await store.get('empty')).toEqual(new Uint8Array(0))
      expect(await store.list('')).toMatchObject([{ key: 'empty', size: 0 }])
    })

    test('putIfAbsent keeps the first body', async () => {
      expect(await store.putIfAbsent('k', bytes('first'))).toBe('created')
      expect(await store.putIfAbsent('k', bytes('second'))).toBe('exists')
      expect(text(await store.get('k'))).toBe('first')
    })

    test('of racing putIfAbsents exactly one wins, and its body stays', async () => {
      for (let round = 0; round < 10; round++) {
        const key = `race/${round}`
        const outcomes = await Promise.all(
          Array.from({ length: 12 }, (_, racer) => store.putIfAbsent(key, bytes(`${racer}`))),
        )
        expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1)
        expect(text(await store.get(key))).toBe(`${outcomes.indexOf('created')}`)
      }
    })

    test('a deleted key is free again', async () => {
      await store.putIfAbsent('k', bytes('1'))
      await store.delete('k')
      expect(await store.get('k')).toBeNull()
      expect(await store.list('')).toEqual([])
      expect(await store.putIfAbsent('k', bytes('2'))).toBe('created')
    })

    test('a list has exactly the keys below a prefix, with sizes, sorted by their bytes', async () => {
      const keys = [
        'b',
        'a/2',
        'a/10',
        'a/1/x',
        'a-b/c',
        'ab',
        'a/1.json',
        'a.b/c',
        'a/ä',
        'a/\u{ff61}',
        'a/\u{1f600}',
      ]
      for (const key of keys) await store.put(key, bytes(key))
      const sorted = keys.toSorted((a, b) => Buffer.compare(bytes(a), bytes(b)))
      expect(await keysOf('')).toEqual(sorted)
      expect(await keysOf('a')).toEqual(sorted.filter((key) => key.startsWith('a')))
      expect(await keysOf('a/')).toEqual(sorted.filter((key) => key.startsWith('a/')))
      expect(await keysOf('a/1')).toEqual(['a/1.json', 'a/1/x', 'a/10'])
      expect(await keysOf('c')).toEqual([])
      expect(await store.list('a/ä')).toMatchObject([{ key: 'a/ä', size: 4 }])
      for (const startAfter of [...sorted, 'a/1/', 'a/1/w', 'a/15', '', 'zz']) {
        const after = sorted.filter((key) => Buffer.compare(bytes(key), bytes(startAfter)) > 0)
        expect(await keysOf('', startAfter)).toEqual(after)
        expect(await keysOf('a/', startAfter)).toEqual(after.filter((key) => key.startsWith('a/')))
      }
    })

    test('folders are listed without what lies in them, where a store can', async () => {
      if (store.listFolders === undefined) return
      expect(await store.listFolders('')).toEqual([])
      for (const key of ['top', 'b/x', 'a/1/x', 'a/1/y', 'a/2', 'a/ä b/x', 'ab/x'])
        await store.put(key, bytes(''))
      expect((await store.listFolders('')).filter((name) => name !== '_millrace')).toEqual(['a', 'ab', 'b'])
      expect(await store.listFolders('a/')).toEqual(['1', 'ä b'])
      expect(await store.listFolders('a/1/')).toEqual([])
      expect(await store.listFolders('none/')).toEqual([])
    })

    test('a list says when an object was put, where the store knows', async () => {
      const beforeMs = Date.now()
      await store.put('a', bytes(''))
      const [object] = await store.list('a')
      if (object!.modifiedMs === undefined) return
      // Stores round to seconds, and have clocks of their own.
      expect(Math.abs(object!.modifiedMs - beforeMs)).toBeLessThan(60_000)
    })

    test('keys hold what Hive partitions and URL encoding put into them', async () => {
      const keys = [
        't/city=São Paulo/x%20y',
        't/city=a%3Db/=',
        't/day=2024-03-01 00%3A00/ü',
        't/名前=値/🙂',
        't/\'"#?&+',
      ]
      for (const key of keys) await store.putIfAbsent(key, bytes(key))
      for (const key of keys) expect(text(await store.get(key))).toBe(key)
      expect(new Set(await keysOf('t/'))).toEqual(new Set(keys))
    })

    test('a key that could leave the store is refused', async () => {
      for (const key of ['', '/a', 'a/', 'a//b', '.', '..', '../a', 'a/../b', 'a/./b', 'a\0b', '\ud800']) {
        await expect(store.put(key, bytes(''))).rejects.toMatchObject({ code: 'STORE_BAD_KEY' })
        await expect(store.putIfAbsent(key, bytes(''))).rejects.toMatchObject({ code: 'STORE_BAD_KEY' })
        await expect(store.get(key)).rejects.toMatchObject({ code: 'STORE_BAD_KEY' })
        await expect(store.delete(key)).rejects.toMatchObject({ code: 'STORE_BAD_KEY' })
      }
    })

    test('the body that was passed and the body that came back belong to the caller', async () => {
      const body = bytes('abc')
      await store.put('k', body)
      body.fill(0)
      const read = await store.get('k')
      read!.fill(1)
      expect(text(await store.get('k'))).toBe('abc')
    })

    test('a large object comes back whole', async () => {
      const body = Uint8Array.from({ length: 3_000_000 }, (_, index) => index % 251)
      await store.putIfAbsent('large', body)
      expect(Buffer.compare((await store.get('large'))!, body)).toBe(0)
      expect(await store.list('')).toMatchObject([{ key: 'large', size: 3_000_000 }])
    })
  })
}
