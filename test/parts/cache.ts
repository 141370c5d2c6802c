import { existsSync, writeSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** What is downloaded or built for tests is made once per clone and kept here, beside the packages of npm. */
export const CACHE = new URL('../../node_modules/.cache/', import.meta.url).pathname

/**
 * Makes a folder of the cache unless it is there, whoever asks first, and gives its path. `what` is said on stderr,
 * because it takes its time.
 */
export async function makeOnce(
  name: string,
  what: string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(CACHE, name)
  const ready = join(folder, 'ready')
  if (existsSync(ready)) return folder
  await mkdir(CACHE, { recursive: true })
  await withLock(join(CACHE, `${name}.lock`), async () => {
    if (existsSync(ready)) return
    say(`installing ${what}, once for this clone …`)
    const startMs = performance.now()
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder)
    await make(folder)
    await writeFile(ready, '')
    say(`installed ${what} in ${((performance.now() - startMs) / 1000).toFixed(0)} s`)
  })
  return folder
}

/** One line on stderr, written at once, past the test runner, which would show it once per file. */
export function say(line: string): void {
  writeSync(2, `parts · ${line}\n`)
}

let attempts = 0

/** One at a time, also among processes. The lock of a process that is gone is taken over. */
export async function withLock<Result>(path: string, action: () => Promise<Result>): Promise<Result> {
  const mine = `${path}.${process.pid}.${attempts++}`
  await mkdir(mine, { recursive: true })
  await writeFile(join(mine, 'pid'), String(process.pid))
  for (;;) {
    try {
      // A folder that is not empty is never replaced by a rename.
      await rename(mine, path)
      break
    } catch {
      const owner = Number(await readFile(join(path, 'pid'), 'utf8').catch(() => '0'))
      if (owner !== 0 && !isAlive(owner)) await rm(path, { recursive: true, force: true })
      await sleep(250)
    }
  }
  try {
    return await action()
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** The line of a failed command that says what was wrong. */
export function reasonOf(error: unknown): string {
  const { message, stderr = '', stdout = '' } = error as Error & { stderr?: string; stdout?: string }
  const output = `${stdout}\n${stderr}`
  // Maven's first error line, or pip's: what follows is advice.
  const line = /(?:\[ERROR\]|ERROR:) (\S.*)/.exec(output)?.[1] ?? output.trim().split('\n').at(-1)
  return line === undefined || line === '' ? message : line
}

/** What a test is told of a part that cannot be had. With CI set that is an error: a check left out is no check. */
export interface Missing {
  readonly kind: 'missing'
  readonly reason: string
}

export function mustBeReady<Part extends { readonly kind: 'ready' }>(part: Part | Missing): Part | Missing {
  if (part.kind === 'missing' && process.env['CI'] !== undefined) {
    throw new Error(`with CI set the tests with real parts must run: ${part.reason}`)
  }
  return part
}
