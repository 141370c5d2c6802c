import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { directoryStore } from '../../sinks/directory-store.ts'
import { linkError, writeError } from '../../sinks/directory-errors.ts'
import { objectStoreContract } from '../contracts/object-store.ts'

const roots: string[] = []
async function freshRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  roots.push(root)
  return join(root, 'lake')
}
afterAll(() => Promise.all(roots.map((root) => rm(root, { recursive: true, force: true }))))

objectStoreContract('directoryStore', async () => directoryStore(await freshRoot()))

const bytes = (text: string) => new TextEncoder().encode(text)
const codes = (make: typeof writeError) =>
  ['EROFS', 'EACCES', 'ENOSPC', 'EDQUOT', 'EMFILE', 'EIO', 'EPERM', 'EXDEV', 'ENAMETOOLONG'].map((code) => {
    const error = make('/lake/a', failing(code))
    return `${code} ${error.code}${error.retryable ? ' retryable' : ''}`
  })
const failing = (code: string) => Object.assign(new Error(code), { code })

describe('directoryStore', () => {
  test('makes nothing until something is written', async () => {
    const root = await freshRoot()
    const store = directoryStore(root)
    await store.list('')
    await store.get('a')
    await store.delete('a')
    await expect(stat(root)).rejects.toThrow(/ENOENT/)
    await store.put('a', bytes('1'))
    expect(await readdir(root)).toContain('a')
  })

  test('leaves no temporary file behind and lists none', async () => {
    const root = await freshRoot()
    const store = directoryStore(root)
    await store.putIfAbsent('a', bytes('1'))
    await store.putIfAbsent('a', bytes('2'))
    await store.put('a', bytes('3'))
    expect(await readdir(join(root, '_millrace/.tmp'))).toEqual([])
    await writeFile(join(root, '_millrace/.tmp/other'), 'unfinished')
    expect((await store.list('')).map((object) => object.key)).toEqual(['a'])
    expect(await store.list('_millrace/.tmp/')).toEqual([])
    await expect(store.get('_millrace/.tmp/other')).rejects.toMatchObject({ code: 'STORE_BAD_KEY' })
  })

  test('sweeps the temporary files of processes that died, and leaves those of the living', async () => {
    const root = await freshRoot()
    await directoryStore(root).put('a', bytes('1'))
    const folder = join(root, '_millrace/.tmp')
    await writeFile(join(folder, 'dead'), 'half')
    await writeFile(join(folder, 'living'), 'half')
    const twoHoursAgo = new Date(Date.now() - 7_200_000)
    await utimes(join(folder, 'dead'), twoHoursAgo, twoHoursAgo)
    await directoryStore(root).put('b', bytes('1'))
    expect(await readdir(folder)).toEqual(['living'])
  })

  test('goes on when somebody removes its folders', async () => {
    const root = await freshRoot()
    const store = directoryStore(root)
    await store.putIfAbsent('a/b', bytes('1'))
    await rm(root, { recursive: true })
    expect(await store.list('')).toEqual([])
    expect(await store.putIfAbsent('a/b', bytes('2'))).toBe('created')
  })

  test('reads a lake that is put together by symbolic links', async () => {
    const [root, elsewhere] = [await freshRoot(), await freshRoot()]
    await directoryStore(elsewhere).put('x/y', bytes('1'))
    await mkdir(root)
    await symlink(join(elsewhere, 'x'), join(root, 'bronze'))
    expect(await directoryStore(root).list('bronze/')).toMatchObject([{ key: 'bronze/y', size: 1 }])
  })

  test('of racing processes exactly one wins each key', async () => {
    const root = await freshRoot()
    const program = `
      import { directoryStore } from ${JSON.stringify(new URL('../../sinks/directory-store.ts', import.meta.url).href)}
      const store = directoryStore(${JSON.stringify(root)})
      const me = process.argv[1]
      await new Promise((go) => process.stdin.once('data', go))
      const won = []
      for (let key = 0; key < 40; key++)
        if ((await store.putIfAbsent('race/' + key, new TextEncoder().encode(me))) === 'created') won.push(key)
      console.log(JSON.stringify(won))
      process.exit(0)`
    const racers = Array.from({ length: 3 }, (_, me) => {
      const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program, `${me}`], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      const output = new Promise<string>((resolve) => {
        let all = ''
        child.stdout.on('data', (chunk: Buffer) => (all += chunk.toString()))
        child.on('close', () => resolve(all))
      })
      return { child, output }
    })
    for (const { child } of racers) child.stdin.write('go\n')
    const won = await Promise.all(racers.map(async ({ output }) => JSON.parse(await output) as number[]))
    expect(won.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, key) => key))
    const store = directoryStore(root)
    for (const [me, keys] of won.entries()) {
      for (const key of keys) expect(await store.get(`race/${key}`)).toEqual(bytes(`${me}`))
    }
  })

  test('says so when a file stands where a folder is needed', async () => {
    const store = directoryStore(await freshRoot())
    await store.put('a', bytes('1'))
    await expect(store.put('a/b', bytes('2'))).rejects.toMatchObject({
      code: 'STORE_FAILED',
      retryable: false,
    })
    expect(await store.get('a/b')).toBeNull()
    await store.put('c/d', bytes('1'))
    await expect(store.put('c', bytes('2'))).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await expect(store.putIfAbsent('c', bytes('2'))).rejects.toMatchObject({ code: 'STORE_FAILED' })
  })

  test('each error of the system has a code, and only passing ones are retried', () => {
    expect(codes(writeError)).toEqual([
      'EROFS STORE_NOT_WRITABLE',
      'EACCES STORE_NOT_WRITABLE',
      'ENOSPC STORE_FULL',
      'EDQUOT STORE_FULL',
      'EMFILE STORE_FAILED retryable',
      'EIO STORE_FAILED',
      'EPERM STORE_NOT_WRITABLE',
      'EXDEV STORE_FAILED',
      'ENAMETOOLONG STORE_BAD_KEY',
    ])
    expect(codes(linkError).slice(6, 8)).toEqual(['EPERM STORE_NO_LINKS', 'EXDEV STORE_NO_LINKS'])
  })
})
