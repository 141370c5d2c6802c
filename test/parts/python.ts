import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/**
 * Readers of our tables that are not ours, in a Python environment that is made once and kept in node_modules/.cache.
 * The versions of duckdb and its extension must be the same.
 */
const PINS = ['pyarrow==26.0.1', 'deltalake==1.6.6', 'duckdb==1.5.5', 'duckdb-extension-delta==1.5.5']
const CACHE = new URL('../../node_modules/.cache/', import.meta.url).pathname
const NAME = `millrace-python-${createHash('sha256').update(PINS.join(' ')).digest('hex').slice(0, 8)}`
const INSTALL_TIMEOUT_MS = 170_000

const run = promisify(execFile)

export type Python =
  | { readonly kind: 'ready'; readonly executable: string }
  | { readonly kind: 'missing'; readonly reason: string }

/**
 * Finds or makes the environment. Where that cannot be, tests are skipped with the reason; with CI set that is an
 * error, because a check that is silently left out is no check.
 */
export async function findPython(): Promise<Python> {
  const python = await makePython()
  if (python.kind === 'missing' && process.env['CI'] !== undefined) {
    throw new Error(`with CI set the tests with outside readers must run: ${python.reason}`)
  }
  return python
}

async function makePython(): Promise<Python> {
  const home = join(CACHE, NAME)
  const executable = join(home, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python')
  const ready = join(home, 'ready')
  if (existsSync(ready)) return { kind: 'ready', executable }
  if (spawnSync('python3', ['--version']).status !== 0)
    return { kind: 'missing', reason: 'there is no python3' }
  try {
    await mkdir(CACHE, { recursive: true })
    await withLock(join(CACHE, `${NAME}.lock`), async () => {
      if (existsSync(ready)) return
      await rm(home, { recursive: true, force: true })
      await run('python3', ['-m', 'venv', home])
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PINS]
      await run(executable, pip, { timeout: INSTALL_TIMEOUT_MS })
      await writeFile(ready, '')
    })
    return { kind: 'ready', executable }
  } catch (error) {
    const [line] = (error as Error).message.trim().split('\n').slice(-1)
    return { kind: 'missing', reason: `${PINS.join(', ')} could not be installed: ${line}` }
  }
}

/** One process at a time. The lock of a process that is gone is taken over. */
async function withLock(path: string, action: () => Promise<void>): Promise<void> {
  const mine = `${path}.${process.pid}`
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
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
  try {
    await action()
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Runs a program that lies beside the tests, with arguments, and parses what it prints as JSON. */
export async function runPython<Result>(
  executable: string,
  program: string,
  args: readonly string[],
): Promise<Result> {
  const { stdout } = await run(executable, [program, ...args], {
    maxBuffer: 256 * 1024 * 1024,
    cwd: dirname(program),
  })
  return JSON.parse(stdout) as Result
}
